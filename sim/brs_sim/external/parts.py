"""A compiled scene as plain parts, for simulators with formats of their own.

    MuJoCo model --> assemblies: the robot, what stands fast, what has hinges, what lies about
                       links: mass, inertia, shapes
                       joints: between two links, or between a link and the world

Masses, inertias, limits and places are the model's; nothing is guessed. Links without mass and
joint (camera and tool frames) become part of the link that carries them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment
from brs_sim.model import BASE_JOINTS, robot_root

WORLD = "world"
# Carriers of the base's joints: formats with one joint between two links need links in between.
CARRIER_MASS, CARRIER_INERTIA = 0.1, 0.01  # [kg], [kg m^2]
_KINDS = {
    mujoco.mjtGeom.mjGEOM_BOX: "box",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: "ellipsoid",
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere",
    mujoco.mjtGeom.mjGEOM_PLANE: "plane",
}


@dataclass(frozen=True)
class Place:
    """A frame in another."""

    position: np.ndarray  # (3,) [m]
    rotation: Rotation

    @property
    def rpy(self) -> np.ndarray:
        """(3,) roll, pitch, yaw about fixed axes [rad]."""
        matrix = self.rotation.as_matrix()
        pitch = np.arcsin(np.clip(-matrix[2, 0], -1.0, 1.0))
        if abs(matrix[2, 0]) > 1 - 1e-12:  # looking straight up or down: all the turn is yaw
            return np.array([0.0, pitch, np.arctan2(-matrix[0, 1], matrix[1, 1])])
        roll = np.arctan2(matrix[2, 1], matrix[2, 2])
        return np.array([roll, pitch, np.arctan2(matrix[1, 0], matrix[0, 0])])

    def of(self, inner: Place) -> Place:
        """What is at `inner` in this frame, in the frame that this one is in."""
        position = self.position + self.rotation.apply(inner.position)
        return Place(position, self.rotation * inner.rotation)

    def inverse(self) -> Place:
        """The outer frame in this one."""
        turn = self.rotation.inv()
        return Place(-turn.apply(self.position), turn)


@dataclass(frozen=True)
class Shape:
    """A simple solid of a link."""

    name: str
    kind: str  # box, cylinder, capsule, ellipsoid, sphere or plane
    place: Place  # in the link; the axis of cylinders and capsules is z
    size: np.ndarray  # (3,) half sizes as MuJoCo's: radius first, then half length [m]
    rgba: np.ndarray  # (4,) 0..1
    drawn: bool
    solid: bool
    friction: float  # of sliding


@dataclass(frozen=True)
class Link:
    """A rigid body."""

    name: str
    place: Place  # in the world, all joints at zero or where they rest
    mass: float  # [kg]
    centre: Place  # of mass, in the link; its axes are those of the inertia
    inertia: np.ndarray  # (3,) about those axes [kg m^2]
    floats: bool  # gravity is compensated
    shapes: tuple[Shape, ...] = ()


@dataclass(frozen=True)
class Joint:
    """Between two links."""

    name: str
    kind: str  # revolute, prismatic or fixed
    parent: str  # link, or WORLD
    child: str
    axis: np.ndarray  # (3,) in the child
    lower: float = -np.inf  # [rad] or [m], from where the child stands now
    upper: float = np.inf
    effort: float = np.inf  # greatest of its motor [N m] or [N]
    velocity: float = np.inf  # greatest [rad/s] or [m/s]
    damping: float = 0.0  # [N m s/rad] or [N s/m]
    friction: float = 0.0  # [N m] or [N]
    stiffness: float = 0.0  # of a spring [N m/rad] or [N/m]
    rest: float = 0.0  # where that spring pulls to, as `lower` is given


@dataclass(frozen=True)
class Assembly:
    """Links that belong together."""

    name: str
    links: tuple[Link, ...]
    joints: tuple[Joint, ...] = ()
    stands: bool = False  # nothing of it ever moves


@dataclass(frozen=True)
class Scene:
    """Everything in the world."""

    robot: Assembly
    others: tuple[Assembly, ...]  # floor and walls first
    # link -> the link that carries it, and its place there; of links that are only frames
    frames: dict[str, tuple[str, Place]] = field(default_factory=dict)


def take_apart(embodiment: Embodiment, model: mujoco.MjModel) -> Scene:
    """The scene of a compiled model, everything where it is at the beginning.

    Args:
        embodiment: the robot in it.
        model: of `brs_sim.model.build_model`.

    Raises:
        ValueError: the model has a shape, joint or deformable thing that these parts cannot say.
    """
    if model.nflex or model.ntendon:
        raise ValueError("the scene has deformable things or tendons")
    reader = _Reader(embodiment, model)
    roots = [b for b in range(1, model.nbody) if model.body_parentid[b] == 0]
    robot_name = robot_root(model)
    robot = replace(reader.assembly(model.body(robot_name).id), name=embodiment.name)
    rest = [reader.assembly(b) for b in roots if model.body(b).name != robot_name]
    floor = Assembly(WORLD, (reader.link(0),), stands=True)
    return Scene(robot, (floor, *rest), reader.frames)


class _Reader:
    def __init__(self, embodiment: Embodiment, model: mujoco.MjModel) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        mujoco.mj_forward(model, self._data)
        self._described = describe(embodiment).joints
        self.frames: dict[str, tuple[str, Place]] = {}

    def assembly(self, root: int) -> Assembly:
        """A body that hangs on the world, with all that hangs on it."""
        model = self._model
        bodies = [b for b in range(model.nbody) if model.body_rootid[b] == root]
        name = model.body(root).name
        if not any(model.body_jntnum[b] for b in bodies):  # one solid thing
            links = self._merged(bodies, stands=True)
            return Assembly(name, tuple(links.values()), stands=True)
        links = self._merged(bodies, stands=False)
        joints: list[Joint] = []
        for body in bodies:
            if model.body(body).name not in links:
                continue
            joints += self._joints(body, links)
        if name == robot_root(model):
            for joint in joints[:2]:
                links[joint.child] = self._carrier(joint.child, links[name])
        return Assembly(name, tuple(links.values()), tuple(joints))

    def _merged(self, bodies: list[int], stands: bool) -> dict[str, Link]:
        """Links by name; what has neither joint nor mass goes to its carrier."""
        model = self._model
        links: dict[str, Link] = {}
        for body in bodies:
            link, carrier = self.link(body), model.body(model.body_parentid[body]).name
            own = body == bodies[0] or model.body_jntnum[body] or link.mass > 0.0
            if own and not (stands and links):
                links[link.name] = link
                continue
            target = carrier if carrier in links else self.frames[carrier][0]
            inside = links[target].place.inverse().of(link.place)
            self.frames[link.name] = (target, inside)
            moved = tuple(replace(s, place=inside.of(s.place)) for s in link.shapes)
            links[target] = replace(links[target], shapes=links[target].shapes + moved)
        return links

    def link(self, body: int) -> Link:
        """One body as it is."""
        model, data = self._model, self._data
        geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body]
        shapes = [self._shape(g) for g in geoms]
        return Link(
            name=model.body(body).name,
            place=_place(data.xpos[body], data.xquat[body]),
            mass=float(model.body_mass[body]),
            centre=_place(model.body_ipos[body], model.body_iquat[body]),
            inertia=model.body_inertia[body].copy(),
            floats=bool(model.body_gravcomp[body] > 0.5),
            shapes=tuple(shapes),
        )

    def _shape(self, geom: int) -> Shape:
        model = self._model
        kind = mujoco.mjtGeom(model.geom_type[geom])
        if kind not in _KINDS:
            raise ValueError(f"no name for shapes of type {kind}")
        # Group 3 only collides, and what has no contype is only drawn.
        return Shape(
            name=model.geom(geom).name or f"shape{geom}",
            kind=_KINDS[kind],
            place=_place(model.geom_pos[geom], model.geom_quat[geom]),
            size=model.geom_size[geom].copy(),
            rgba=self._colour(geom),
            drawn=bool(model.geom_group[geom] < 3),
            solid=bool(model.geom_contype[geom] or model.geom_conaffinity[geom]),
            friction=float(model.geom_friction[geom, 0]),
        )

    def _colour(self, geom: int) -> np.ndarray:
        model = self._model
        material = int(model.geom_matid[geom])
        if material < 0:
            colour: np.ndarray = model.geom_rgba[geom].astype(float)
            return colour
        texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
        rgba = model.mat_rgba[material].astype(float)
        if texture >= 0:  # its mean, as other simulators have textures of their own
            begin = int(model.tex_adr[texture])
            channels = int(model.tex_nchannel[texture])
            count = int(model.tex_height[texture] * model.tex_width[texture]) * channels
            pixels = model.tex_data[begin : begin + count].reshape(-1, channels)
            rgba[:3] *= pixels[:, :3].mean(axis=0) / 255.0
        return rgba

    def _joints(self, body: int, links: dict[str, Link]) -> list[Joint]:
        """What joins a link to its carrier; the base has three joints, with carriers between."""
        model = self._model
        child = model.body(body).name
        parent = self._carrier_of(body, links)
        indices = range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body])
        if not indices:
            return [Joint(f"{child}_fixed", "fixed", parent, child, np.array([0.0, 0.0, 1.0]))]
        if model.jnt_type[indices[0]] == mujoco.mjtJoint.mjJNT_FREE:
            return []
        joints = []
        for index in indices:
            last = index == indices[-1]
            end = child if last else f"{model.joint(index).name}_link"
            joints.append(self._joint(index, parent, end))
            parent = end
        return joints

    def _joint(self, index: int, parent: str, child: str) -> Joint:
        model = self._model
        kinds = {mujoco.mjtJoint.mjJNT_HINGE: "revolute", mujoco.mjtJoint.mjJNT_SLIDE: "prismatic"}
        kind = mujoco.mjtJoint(model.jnt_type[index])
        if kind not in kinds or np.any(model.jnt_pos[index]):
            raise ValueError(f"joint '{model.joint(index).name}' is neither hinge nor slide")
        name, dof = model.joint(index).name, model.jnt_dofadr[index]
        now = float(model.qpos0[model.jnt_qposadr[index]])
        limited = bool(model.jnt_limited[index])
        lower, upper = model.jnt_range[index] - now if limited else (-np.inf, np.inf)
        driven = bool(model.jnt_actfrclimited[index])
        described = self._described.get(name)
        return Joint(
            name,
            kinds[kind],
            parent,
            child,
            axis=model.jnt_axis[index].copy(),
            lower=float(lower),
            upper=float(upper),
            effort=float(model.jnt_actfrcrange[index, 1]) if driven else np.inf,
            velocity=described.velocity if described else np.inf,
            damping=float(model.dof_damping[dof]),
            friction=float(model.dof_frictionloss[dof]),
            stiffness=float(model.jnt_stiffness[index]),
            rest=float(model.qpos_spring[model.jnt_qposadr[index]]) - now,
        )

    def _carrier_of(self, body: int, links: dict[str, Link]) -> str:
        name = self._model.body(self._model.body_parentid[body]).name
        return name if name in links or name == WORLD else self.frames[name][0]

    def _carrier(self, name: str, base: Link) -> Link:
        inertia, middle = np.full(3, CARRIER_INERTIA), Place(np.zeros(3), Rotation.identity())
        return Link(name, base.place, CARRIER_MASS, middle, inertia, floats=True)


def is_base(joint: str) -> bool:
    """Whether a joint moves the whole robot over the floor."""
    return joint in BASE_JOINTS


def _place(position: np.ndarray, wxyz: np.ndarray) -> Place:
    return Place(position.copy(), Rotation.from_quat(np.roll(wxyz, -1)))
