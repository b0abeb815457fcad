"""Tells a cloud's points of the robot itself from those of what is around it.

URDF: drawn and colliding shapes -----+
                                      +--> one table --MuJoCo--> placed --numba--> inside or not
boxes of *_collisions.yaml -----------+                 ^
                                              joints, finger openings
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brs_hardware.collision_config import CollisionConfig, load_collision_config
from brs_hardware.collision_model import JointVector, load_spec
from brs_hardware.config import did_you_mean
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError

_ROUNDING_M = 1e-5  # of numbers in a URDF, within which a shape still is inside another
_CORNERS = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
_POLYGON = 24  # corners that stand for a circle


@dataclass(frozen=True)
class _Shapes:
    """Boxes and what is less than a box, in axes of their own; see `inside.outside_all`."""

    centre: np.ndarray  # (k, 3) of the box in the frame of MuJoCo's geom [m]
    half: np.ndarray  # (k, 3) [m]
    grow: np.ndarray  # (k,) [m]
    is_round: np.ndarray  # (k,) bool, a cylinder about z
    lowest: np.ndarray  # (k,) z in base_link [m]
    planes: np.ndarray  # (p, 4) of convex hulls, from the box's centre
    first_plane: np.ndarray  # (k + 1,)

    def outline(self, shape: int, padding_m: float) -> np.ndarray:
        """(n, 3) points about the shape without its padding; their hull holds all of it."""
        spare = self.grow[shape] - padding_m
        half = self.half[shape] + spare
        if not self.is_round[shape]:
            return self.centre[shape] + _CORNERS * half
        angle = np.linspace(0.0, 2.0 * np.pi, _POLYGON, endpoint=False)
        radius = half[0] / np.cos(np.pi / _POLYGON)
        circle = np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)
        ends = [np.column_stack([circle, np.full(_POLYGON, z)]) for z in (-half[2], half[2])]
        return self.centre[shape] + np.vstack(ends)


@dataclass(frozen=True)
class _Fingers:
    """The shapes of one gripper: which of them count depends on whether its opening is known."""

    position_index: np.ndarray  # (fingers,) into qpos
    own: np.ndarray  # (k,) bool, shapes that move with the fingers
    stand_in: np.ndarray  # (k,) bool, boxes round all the room that the fingers sweep


class SelfFilter:
    """Knows the robot's shapes, grown by a padding. Not thread-safe: every thread makes its own.

    What the URDF draws counts as well as what it lets collide: the former is what cameras see,
    the latter (with the configured boxes) is what cables and covers are thought to lie in. The
    floor stays: it begins where the wheels end, and so they grow sideways only.

    Args:
        embodiment: the robot.
        padding_m: how far outside of a shape a point still belongs to it [m]: what depth,
            the mounting of cameras and the shapes themselves get wrong.

    Raises:
        ConfigError: MuJoCo or numba is not installed, a wrong URDF, or a wrong collision file.
    """

    def __init__(self, embodiment: Embodiment, padding_m: float) -> None:
        if not 0.0 <= padding_m < np.inf:
            raise ConfigError(
                f"the self-filter cannot have a padding of {padding_m} m",
                remedy="give 0 or a few millimetres",
            )
        try:
            from brs_hardware.perception import inside
        except ModuleNotFoundError:
            raise ConfigError(
                "the self-filter needs numba, which is not installed",
                remedy="pip install brs[perception]",
            ) from None
        self._outside_all = inside.outside_all
        self._embodiment = embodiment
        self._mujoco, spec = load_spec(embodiment)
        config = load_collision_config(embodiment)
        stand_ins = _add_boxes(self._mujoco, spec, config, str(embodiment.urdf_path))
        self._model = spec.compile()
        self._data = self._mujoco.MjData(self._model)
        self._joints = JointVector(embodiment, self._model)
        self._base = self._model.body("base_link").id
        self._fingers = {
            name: _fingers(embodiment, name, self._model, stand_ins)
            for name in embodiment.GRIPPERS
        }
        self._counts = np.ones(self._model.ngeom, bool)
        self._shapes = _shapes(self._mujoco, self._model, _ROUNDING_M)
        self._leave_out_covered()  # compiles now, too, and not at the first frame
        self._shapes = _shapes(self._mujoco, self._model, padding_m)
        stands = ~np.array([self._is_moved(body) for body in self._model.geom_bodyid])
        self._shapes.lowest[stands] = config.floor_height_m + padding_m

    def keep(self, points: np.ndarray, joints: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) bool, False for points of the robot; a point that is no number is kept.

        Args:
            points: (n, 3) float32 in base_link [m].
            joints: positions [rad] by group name (`torso`, `left_arm`, `right_arm`), and closing
                fractions of `left_gripper` and `right_gripper`, () or (1,), 0 open to 1 closed. A
                group left out stands at zero. Of a gripper left out, all the room that its fingers
                can be in counts as robot, and so does what they hold.

        Raises:
            ConfigError: unknown group, or a wrong number of joints.
            ValueError: wrong shape of `points`.
        """
        points = np.ascontiguousarray(points, np.float32)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"points need the shape (n, 3), got {points.shape}")
        counts = self._place(joints)
        return self._outside(points, np.flatnonzero(counts))

    def _place(self, joints: Mapping[str, np.ndarray]) -> np.ndarray:
        """Moves the shapes; (k,) bool which of them count."""
        groups = {name: at for name, at in joints.items() if name not in self._fingers}
        self._data.qpos[self._joints.position_index] = self._joints.stack(groups)
        counts = self._counts.copy()
        for name, fingers in self._fingers.items():
            if name not in joints:
                counts &= ~fingers.own
                continue
            counts &= ~fingers.stand_in
            closed = np.asarray(joints[name], dtype=float)
            if closed.size != 1:
                raise ConfigError(f"{name} has one closing fraction, got {closed.size}")
            stroke_m = self._embodiment.gripper(name).to_stroke_mm(closed.item()) / 1000.0
            self._data.qpos[fingers.position_index] = stroke_m / len(fingers.position_index)
        self._mujoco.mj_kinematics(self._model, self._data)
        return counts

    def _outside(self, points: np.ndarray, active: np.ndarray) -> np.ndarray:
        """(n,) bool, whether points (n, 3) float32 are outside of these shapes as placed last."""
        shapes, data = self._shapes, self._data
        turn = data.geom_xmat.reshape(-1, 3, 3)
        centre = data.geom_xpos + (turn @ shapes.centre[:, :, None])[:, :, 0]
        outside: np.ndarray = self._outside_all(
            points,
            active,
            centre - data.xpos[self._base],
            turn,
            shapes.half,
            shapes.grow,
            shapes.is_round,
            shapes.lowest,
            shapes.planes,
            shapes.first_plane,
        )
        return outside

    def _is_moved(self, body: int) -> bool:
        """Whether a joint of the groups moves it; steered wheels stand on the floor as well."""
        while body:
            if body in self._joints.bodies:
                return True
            body = self._model.body_parentid[body]
        return False

    def _leave_out_covered(self) -> None:
        """Spares the shapes that lie within another of the same link: half of them."""
        self._mujoco.mj_kinematics(self._model, self._data)
        bodies, data = self._model.geom_bodyid, self._data
        for shape in range(self._model.ngeom):
            outline = self._shapes.outline(shape, _ROUNDING_M)
            points = outline @ data.geom_xmat[shape].reshape(3, 3).T + data.geom_xpos[shape]
            points = (points - data.xpos[self._base]).astype(np.float32)
            self._counts[shape] = False
            others = np.flatnonzero(self._counts & (bodies == bodies[shape]))
            self._counts[shape] = not any(
                not self._outside(points, np.array([other])).any() for other in others
            )


def _add_boxes(mujoco: Any, spec: Any, config: CollisionConfig, where: str) -> dict[str, set[str]]:
    """Adds the boxes of the collision file; name of a box -> links whose every place it covers."""
    links = {body.name: body for body in spec.bodies}
    stand_ins = {}
    for i, shape in enumerate(config.shapes):
        if shape.link not in links:
            raise ConfigError(
                f"collisions: no link '{shape.link}'",
                where=where,
                remedy=did_you_mean(shape.link, links),
            )
        name = f"configured box {i}"
        links[shape.link].add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=shape.position,
            size=shape.half_size,
        )
        stand_ins[name] = set(shape.stands_for)
    return stand_ins


def _fingers(
    embodiment: Embodiment, name: str, model: Any, stand_ins: Mapping[str, set[str]]
) -> _Fingers:
    joints = [describe(embodiment).joint(joint) for joint in embodiment.gripper(name).joints]
    links = {joint.child for joint in joints}
    geoms = [model.geom(i) for i in range(model.ngeom)]
    return _Fingers(
        position_index=np.array([model.joint(joint.name).qposadr[0] for joint in joints]),
        own=np.array([model.body(geom.bodyid[0]).name in links for geom in geoms]),
        stand_in=np.array([bool(links & stand_ins.get(geom.name, set())) for geom in geoms]),
    )


def _shapes(mujoco: Any, model: Any, padding_m: float) -> _Shapes:
    """Every geom as a grown box, or less of it where MuJoCo tells how much less."""
    kinds, box = mujoco.mjtGeom, model.geom_aabb
    centre, half = box[:, :3].copy(), box[:, 3:].copy()
    grow = np.full(model.ngeom, padding_m)
    planes = [np.zeros((0, 4)) for _ in range(model.ngeom)]
    for i, kind in enumerate(model.geom_type):
        if kind == kinds.mjGEOM_SPHERE or kind == kinds.mjGEOM_CAPSULE:  # a point or line, grown
            grow[i] += model.geom_size[i, 0]
            half[i] -= model.geom_size[i, 0]
        elif kind == kinds.mjGEOM_MESH:
            planes[i] = _hull(model, model.geom_dataid[i], centre[i])
    return _Shapes(
        centre=centre,
        half=half,
        grow=grow,
        is_round=model.geom_type == kinds.mjGEOM_CYLINDER,
        lowest=np.full(model.ngeom, -np.inf),
        planes=np.vstack(planes),
        first_plane=np.cumsum([0, *(len(part) for part in planes)]),
    )


def _hull(model: Any, mesh: int, centre: np.ndarray) -> np.ndarray:
    """(p, 4) planes of a mesh's convex hull, seen from `centre`."""
    from scipy.spatial import ConvexHull  # only robots with meshes need it

    first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    hull = ConvexHull(model.mesh_vert[first : first + count] - centre)
    planes: np.ndarray = np.unique(np.round(hull.equations, 9), axis=0)
    return planes
