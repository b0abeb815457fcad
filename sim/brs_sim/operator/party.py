"""How a person does `party`: dishwasher open, two bowls in two hands, into it, and shut.

to the dishwasher -> pull its door by the handle, push it down -> to the table -> take the bowls
-> back to the dishwasher -> put them in, one after the other -> lift the door shut

What comes next is decided from what is seen: a bowl that was missed is gone for again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_sim.geometry import shifted
from brs_sim.operator.habits import Habits
from brs_sim.operator.hands import ARMS, GRIPPERS, Hands, Motion, fixed, together
from brs_sim.operator.motions import tool_pose
from brs_sim.operator.scripted import Script, plays
from brs_sim.operator.surfaces import SIDE, Hinge, fist_reach, retreat, stance, trace, withdrawn
from brs_sim.tasks.party import (
    DOOR_THICK,
    FLOOR,
    FRONT_FROM_HINGE,
    HANDLE_HEIGHT,
    HANDLE_OUT,
    HINGE_HEIGHT,
    RACK,
)

_BOWLS = {"left_arm": "bowl_left", "right_arm": "bowl_right"}
_CARRY = np.array([0.42, 0.28, -0.05])  # of the hands from the carrier of the arms [m]
_NEAR = np.array([0.25, 0.30, 0.0])
_CARRY_PITCH = 0.4
_KNEE, _LEAN_RAD, _KNEE_LOW = -0.9, 0.6, -1.3
_TO_MACHINE, _TO_TABLE = 0.0, -np.pi / 2  # ways that the robot faces [rad]
# How far ahead of the base the front of the dishwasher is for pulling, placing, shutting.
_AHEAD_PULL_M, _AHEAD_PLACE_M, _AHEAD_SHUT_M = 0.90, 0.80, 1.02
# For pushing; nearer, the arm would fold onto itself, and be held back. The fist is raised before.
_AHEAD_PUSH_M, _BEFORE_PUSH_M = 1.10, 0.15
_ABOVE_EDGE, _ABOVE_EDGE_PITCH = (0.04, 0.0, 0.16), 0.6  # of the fist, seen from where it pushes
_BEFORE_SHUT_M = 1.45
_BOWLS_AHEAD_M = 0.70
_TURNING_ROOM_M = 0.3
_YAW = 0.3  # hands point inwards
_GRIP_SIDE_M, _BASE_SIDE_M = 0.10, 0.10  # along the handle, and of the base from its middle
_PULLED_RAD = 0.55
_PUSH_PITCH, _PUSH_RADII = 0.9, (0.38, 0.30)  # of the fist from the hinge while it pushes
_PUSH_END_RAD, _OPEN_RAD = 1.5, 1.32
_SHUT_SIDE_M, _SHUT_RADIUS_M = 0.275, 0.42  # beside the handle
_SHUT_PITCH = (0.3, 0.0)  # of the fist with the door shut and open
_SHUT_RAD = 0.05
_PRESS_M = 0.006  # a fist that pushes is led so far into the door
# Steeper than the wall of a bowl: the outer finger would touch the table, or lift the bowl.
_RIM_PITCH = 1.3
_RIM = (0.065, 0.034)  # from the foot, outward and up [m]; out of a shallow grip the wall creeps
_RIM_OFFSET = np.array([[-0.09, -0.03, 0.03], [-0.03, 0.03, 0.08]])  # of the tool, placing [m]
_LIFT_M, _DRAW_BACK_M = 0.14, 0.12
_PLACE_DEPTH_M, _PLACE_SIDE_M = 0.12, 0.14  # of a bowl behind the front, and from the middle
_ABOVE_M = 0.06
_TRIES = 14
_MISJUDGED_M = 0.012  # at most, from afar; the eye mends it on the way in


@plays("party")
class PartyScript(Script):
    """See the module."""

    def __init__(self, embodiment: Embodiment, seed: int) -> None:
        self._habits = Habits(seed)
        self._random = np.random.default_rng([seed, 7])  # where to stand, which side first
        super().__init__(Hands(embodiment, self._habits.pace))
        self._at = ""  # where the robot stands
        self._begun = False

    def run(self) -> Motion:
        """See Script."""
        hands = self.hands
        self.phase, self._at = "take hold", ""
        yield from hands.take_hold()
        self.phase = "raise arms"
        free = [arm for arm in ARMS if not self._holds(arm)]
        if self._begun:  # and had to let go: out of what the hands are in
            yield from together(*(retreat(hands, arm) for arm in free))
        self._begun = True
        yield from together(*(self._carry(arm, 1.2) for arm in free))
        for _ in range(_TRIES):
            step = self._next_step()
            if step is None:
                break
            yield from step
        self.phase = "lower arms"
        ready = hands.embodiment.poses["ready"]
        yield from together(
            hands.stand_at(0.0, lean_rad=0.0),
            *(hands.release(arm) for arm in ARMS),
            *(hands.move_arm(arm, ready[arm], speed=1.2) for arm in ARMS),
        )

    def _next_step(self) -> Motion | None:
        """What there is to do, from what is seen."""
        outside = [arm for arm in ARMS if not self._inside(_BOWLS[arm])]
        held = [arm for arm in outside if self._holds(arm)]
        missing = [arm for arm in outside if arm not in held and self._on_table(_BOWLS[arm])]
        if not outside:
            return self._shut() if self._angle() > _SHUT_RAD else None
        if missing and not held and self._angle() < _OPEN_RAD:
            return self._open()
        if missing:
            return self._fetch(missing)
        return self._put_in(held) if held else None

    # -- what the person sees --------------------------------------------------------------

    def _hinge(self) -> Hinge:
        return Hinge(self.hands.objects["door"][0], np.array([0.0, -1.0, 0.0]))

    def _angle(self) -> float:
        return self._hinge().angle(self.hands.objects["door"][1])

    def _front(self) -> np.ndarray:
        """(2,) middle of the front of the dishwasher [m]."""
        return shifted(self._hinge().place[:2], FRONT_FROM_HINGE, 0.0)

    def _on_door(self, out: float, left: float, height: float, angle: float) -> np.ndarray:
        """A point of the door, given `out` of its inner face, with the door so far open."""
        hinge = self._hinge()
        closed = np.array([hinge.place[0] - out, hinge.place[1] + left, height])
        return hinge.turned(closed, angle)

    def _inside(self, bowl: str) -> bool:
        place = self.hands.objects[bowl][0]
        held = any(self._holds(arm) and _BOWLS[arm] == bowl for arm in ARMS)
        return bool(place[0] > self._front()[0] + 0.02 and place[2] > FLOOR and not held)

    def _on_table(self, bowl: str) -> bool:
        return bool(self.hands.objects[bowl][0][1] < self._front()[1] - 1.0)

    def _holds(self, arm: str) -> bool:
        """The gripper is stopped by something, and the bowl is at the tool."""
        closed = getattr(self.hands.robot, GRIPPERS[arm])
        near = self.hands.objects[_BOWLS[arm]][0] - self.hands.tool(arm)[:3, 3]
        stopped = arm in self.hands.squeezed and closed < 0.985
        return bool(stopped and np.linalg.norm(near) < 0.16)

    # -- whole body ------------------------------------------------------------------------

    def _carry(self, arm: str, speed: float = 0.9, place: np.ndarray = _CARRY) -> Motion:
        angles = self.hands.posture(arm, place * [1, SIDE[arm], 1], _CARRY_PITCH)
        yield from self.hands.move_arm(arm, angles, speed)

    def _go(self, where: str, goal: np.ndarray, knee: float = _KNEE) -> Motion:
        """Drive to a pose (3,) of the base; from a place that is left, back off first."""
        hands = self.hands
        goal = goal + np.append(self._random.uniform(-0.012, 0.012, 2), 0.0)
        if self._at and self._at != where:
            x, y, yaw = hands.robot.base_pose
            back = _TURNING_ROOM_M * np.array([np.cos(yaw), np.sin(yaw), 0.0])
            yield from hands.drive_to(fixed(np.array([x, y, yaw]) - back))
        self._at = where
        stand = hands.stand_at(knee, _LEAN_RAD)
        yield from together(hands.drive_to(fixed(goal)), stand)

    def _before_machine(self, ahead: float, left: float, knee: float = _KNEE) -> Motion:
        yield from self._go("machine", stance(self._front(), _TO_MACHINE, ahead, left), knee)

    # -- door ------------------------------------------------------------------------------

    def _open(self) -> Motion:
        """Pull the door by its handle until a fist fits behind it, then push it down."""
        hands, arm = self.hands, "left_arm"
        self.phase = "to the dishwasher"
        yield from self._before_machine(_AHEAD_PULL_M, _BASE_SIDE_M)
        if self._angle() < _PULLED_RAD - 0.2:
            yield from self._pull()
        if self._angle() < _PULLED_RAD - 0.2:
            return
        self.phase = "push the door down"
        # The other hand would be where the door comes down.
        near = self._carry("right_arm", place=_NEAR)
        back = stance(self._front(), _TO_MACHINE, _AHEAD_PUSH_M + _BEFORE_PUSH_M, _BASE_SIDE_M)
        yield from together(near, hands.squeeze(arm, 0.2), hands.drive_to(fixed(back)))
        begin = self._angle()

        def fist(share: float) -> np.ndarray:
            angle = begin + share * (_PUSH_END_RAD - begin)
            radius = float(np.interp(angle, [_PULLED_RAD, _PUSH_END_RAD], _PUSH_RADII))
            spot = self._on_door(0.0, _GRIP_SIDE_M, HINGE_HEIGHT + radius, angle)
            inward = np.array([np.cos(angle), 0.0, np.sin(angle)])
            yaw = hands.robot.base_pose[2] - _YAW
            pose = tool_pose(spot, yaw, _PUSH_PITCH)
            pose[:3, 3] += inward * (fist_reach(pose, -inward) - _PRESS_M)
            return pose

        yaw = hands.robot.base_pose[2] - _YAW
        above = tool_pose(fist(0.0)[:3, 3] + _ABOVE_EDGE, yaw, _ABOVE_EDGE_PITCH)
        outside = above.copy()
        outside[0, 3] -= _BEFORE_PUSH_M
        yield from hands.reach(arm, fixed(outside), 0.3, 0.2)
        goal = stance(self._front(), _TO_MACHINE, _AHEAD_PUSH_M, _BASE_SIDE_M)
        yield from hands.drive_to(fixed(goal), 6.0)  # over the edge of the door
        for pose in (above, fist(0.0)):
            yield from hands.reach(arm, fixed(pose), 0.22, 0.2)
        yield from trace(hands, arm, fist, 0.5, 0.16)
        up = hands.tool(arm)
        up[2, 3] += 0.2
        yield from hands.reach(arm, fixed(up), 0.25, 0.0)
        yield from together(hands.release(arm), *(self._carry(arm) for arm in ARMS))

    def _pull(self) -> Motion:
        hands, arm = self.hands, "left_arm"
        self.phase = "pull the door"
        begin = self._angle()

        def at_handle(angle: float) -> np.ndarray:
            out = DOOR_THICK + HANDLE_OUT - FRONT_FROM_HINGE
            place = self._on_door(out, _GRIP_SIDE_M, HANDLE_HEIGHT, angle)
            yaw = hands.robot.base_pose[2] - _YAW
            return tool_pose(place, yaw, 0.1 - 0.3 * angle, -np.pi / 2)

        yield from hands.release(arm, 0.1)
        off = self._habits.misjudged(_MISJUDGED_M)

        def approach() -> np.ndarray:
            pose = withdrawn(at_handle(begin))
            pose[:3, 3] += off
            return pose

        yield from hands.reach(arm, approach, 0.25, 0.2)
        yield from hands.reach(arm, lambda: at_handle(begin), 0.14)
        yield from hands.squeeze(arm)
        way = _PULLED_RAD + 0.05 - begin
        yield from trace(hands, arm, lambda s: at_handle(begin + s * way), 0.46 * way, 0.12)
        yield from hands.release(arm)
        yield from retreat(hands, arm)
        yield from self._carry(arm)

    def _shut(self) -> Motion:
        """Lift the door with a fist from below, beside its handle, and push it home."""
        hands, arm = self.hands, "left_arm"
        self.phase = "to the open door"
        # Back off first: arms that come down with the trunk would meet the door.
        back = stance(self._front(), _TO_MACHINE, _BEFORE_SHUT_M, 0.0)
        yield from hands.drive_to(fixed(back))
        yield from self._carry("right_arm", place=_NEAR)  # it would lie on the door
        yield from hands.stand_at(_KNEE_LOW, _LEAN_RAD)
        self.phase = "shut the door"
        yield from hands.squeeze(arm, 0.2)
        begin = self._angle()

        def fist(share: float) -> np.ndarray:
            angle = begin * (1.0 - share)
            spot = self._on_door(DOOR_THICK, _SHUT_SIDE_M, HINGE_HEIGHT + _SHUT_RADIUS_M, angle)
            outward = -np.array([np.cos(angle), 0.0, np.sin(angle)])
            pitch = float(np.interp(angle, [0.0, np.pi / 2], _SHUT_PITCH))
            pose = tool_pose(spot, hands.robot.base_pose[2] - 0.1, pitch)
            pose[:3, 3] += outward * (fist_reach(pose, -outward) - _PRESS_M)
            return pose

        # The fist is brought low before the door, and driven under it.
        below = fist(0.0)
        below[:3, 3] -= [_BEFORE_SHUT_M - _AHEAD_SHUT_M + 0.08, 0.0, 0.08]
        yield from hands.reach(arm, fixed(below), 0.25, 0.3)
        goal = stance(self._front(), _TO_MACHINE, _AHEAD_SHUT_M, 0.0)
        yield from hands.drive_to(fixed(goal), 6.0)
        yield from trace(hands, arm, fist, _SHUT_RADIUS_M * begin + 0.1, 0.16)
        if self._angle() > _SHUT_RAD:
            home = fist(1.0)
            home[0, 3] += 0.02
            yield from hands.reach(arm, fixed(home), 0.1, 0.3)
        yield from retreat(hands, arm)
        yield from together(hands.release(arm), self._carry(arm))

    # -- bowls -----------------------------------------------------------------------------

    def _fetch(self, arms: list[str]) -> Motion:
        hands = self.hands
        self.phase = "to the table"
        middle = np.mean([hands.objects[bowl][0][:2] for bowl in _BOWLS.values()], axis=0)
        if len(arms) == 1:  # before the one that is left, the other hand keeps clear
            side = np.array([-np.sin(_TO_TABLE), np.cos(_TO_TABLE)]) * SIDE[arms[0]]
            middle = hands.objects[_BOWLS[arms[0]]][0][:2] - 0.24 * side
        yield from self._go("table", stance(middle, _TO_TABLE, _BOWLS_AHEAD_M, 0.0))
        self.phase = f"take {' and '.join(_BOWLS[arm] for arm in arms)}"
        yield from together(*(self._take(arm) for arm in arms))

    def _take(self, arm: str) -> Motion:
        """Grip a bowl by the rim that is nearest, lift it and draw it near."""
        hands, bowl = self.hands, _BOWLS[arm]

        def at_rim() -> np.ndarray:
            yaw = hands.robot.base_pose[2] - SIDE[arm] * _YAW
            pose = tool_pose(hands.objects[bowl][0], yaw, _RIM_PITCH, -SIDE[arm] * np.pi / 2)
            pose[:2, 3] -= _RIM[0] * np.array([np.cos(yaw), np.sin(yaw)])
            pose[2, 3] += _RIM[1]
            return pose

        off = self._habits.misjudged(_MISJUDGED_M)

        def approach() -> np.ndarray:
            pose = withdrawn(at_rim())
            pose[:3, 3] += off
            return pose

        yield from hands.release(arm, 0.1)
        yield from hands.reach(arm, approach, 0.25, 0.2)
        yield from hands.reach(arm, at_rim, 0.12)
        yield from hands.squeeze(arm)
        lifted = hands.tool(arm)
        lifted[2, 3] += _LIFT_M
        yield from hands.reach(arm, fixed(lifted), 0.14, 0.2)
        yaw = hands.robot.base_pose[2]
        lifted[:2, 3] -= _DRAW_BACK_M * np.array([np.cos(yaw), np.sin(yaw)])
        yield from hands.reach(arm, fixed(lifted), 0.2, 0.0)
        if not self._holds(arm):
            yield from hands.release(arm, 0.1)
            yield from self._carry(arm)

    def _put_in(self, arms: list[str]) -> Motion:
        hands = self.hands
        self.phase = "back to the dishwasher"
        yield from self._before_machine(_AHEAD_PLACE_M, 0.0)
        yield from hands.wait(0.6)
        for arm in arms:
            if self._holds(arm):
                self.phase = f"put {_BOWLS[arm]} in"
                yield from self._place(arm)

    def _place(self, arm: str) -> Motion:
        hands, bowl = self.hands, _BOWLS[arm]
        front, hand = self._front(), hands.tool(arm)
        spot = np.array(
            [front[0] + _PLACE_DEPTH_M, front[1] + SIDE[arm] * _PLACE_SIDE_M, FLOOR + RACK]
        )
        # A bowl that swings in the hand must not lead it deep into the machine.
        offset = np.clip(hand[:3, 3] - hands.objects[bowl][0], *_RIM_OFFSET)

        def over(above: float, back: float = 0.0) -> Callable[[], np.ndarray]:
            pose = hand.copy()
            pose[:3, 3] = spot + offset + [-back, 0.0, above]
            return fixed(pose)

        yield from hands.reach(arm, over(_ABOVE_M, 0.22), 0.2, 0.2)
        yield from hands.reach(arm, over(_ABOVE_M), 0.16, 0.3)
        yield from hands.reach(arm, over(0.0), 0.08, 0.3)
        yield from hands.release(arm)
        yield from retreat(hands, arm, 0.15)
        yield from self._carry(arm)
