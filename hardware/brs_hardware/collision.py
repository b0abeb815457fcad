"""Keeps the robot off itself, the floor and keep-out boxes, one small joint step at a time.

    wanted step --> slow down: of all steps the joints can make now, the one nearest to the
                    wanted that approaches nothing faster than can be stopped (a small QP)
                --> prove: does braking from there end before the stop distance?  yes: send it
                                                                                  no: brake

Why this is safe: a step is sent only if braking from it, step by step at the joints' greatest
deceleration, passes no posture nearer than the stop distance. So from every posture that was
sent there is such a way to rest, namely the rest of the braking that was checked one step
before; it is what is sent when nothing else can be proved. Between two checked postures
distances are bounded by how far the links can travel, so nothing thin is jumped over. Only a
keep-out given in `odom` can come nearer by itself, when the base drives.

Every joint is sent between its wanted step and its hardest braking: never faster than wanted,
never further than its acceleration limit away from its speed. What starts nearer than the stop
distance may go anywhere that is not nearer still. What starts overlapping may go wherever the
overlaps do not grow in sum: one may have to grow a little while the others go.

Not thread-safe. Needs the extra `sim` (MuJoCo, DAQP).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from brs_hardware.collision_config import CollisionConfig, KeepOut, load_collision_config
from brs_hardware.collision_model import FLOOR, Clearance, CollisionModel
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError

__all__ = [
    "Clearance",
    "CollisionConfig",
    "CollisionGuard",
    "GuardEvent",
    "GuardResult",
    "KeepOut",
]

# Distances of touching shapes are exact to about this; a motion this small is none.
_TOLERANCE_M = 1e-6
_TOLERANCE_RAD = 1e-6
# Slowing down aims this far outside the stop distance, because it thinks in straight lines.
_BUFFER_M = 0.002
_CORRECTION = 0.2  # share of an intrusion into that buffer that one step makes good


@dataclass(frozen=True)
class GuardEvent:
    """Why a step was changed."""

    rule: str  # self_collision or keep_out
    first: str  # link
    second: str  # link, keep-out or `floor`
    distance_m: float  # before the step
    braked: bool  # True: braking hard; False: slowed or turned aside
    message: str


@dataclass(frozen=True)
class GuardResult:
    """What to send."""

    position: dict[str, np.ndarray]  # torso, left_arm, right_arm [rad]
    velocity: dict[str, np.ndarray]  # that leads there [rad/s]
    events: tuple[GuardEvent, ...]


class CollisionGuard:
    """See the module.

    Args:
        embodiment: the robot.
        config: distances and shapes; `<robot>_collisions.yaml` if not given.
        keep_outs: boxes around the robot.

    Raises:
        ConfigError: MuJoCo or DAQP missing, or the configuration does not fit the URDF.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        config: CollisionConfig | None = None,
        keep_outs: Sequence[KeepOut] = (),
    ) -> None:
        try:
            import daqp
        except ImportError:
            raise ConfigError(
                "the collision guard needs DAQP, which is not installed",
                remedy="pip install brs[sim]",
            ) from None
        self._solve = daqp.solve
        self.config = config or load_collision_config(embodiment)
        self._model = CollisionModel(embodiment, self.config, keep_outs)
        self._joints = self._model.joints
        self._deceleration = self._joints.limits("max_acceleration")
        self._weight = 1.0 / self._joints.limits("max_velocity") ** 2

    def clearance(
        self, joints: Mapping[str, np.ndarray], base_pose: np.ndarray | None = None
    ) -> Clearance:
        """The two things nearest to each other in one posture.

        Args:
            joints: positions [rad] by group; a group left out stands at zero.
            base_pose: (3,) x, y [m], yaw [rad] in odom; the origin if not given.
        """
        self._model.place_base(np.zeros(3) if base_pose is None else base_pose)
        self._model.place(self._joints.stack(joints))
        return self._model.nearest()

    def limit(
        self,
        position: dict[str, np.ndarray],
        velocity: dict[str, np.ndarray],
        wanted: dict[str, np.ndarray],
        dt_s: float,
        base_pose: np.ndarray,
    ) -> GuardResult:
        """The next posture to send.

        Args:
            position: commanded posture now [rad], by group.
            velocity: its velocity [rad/s].
            wanted: next posture, already within the joints' limits of position, velocity and
                acceleration.
            dt_s: until it is sent [s], positive.
            base_pose: (3,) x, y [m], yaw [rad] in odom.
        """
        now, speed = self._joints.stack(position), self._joints.stack(velocity)
        goal = self._joints.stack(wanted) - now
        slower = np.maximum(np.abs(speed) - self._deceleration * dt_s, 0.0)
        brake = np.sign(speed) * slower * dt_s
        self._model.place_base(base_pose)
        self._model.place(now)
        fastest = np.maximum(np.abs(goal), np.abs(brake)) / dt_s
        travel = fastest * dt_s + fastest**2 / (2.0 * self._deceleration)
        levers = self._model.levers(travel)
        config = self.config
        floor = config.stop_distance_m + _BUFFER_M
        needed = np.maximum(config.slow_distance_m, floor + levers @ travel)
        needed[~np.any(levers, axis=1)] = -np.inf  # no joint moves them
        distance = self._model.distances(needed)
        near = np.flatnonzero(distance < needed)
        if not near.size:
            return self._result(now, goal, dt_s, ())
        distance, levers = distance[near], levers[near]
        step, limiting = self._slow_down(near, distance, levers, goal, brake, dt_s)
        least = np.minimum(config.stop_distance_m, distance)
        overlap = distance < 0.0
        least[overlap] = -np.inf
        path = self._braking_path(now, step, dt_s)
        braked = not (
            self._is_clear(path, near, distance, least - _TOLERANCE_M, levers)
            and self._is_no_deeper(path, near[overlap], distance[overlap])
        )
        if braked:
            step = brake
        if np.max(np.abs(step - goal)) < _TOLERANCE_RAD:
            return self._result(now, step, dt_s, ())
        if not limiting.size:
            limiting = np.array([np.argmin(distance)])
        events = tuple(self._event(near[i], float(distance[i]), braked) for i in limiting)
        return self._result(now, step, dt_s, events)

    def _slow_down(
        self,
        near: np.ndarray,
        distance: np.ndarray,
        levers: np.ndarray,
        goal: np.ndarray,
        brake: np.ndarray,
        dt_s: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Step (n,) between `brake` and `goal` that approaches nothing too fast.

        Nothing is approached faster than the joints that cause it can stop in the room left, nor
        (within the slow distance) faster than a speed that falls to zero at the stop distance.

        Returns:
            The step, and which of the near pairs keep it from the goal.
        """
        config = self.config
        room = distance - config.stop_distance_m - _BUFFER_M
        braking = np.abs(goal) / dt_s**2 / (2.0 * self._deceleration)  # per |goal|
        far = config.braking_share * room > levers @ (braking * np.abs(goal))
        counts = np.flatnonzero((distance < config.slow_distance_m) | ~far)
        if not counts.size:
            return goal, counts
        distance, room = distance[counts], room[counts]
        gradient = self._model.gradients(near[counts])
        share = np.maximum(-gradient * goal, 0.0)  # approach by each joint [m]
        asked = share.sum(axis=1)
        stopping = share @ braking
        planned = config.braking_share * np.maximum(room, 0.0)
        scale = np.sqrt(planned / np.maximum(stopping, 1e-12))
        slow_room = config.slow_distance_m - config.stop_distance_m - _BUFFER_M
        damped = config.approach_speed_m_s * dt_s * room / slow_room
        allowed = np.where(
            distance < config.slow_distance_m,
            np.minimum(scale * asked, damped),
            scale * asked,
        )
        allowed = np.where(room < 0.0, _CORRECTION * room, allowed)
        overlap = distance < 0.0
        if np.any(overlap):
            gradient[overlap] = gradient[overlap].mean(axis=0)
            allowed[overlap] = 0.0
        low, high = np.minimum(goal, brake), np.maximum(goal, brake)
        # No step can do more than this; then it does that, and braking is the last resort.
        possible = np.maximum(gradient * low, gradient * high).sum(axis=1)
        required = np.minimum(-allowed, possible - _TOLERANCE_M)
        binding = np.flatnonzero(gradient @ goal < required)
        if not binding.size:
            return goal, binding
        # Pairs that are too near already may ask for motions against each other; then it is enough
        # that none comes nearer.
        for least in (required, np.minimum(required, 0.0)):
            step, _, flag, _ = self._solve(
                np.diag(self._weight),
                -self._weight * goal,
                np.ascontiguousarray(gradient),
                np.concatenate([high, np.full(len(counts), 1e30)]),
                np.concatenate([low, least]),
            )
            if flag > 0:
                return np.clip(np.array(step), low, high), counts[binding]
        return brake, counts[binding]

    def _is_clear(
        self,
        path: np.ndarray,
        pairs: np.ndarray,
        start: np.ndarray,
        least: np.ndarray,
        levers: np.ndarray,
        end: np.ndarray | None = None,
    ) -> bool:
        """Whether the pairs stay apart by `least` on the way along `path`.

        Args:
            path: (k, joints) postures.
            pairs: (p,) their indices.
            start: (p,) distances at its beginning [m].
            least: (p,) [m].
            levers: (p, joints) of `CollisionModel.levers`.
            end: (p,) distances at its end, if known.
        """
        approach = levers @ np.abs(path[-1] - path[0])
        if end is None:
            doubtful = start - approach < least
            if not np.any(doubtful):
                return True
            pairs, start, least, levers, approach = _some(
                doubtful, pairs, start, least, levers, approach
            )
            end = self._distances_at(path[-1], pairs, least + approach)
            if np.any(end < least):
                return False
        # Nowhere between are they nearer than this, as no joint turns back.
        doubtful = (start + end - approach) / 2.0 < least
        if len(path) <= 2 or not np.any(doubtful):
            return True
        pairs, start, end, least, levers, approach = _some(
            doubtful, pairs, start, end, least, levers, approach
        )
        half = len(path) // 2
        middle = self._distances_at(path[half], pairs, least + approach)
        return (
            not np.any(middle < least)
            and self._is_clear(path[: half + 1], pairs, start, least, levers, middle)
            and self._is_clear(path[half:], pairs, middle, least, levers, end)
        )

    def _is_no_deeper(self, path: np.ndarray, pairs: np.ndarray, distance: np.ndarray) -> bool:
        """Whether pairs that overlap now do so no more after the step and at the path's end."""
        if not pairs.size:
            return True
        touching = np.zeros(len(pairs))
        return all(
            self._distances_at(posture, pairs, touching).sum() >= distance.sum() - _TOLERANCE_M
            for posture in (path[1], path[-1])
        )

    def _distances_at(
        self, posture: np.ndarray, pairs: np.ndarray, needed: np.ndarray
    ) -> np.ndarray:
        self._model.place(posture)
        return self._model.some_distances(pairs, needed)

    def _braking_path(self, now: np.ndarray, step: np.ndarray, dt_s: float) -> np.ndarray:
        """(k, n) postures: now, after the step, and of braking after it until all joints rest."""
        change = self._deceleration * dt_s
        speed = np.abs(step) / dt_s
        count = int(np.ceil(np.max(speed / change))) + 1
        left = np.maximum(speed - np.arange(count)[:, None] * change, 0.0)
        travelled = np.cumsum(left, axis=0) * dt_s * np.sign(step)
        return np.vstack([now, now + travelled])

    def _event(self, pair: int, distance_m: float, braked: bool) -> GuardEvent:
        first, second = self._model.pair_names[pair]
        rule = "keep_out" if self._model.is_world(pair) else "self_collision"
        what = "the floor" if second == FLOOR else second
        done = "braking" if braked else "slowed"
        message = f"{first} is {distance_m * 1000:.0f} mm from {what}; {done}"
        return GuardEvent(rule, first, second, distance_m, braked, message)

    def _result(
        self, now: np.ndarray, step: np.ndarray, dt_s: float, events: tuple[GuardEvent, ...]
    ) -> GuardResult:
        return GuardResult(self._joints.split(now + step), self._joints.split(step / dt_s), events)


def _some(chosen: np.ndarray, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(array[chosen] for array in arrays)
