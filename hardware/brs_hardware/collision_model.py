"""Distances between the robot's links, the floor and keep-outs, measured by MuJoCo.

The shapes are the collision shapes of the URDF and the boxes that config/robots/*_collisions.yaml
adds to them. Needs the extra `sim`. Lengths in metres, angles in radians, everything in base_link.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brs_hardware.collision_config import CollisionConfig, KeepOut
from brs_hardware.config import did_you_mean
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError

FLOOR = "floor"
_DEEP_M = 100.0  # more than anything of a robot is away from anything


@dataclass(frozen=True)
class Clearance:
    """The two things nearest to each other."""

    distance_m: float  # negative: how deep they overlap
    first: str  # link
    second: str  # link, keep-out or `floor`
    point_first: np.ndarray  # (3,) nearest point of the first in base_link [m]
    point_second: np.ndarray  # (3,) of the second


def load_spec(embodiment: Embodiment) -> tuple[Any, Any]:
    """The `mujoco` module and the robot's MjSpec as its URDF has it.

    Raises:
        ConfigError: MuJoCo is not installed, or the URDF is wrong.
    """
    try:
        import mujoco
    except ImportError:
        raise ConfigError(
            "collision and balance need MuJoCo, which is not installed",
            remedy="pip install brs[sim]",
        ) from None
    describe(embodiment)
    try:
        return mujoco, mujoco.MjSpec.from_file(str(embodiment.urdf_path))
    except ValueError as error:
        raise ConfigError(
            f"malformed URDF: {error}", where=str(embodiment.urdf_path), remedy="mend it"
        ) from None


def adjacent_links(embodiment: Embodiment) -> set[frozenset[str]]:
    """Pairs of links in one rigid part, or in two that one driven joint connects."""
    description = describe(embodiment)
    driven = {joint for name in embodiment.GROUPS for joint in embodiment.group(name).joints}
    part = {link: link for link in description.links}
    joints = description.joints.values()

    def root(link: str) -> str:
        return link if part[link] == link else root(part[link])

    for joint in joints:
        if joint.name not in driven:
            part[root(joint.child)] = root(joint.parent)
    connected = {
        frozenset((root(joint.parent), root(joint.child)))
        for joint in joints
        if joint.name in driven
    }
    return {
        frozenset((first, second))
        for first, second in itertools.combinations(description.links, 2)
        if root(first) == root(second) or frozenset((root(first), root(second))) in connected
    }


class JointVector:
    """Joints of all groups as one vector, in the order of `Embodiment.GROUPS`."""

    def __init__(self, embodiment: Embodiment, model: Any) -> None:
        self.groups = {name: embodiment.group(name) for name in embodiment.GROUPS}
        joints = [model.joint(joint) for group in self.groups.values() for joint in group.joints]
        self.position_index = np.array([joint.qposadr[0] for joint in joints])
        self.ids = np.array([joint.id for joint in joints])
        self.bodies = np.array([model.jnt_bodyid[joint.id] for joint in joints])
        self._ends = np.cumsum([len(group.joints) for group in self.groups.values()])[:-1]

    def limits(self, name: str) -> np.ndarray:
        """(n,) a limit of the embodiment's groups, e.g. `max_acceleration`."""
        return np.concatenate([getattr(group, name) for group in self.groups.values()])

    def stack(self, joints: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) from values by group; a group left out is zero.

        Raises:
            ConfigError: unknown group or wrong number of joints.
        """
        for name in joints:
            if name not in self.groups:
                raise ConfigError(
                    f"unknown joint group '{name}'", remedy=did_you_mean(name, self.groups)
                )
        parts = []
        for name, group in self.groups.items():
            part = np.asarray(joints.get(name, np.zeros(len(group.joints))), dtype=float)
            if part.shape != (len(group.joints),):
                raise ConfigError(f"{name} has {len(group.joints)} joints, got {part.size}")
            parts.append(part)
        return np.concatenate(parts)

    def split(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Values by group from (n,)."""
        return dict(zip(self.groups, np.split(values, self._ends), strict=True))


class CollisionModel:
    """Distances of all pairs that can meet. Not thread-safe.

    Args:
        embodiment: the robot.
        config: its shapes and the pairs that are not checked.
        keep_outs: boxes around the robot.

    Raises:
        ConfigError: MuJoCo missing, wrong URDF, or a link that it lacks.
    """

    def __init__(
        self, embodiment: Embodiment, config: CollisionConfig, keep_outs: Sequence[KeepOut] = ()
    ) -> None:
        self._mujoco, spec = load_spec(embodiment)
        _prepare(self._mujoco, spec, embodiment, config, keep_outs)
        self._model = spec.compile()
        self._data = self._mujoco.MjData(self._model)
        self._mujoco.mj_kinematics(self._model, self._data)
        self.joints = JointVector(embodiment, self._model)
        if np.any(self._model.jnt_type != self._mujoco.mjtJoint.mjJNT_HINGE):
            raise ConfigError(
                "the collision guard knows turning joints only", where=str(embodiment.urdf_path)
            )
        self._keep_outs = tuple(keep_outs)
        self._world = {FLOOR, *(keep_out.name for keep_out in keep_outs)}
        links = [self._model.body(body).name for body in self._model.geom_bodyid]
        names = [
            self._model.geom(i).name if link == "world" else link for i, link in enumerate(links)
        ]
        ignored = config.disabled_pairs() | adjacent_links(embodiment)
        pairs = _pairs(names, config, [keep_out.name for keep_out in keep_outs], ignored)
        # With the world's things second, the sphere that stands for the first stays small.
        self._first, self._second = np.array(pairs, dtype=int).reshape(-1, 2).T
        self.pair_names = [(names[a], names[b]) for a, b in pairs]
        self._moved = self._moved_by()
        self._between = self._moved[self._first] != self._moved[self._second]
        self._reach = self._greatest_reach()
        bodies = self.joints.bodies
        self._between_joints = np.array(  # [j, i]: joint j is carried by joint i
            [[i in self._ancestors(j) for i in bodies] for j in bodies], dtype=float
        )
        box = self._model.geom_aabb  # (geoms, 6) centre and half size in the geom's frame
        self._box_centre, self._box_half = box[:, :3].copy(), box[:, 3:].copy()
        plane = self._model.geom_type == self._mujoco.mjtGeom.mjGEOM_PLANE
        self._box_centre[plane] = [0.0, 0.0, -_DEEP_M]  # all below a plane is inside
        self._box_half[plane] = _DEEP_M
        self._radius = np.linalg.norm(self._box_half, axis=1)
        self._points = np.zeros(6)
        self.place_base(np.zeros(3))

    def place_base(self, base_pose: np.ndarray) -> None:
        """Where the base stands in odom, x, y [m], yaw [rad], for keep-outs given there."""
        x, y, yaw = base_pose
        cos, sin = np.cos(yaw), np.sin(yaw)
        turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
        for i, keep_out in enumerate(self._keep_outs):
            centre, angle = keep_out.centre, keep_out.yaw_rad
            if keep_out.frame == "odom":
                centre, angle = turn @ (np.asarray(centre) - [x, y, 0.0]), angle - yaw
            self._data.mocap_pos[i] = centre
            self._data.mocap_quat[i] = [np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]

    def place(self, posture: np.ndarray) -> None:
        """The joints (n,) [rad] that the next questions are about."""
        self._data.qpos[self.joints.position_index] = posture
        self._mujoco.mj_kinematics(self._model, self._data)

    def levers(self, travel: np.ndarray) -> np.ndarray:
        """(pairs, joints) how much [m/rad] a joint can bring a pair nearer, at most.

        Holds as long as no joint is further than `travel` (joints,) [rad] from where it was
        placed last: a shape turns about a joint at the distance it has now, and at most as much
        more as the joints between them can carry it.
        """
        axis = self._data.xaxis[self.joints.ids]
        apart = self._centres()[:, None] - self._data.xanchor[self.joints.ids]
        along = np.einsum("gji,ji->gj", apart, axis)
        across = np.sqrt(np.maximum(np.einsum("gji,gji->gj", apart, apart) - along**2, 0.0))
        carried = (self._moved * (self._reach * travel)) @ self._between_joints
        lever = np.minimum(across + self._radius[:, None] + carried, self._reach) * self._moved
        result: np.ndarray = (lever[self._first] + lever[self._second]) * self._between
        return result

    def distances(self, needed: np.ndarray) -> np.ndarray:
        """Distances (pairs,) [m], negative for overlap.

        Args:
            needed: (pairs,) below this the distance is exact; else no more than the true one.
        """
        found = self._lower_bounds()
        near = np.flatnonzero(found < needed)
        found[near] = self.some_distances(near, needed[near])
        return found

    def some_distances(self, pairs: np.ndarray, needed: np.ndarray) -> np.ndarray:
        """Distances (k,) of the pairs with these indices; see `distances`."""
        return np.array(
            [self._distance(pair, limit) for pair, limit in zip(pairs, needed, strict=True)]
        )

    def nearest(self) -> Clearance:
        """The pair with the least distance of all."""
        bounds = self._lower_bounds()
        best, least = -1, np.inf
        for pair in np.argsort(bounds):
            if bounds[pair] >= least:
                break
            distance = self._distance(pair, least)
            if distance < least:
                best, least = int(pair), distance
        return self.clearance(best)

    def clearance(self, pair: int) -> Clearance:
        """Distance, names and nearest points of one pair."""
        distance = self._distance(pair, np.inf)
        points = self._points.reshape(2, 3).copy()
        return Clearance(distance, *self.pair_names[pair], *points)

    def gradients(self, pairs: np.ndarray) -> np.ndarray:
        """(len(pairs), joints) change of each distance per joint [m/rad], where placed last."""
        points = np.empty((len(pairs), 2, 3))
        sign = np.empty(len(pairs))
        for i, pair in enumerate(pairs):
            sign[i] = np.copysign(1.0, self._distance(pair, np.inf))
            points[i] = self._points.reshape(2, 3)
        first, second = self._first[pairs], self._second[pairs]
        across = (points[:, 1] - points[:, 0]) * sign[:, None]
        length = np.linalg.norm(across, axis=1)
        touching = length < 1e-9  # then apart means centre from centre
        if np.any(touching):
            centre = self._data.geom_xpos
            across[touching] = (centre[second] - centre[first])[touching]
            length[touching] = np.linalg.norm(across[touching], axis=1)
        normal = across / np.maximum(length, 1e-9)[:, None]
        axis, anchor = self._data.xaxis[self.joints.ids], self._data.xanchor[self.joints.ids]
        # A joint moves a point p by axis x (p - anchor); its part along the normal n is
        # axis . (p x n) - n . (axis x anchor).
        turned = normal @ np.cross(axis, anchor).T
        moving = [
            self._moved[geom] * (np.cross(points[:, i], normal) @ axis.T - turned)
            for i, geom in enumerate((first, second))
        ]
        return moving[1] - moving[0]

    def is_world(self, pair: int) -> bool:
        """Whether the pair is of a link and something that is no part of the robot."""
        return self.pair_names[pair][1] in self._world

    def _distance(self, pair: int, limit: float) -> float:
        """Distance [m] of one pair, `limit` if it is more; sets the nearest points."""
        first, second = int(self._first[pair]), int(self._second[pair])
        limit = min(float(limit), _DEEP_M)
        distance: float = self._mujoco.mj_geomDistance(
            self._model, self._data, first, second, limit, self._points
        )
        return distance

    def _lower_bounds(self) -> np.ndarray:
        """(pairs,) the greater distance of two: each box to the upright box round the other."""
        turn, centre = self._data.geom_xmat.reshape(-1, 3, 3), self._centres()
        first, second = self._first, self._second
        apart = (centre[second] - centre[first])[:, None]
        relative = np.abs(turn[first].transpose(0, 2, 1) @ turn[second])
        half_first, half_second = self._box_half[first], self._box_half[second]
        seen_second = half_first + (relative @ half_second[:, :, None])[:, :, 0]
        seen_first = half_second + (half_first[:, None] @ relative)[:, 0]
        bounds = []
        for frame, halves in ((turn[first], seen_second), (turn[second], seen_first)):
            gap = np.maximum(np.abs((apart @ frame)[:, 0]) - halves, 0.0)
            bounds.append((gap * gap).sum(axis=1))
        overlapping = np.where((least := np.maximum(*bounds)) > 0.0, 0.0, np.inf)
        result: np.ndarray = np.sqrt(least) - overlapping
        return result

    def _centres(self) -> np.ndarray:
        """(geoms, 3) of the boxes round the shapes."""
        turn = self._data.geom_xmat.reshape(-1, 3, 3)
        centres: np.ndarray = self._data.geom_xpos + (turn @ self._box_centre[:, :, None])[:, :, 0]
        return centres

    def _ancestors(self, body: int) -> list[int]:
        """Bodies that carry this one, nearest first."""
        carriers = []
        while body:
            body = int(self._model.body_parentid[body])
            carriers.append(body)
        return carriers

    def _moved_by(self) -> np.ndarray:
        """(geoms, joints) whether the joint moves the shape."""
        carriers = [[int(body), *self._ancestors(body)] for body in self._model.geom_bodyid]
        return np.array([np.isin(self.joints.bodies, bodies) for bodies in carriers])

    def _greatest_reach(self) -> np.ndarray:
        """(joints,) how far [m] from the joint any shape that it moves can ever be."""
        model = self._model
        reach = np.zeros(model.nbody)
        for geom, body in enumerate(model.geom_bodyid):
            farthest = np.linalg.norm(model.geom_pos[geom]) + model.geom_rbound[geom]
            reach[body] = max(reach[body], farthest)
        for body in range(model.nbody - 1, 0, -1):  # children come after their parents
            parent = model.body_parentid[body]
            along = float(np.linalg.norm(model.body_pos[body]))
            reach[parent] = max(reach[parent], along + reach[body])
        result: np.ndarray = reach[self.joints.bodies]
        return result


def _prepare(
    mujoco: Any,
    spec: Any,
    embodiment: Embodiment,
    config: CollisionConfig,
    keep_outs: Sequence[KeepOut],
) -> None:
    """Leaves colliding shapes and driven joints; adds the configured shapes and the world."""
    driven = {joint for name in embodiment.GROUPS for joint in embodiment.group(name).joints}
    for joint in list(spec.joints):
        if joint.name not in driven:
            spec.delete(joint)
    for geom in list(spec.geoms):
        if not geom.contype or geom.parent.name in config.left_out:
            spec.delete(geom)
    links = {body.name: body for body in spec.bodies}
    mentioned = {shape.link for shape in config.shapes}
    mentioned |= {*config.left_out, *config.floor_exempt, *config.keep_out_exempt}
    mentioned |= {link for pair in config.disabled_pairs() for link in pair}
    for link in sorted(mentioned - links.keys()):
        raise ConfigError(
            f"collisions: no link '{link}'",
            where=str(embodiment.urdf_path),
            remedy=did_you_mean(link, links),
        )
    box = mujoco.mjtGeom.mjGEOM_BOX
    for shape in config.shapes:
        links[shape.link].add_geom(type=box, pos=shape.position, size=shape.half_size)
    spec.worldbody.add_geom(
        name=FLOOR,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=[0.0, 0.0, config.floor_height_m],
        size=[1.0, 1.0, 1.0],  # drawn size; a plane has no end
    )
    taken = {*links, FLOOR}
    for keep_out in keep_outs:
        if keep_out.name in taken:
            raise ConfigError(
                f"something else is named '{keep_out.name}' too", remedy="rename the keep-out"
            )
        taken.add(keep_out.name)
        body = spec.worldbody.add_body(name=keep_out.name, mocap=True)
        body.add_geom(type=box, size=keep_out.half_size)


def _pairs(
    names: Sequence[str],
    config: CollisionConfig,
    keep_outs: Sequence[str],
    ignored: set[frozenset[str]],
) -> list[tuple[int, int]]:
    """Pairs of geoms to be checked; a thing of the world comes second."""
    world = {FLOOR: config.floor_exempt} | dict.fromkeys(keep_outs, config.keep_out_exempt)
    pairs = []
    for first, second in itertools.combinations(range(len(names)), 2):
        if names[first] in world:
            first, second = second, first
        a, b = names[first], names[second]
        if a == b or a in world or frozenset((a, b)) in ignored or a in world.get(b, ()):
            continue
        pairs.append((first, second))
    return pairs
