"""How a person does `clothes`: the left hand opens the door, the right one does the rest.

raise arms -> to the wardrobe -> grip the handle, pull along its arc -> push the door wide from
inside -> grip the jacket's shoulder, lift its hook off the rod, back off -> to the sofa bed, turn
the hand over, lower, let go -> round to the outside of the door, push it shut

Whatever is seen not to have worked is done again.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_sim.geometry import shifted
from brs_sim.operator.doors import Door, swing
from brs_sim.operator.habits import Habits
from brs_sim.operator.hands import ARMS, GRIPPERS, Hands, Motion, fixed, together
from brs_sim.operator.motions import tool_pose
from brs_sim.operator.scripted import Script, plays
from brs_sim.operator.surfaces import retreat, stance
from brs_sim.tasks.clothes import Clothes
from brs_sim.tasks.registry import make_task

_OPENER, _TAKER = "left_arm", "right_arm"
_PITCH = 0.1  # the tool points this far below the horizon [rad]
# Places of the tools from the carrier of the arms: forward, left, up [m].
_READY = np.array([0.40, 0.30, -0.10])
_PULL = np.array([0.69, 0.24, -0.19])
_WIDE = np.array([0.60, 0.20, -0.15])
_TAKE = np.array([0.72, -0.10, 0.16])
_OVER = np.array([0.68, -0.20, 0.05])  # the jacket turned over, high above the seat
_LAY = np.array([0.65, -0.20, -0.20])
_SHUT = np.array([0.60, -0.25, -0.15])
_BEFORE_M = 0.13  # distance from which things are approached
_MISJUDGED_M = 0.015
_LAPSES = 0.12  # share of grasps that go beside at first
_SHORT_M = 0.06  # of what was to be gripped, so far the hand stops then
_PULLED_RAD, _WIDE_RAD, _AJAR_RAD = 0.75, 2.05, 0.35
_HAND_YAW = 0.35  # the hand turns less than the handle, which turns in it [rad]
_GRIP_OFF_M = 0.06  # a handle farther from the tool has slipped
# The fist before the face of the door that it pushes; farther where it lies along the door.
_INSIDE_M, _OUTSIDE_M, _ALONG_M = 0.07, 0.03, 0.035
_PUSH_RADIUS_M = 0.44  # from the hinge
_OFF_ROD_M = 0.05
_LAY_PITCH, _LAY_ROLL = 0.3, np.pi / 2
# Hem and sleeves touch the seat first and trail: the tool goes round them on an arc.
_ARC_M, _ARC_ABOVE_M, _ARC_RAD = 0.40, 0.055, (0.15, 1.45)
_FINGER_ABOVE_M = 0.066  # the middle of the open hand, turned over, on a surface
_SHUT_RAD = 0.06
_PATIENCE_S = 14.0
_TRIES = 9
_FACING_SOFA = np.pi / 2


@plays("clothes")
class ClothesScript(Script):
    """See the module. The person knows the room, so `seed` is that of the scene, too."""

    def __init__(self, embodiment: Embodiment, seed: int) -> None:
        self._habits = Habits(seed)
        super().__init__(Hands(embodiment, self._habits.pace))
        room = make_task("clothes", embodiment, seed)
        assert isinstance(room, Clothes)
        self._room = room
        self._door = Door("door", -1.0)

    def run(self) -> Motion:
        """See Script."""
        self.phase = "take hold"
        yield from self.hands.take_hold()
        if not self._holds():
            yield from together(*(self.hands.release(arm) for arm in ARMS))
        if self._hangs():
            yield from self._raise_arms()
        for _ in range(_TRIES):
            if self._holds():
                yield from self._lay_out()
            elif self._is_laid():
                if self._angle() < _SHUT_RAD:
                    break
                yield from self._shut()
            elif not self._hangs():
                break
            elif self._angle() < _AJAR_RAD:
                yield from self._pull_open()
            elif self._angle() < _WIDE_RAD - 0.15:
                yield from self._push_wide()
            else:
                yield from self._take_out()
        yield from self._lower_arms()

    # -- what the person sees --------------------------------------------------------------

    def _angle(self) -> float:
        return self._door.angle(self.hands.objects)

    def _jacket(self) -> np.ndarray:
        return self.hands.objects["jacket"][0]

    def _hangs(self) -> bool:
        return bool(np.linalg.norm(self._jacket() - self._room.hanging) < 0.10)

    def _is_laid(self) -> bool:
        beside = np.abs(self._jacket()[:2] - self._room.sofa) < self._room.sofa_size[:2] / 2
        return bool(beside.all() and self._jacket()[2] < self._room.sofa_size[2] + 0.25)

    def _holds(self) -> bool:
        """The gripper is stopped by something, and the jacket is off its rod and at the tool."""
        closed = getattr(self.hands.robot, GRIPPERS[_TAKER])
        near = np.linalg.norm(self._jacket() - self.hands.tool(_TAKER)[:3, 3]) < 0.35
        gripped = _TAKER in self.hands.squeezed and closed < 0.97
        return bool(gripped and near and not self._hangs())

    def _posture(self, arm: str, place: np.ndarray) -> np.ndarray:
        return self.hands.posture(arm, place, _PITCH)

    def _before(
        self, point: np.ndarray, place: np.ndarray, yaw: float = 0.0, knee_rad: float = 0.0
    ) -> np.ndarray:
        """Where the base stands with a place before the trunk at a point."""
        forward = self.hands.carrier_at(knee_rad)[0, 3] + place[0]
        return stance(point, yaw, forward, place[1])

    # -- the door --------------------------------------------------------------------------

    def _handle(self, angle: float | None = None) -> np.ndarray:
        place = self._room.handle_on_door
        return self._door.point(self.hands.objects, place, angle)

    def _pull_open(self) -> Motion:
        hands, arm = self.hands, _OPENER
        self.phase = "to the wardrobe"
        yield from hands.release(arm)
        spot = self._handle(0.0) + self._habits.misjudged(_MISJUDGED_M)
        place = self._before(spot, _PULL)
        yield from hands.drive_to(fixed(place), _PATIENCE_S)
        self.phase = "grip the handle"
        short = -_SHORT_M if self._habits.lapses(_LAPSES) else 0.005
        off = self._habits.misjudged(_MISJUDGED_M)

        def at_handle(ahead: float) -> np.ndarray:
            return tool_pose(shifted(self._handle(), ahead, 0.0, 0.0), 0.0, _PITCH)

        before = at_handle(-_BEFORE_M)
        before[:3, 3] += off
        yield from hands.reach(arm, fixed(before), speed=0.18, settle_s=0.0)
        yield from hands.reach(arm, lambda: at_handle(-0.06), speed=0.12, settle_s=0.4)
        yield from hands.reach(arm, lambda: at_handle(short), speed=0.10, settle_s=0.4)
        yield from hands.squeeze(arm)
        self.phase = "pull the door open"
        back = place - [0.12, 0.0, 0.0]

        def tool_at(angle: float) -> np.ndarray:
            return tool_pose(self._handle(angle), -_HAND_YAW * angle, _PITCH)

        def grips() -> bool:
            away = hands.tool(arm)[:3, 3] - self._handle()
            return bool(np.linalg.norm(away) < _GRIP_OFF_M)

        yield from swing(hands, arm, tool_at, 0.0, 0.5 * _PULLED_RAD, 0.17, grips)
        yield from together(
            swing(hands, arm, tool_at, 0.5 * _PULLED_RAD, _PULLED_RAD, 0.17, grips),
            hands.drive_to(fixed(back), _PATIENCE_S),
        )
        self.phase = "let the handle go" if grips() else "the handle slipped"
        yield from hands.release(arm)
        yield from retreat(hands, arm, 0.16)

    def _beside(self, angle: float, off: float) -> np.ndarray:
        """(3,) at the door open so far, `off` outward of its outer face [m]."""
        return self._door.point(
            self.hands.objects, np.array([-off, -_PUSH_RADIUS_M, self._room.handle_height]), angle
        )

    def _push_wide(self) -> Motion:
        """From inside, with the back of the fist."""
        hands, arm = self.hands, _OPENER
        self.phase = "push the door wide"
        hands.squeezed.add(arm)

        def tool_at(angle: float) -> np.ndarray:
            return tool_pose(self._beside(angle, -_INSIDE_M), 0.2, _PITCH)

        begin = max(self._angle() - 0.12, 0.3)
        inside = tool_at(begin)
        before = inside.copy()
        before[:3, 3] += [-0.12, -0.14, 0.0]
        short = before.copy()  # of the door's edge, which the hand goes round
        short[0, 3] -= 0.15
        yield from hands.reach(arm, fixed(short), speed=0.2, settle_s=0.0)
        yield from together(
            hands.drive_to(fixed(self._before(inside[:3, 3], _WIDE)), _PATIENCE_S),
            hands.reach(arm, fixed(before), speed=0.12, settle_s=0.0),
        )
        yield from hands.reach(arm, fixed(inside), speed=0.15, settle_s=0.2)
        yield from swing(hands, arm, tool_at, begin, _WIDE_RAD + 0.1, 0.38)
        yield from hands.reach(arm, fixed(before), speed=0.25, settle_s=0.0)
        yield from hands.release(arm)

    def _shut(self) -> Motion:
        """From outside, the base going along."""
        hands, arm = self.hands, _TAKER
        self.phase = "round to the outside of the door"
        x, y, yaw = hands.robot.base_pose
        yield from hands.drive_to(fixed(np.array([x, y - 0.25, yaw])), _PATIENCE_S)
        yield from together(
            hands.move_arm(arm, self._posture(arm, _READY * [1, -1, 1]), speed=0.8),
            hands.stand_at(0.0),
        )
        begin = self._angle() + 0.1

        def tool_at(angle: float) -> np.ndarray:
            spot = self._beside(angle, _OUTSIDE_M + _ALONG_M * max(angle, 0.0))
            return tool_pose(spot, -_HAND_YAW * angle, _PITCH)

        outside = tool_at(begin)
        outside[:3, 3] += [-0.10, 0.08, 0.0]
        place = self._before(outside[:3, 3], _SHUT)
        x = min(hands.robot.base_pose[0], place[0] - 0.2)
        yield from hands.drive_to(fixed(np.array([x, place[1], 0.0])), _PATIENCE_S)
        hands.squeezed.add(arm)
        yield from hands.drive_to(fixed(place), _PATIENCE_S)
        self.phase = "shut the door"
        yield from hands.reach(arm, fixed(outside), speed=0.2, settle_s=0.0)
        yield from hands.reach(arm, fixed(tool_at(begin)), speed=0.2, settle_s=0.2)
        for start, end in pairwise(np.linspace(begin, -0.05, 4)):
            follow = self._before(tool_at(end)[:3, 3], _SHUT)
            yield from together(
                swing(hands, arm, tool_at, start, end, 0.33),
                hands.drive_to(fixed(follow), _PATIENCE_S),
            )
        yield from retreat(hands, arm)
        yield from hands.release(arm)

    # -- the jacket ------------------------------------------------------------------------

    def _take_out(self) -> Motion:
        hands, arm = self.hands, _TAKER
        self.phase = "to the jacket"
        yield from together(
            hands.release(arm),
            hands.move_arm(_OPENER, np.array(hands.embodiment.poses["ready"][_OPENER])),
        )
        about = self._habits.misjudged(_MISJUDGED_M)
        place = self._before(self._shoulder() + about, _TAKE)
        far = place - [0.25, 0.0, 0.0]
        yield from hands.drive_to(fixed(far), _PATIENCE_S)
        ready = self._posture(arm, _TAKE - [0.05, 0.0, 0.0])
        yield from hands.move_arm(arm, ready, speed=0.8)
        yield from hands.drive_to(fixed(place), _PATIENCE_S)
        self.phase = "take the jacket"
        short = -_SHORT_M if self._habits.lapses(_LAPSES) else 0.0

        def at_shoulder(ahead: float) -> np.ndarray:
            return tool_pose(shifted(self._shoulder(), ahead, 0.0, 0.0), 0.0, 0.2)

        yield from hands.reach(arm, lambda: at_shoulder(-0.09), speed=0.14)
        yield from hands.reach(arm, lambda: at_shoulder(short), speed=0.10)
        yield from hands.squeeze(arm)
        grip = hands.tool(arm)

        def lifted(ahead: float, up: float) -> np.ndarray:
            pose = grip.copy()
            pose[:3, 3] += [ahead, 0.0, up]
            return pose

        yield from hands.reach(arm, fixed(lifted(0.0, _OFF_ROD_M)), speed=0.10, settle_s=0.2)
        yield from hands.reach(arm, fixed(lifted(-0.12, _OFF_ROD_M + 0.04)), 0.12, settle_s=0.2)
        if not self._holds():
            self.phase = "the jacket is not in the hand; trying again"
            yield from hands.release(arm)
        self.phase = "back off from the wardrobe"
        x, y, yaw = hands.robot.base_pose
        yield from hands.drive_to(fixed(np.array([x - 0.35, y, yaw])), _PATIENCE_S)

    def _shoulder(self) -> np.ndarray:
        """(3,) where the jacket is gripped as it hangs."""
        return shifted(self._jacket(), *self._room.shoulder)

    def _along_shoulders(self) -> np.ndarray:
        """(2,) level direction from the gripped shoulder of the jacket to the other."""
        _, (w, x, y, z) = self.hands.objects["jacket"]
        along = np.array([1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)])
        return np.asarray(along / np.linalg.norm(along))

    def _lay_out(self) -> Motion:
        hands, arm = self.hands, _TAKER
        self.phase = "to the sofa bed"
        x, y, yaw = hands.robot.base_pose
        seat = self._room.sofa_size[2]
        knee = hands.knee_for(seat + 0.5 * _ARC_M + _ARC_ABOVE_M - _LAY[2])
        begin = shifted(self._room.sofa, -0.17, -0.24)

        def tool_at(angle: float) -> np.ndarray:
            spot = np.append(begin, seat + _ARC_ABOVE_M)
            spot += _ARC_M * np.array([np.sin(angle), 0.0, np.cos(angle)])
            return tool_pose(spot, _FACING_SOFA, _LAY_PITCH, _LAY_ROLL)

        place = self._before(tool_at(_ARC_RAD[0])[:3, 3], _LAY, _FACING_SOFA, knee)
        if abs(yaw - _FACING_SOFA) > 0.5:
            x, y = min(x, -0.30), min(y, place[1] - 0.45)
            yield from hands.drive_to(fixed(np.array([x, y, yaw])), _PATIENCE_S)
            yield from hands.drive_to(fixed(np.array([x, y, _FACING_SOFA])), _PATIENCE_S)
        yield from hands.drive_to(fixed(place), _PATIENCE_S)
        self.phase = "turn the jacket over"
        over = hands.posture(arm, _OVER, _LAY_PITCH, roll=_LAY_ROLL)
        yield from hands.move_arm(arm, over, speed=0.6)
        self.phase = "lay the jacket down"
        yield from hands.stand_at(knee)
        yield from hands.reach(arm, fixed(tool_at(_ARC_RAD[0])), speed=0.12, settle_s=0.1)
        aside = shifted(place, 0.5 * _ARC_M, 0.0, 0.0)
        yield from together(
            swing(hands, arm, tool_at, *_ARC_RAD, 0.37), hands.drive_to(fixed(aside), _PATIENCE_S)
        )
        yield from hands.release(arm)
        low = hands.tool(arm)  # so low that the jacket rests on the seat, not on the finger
        low[2, 3] = seat + _FINGER_ABOVE_M
        yield from hands.reach(arm, fixed(low), speed=0.10, settle_s=0.2)
        away = low.copy()
        away[:2, 3] -= 0.25 * self._along_shoulders()
        yield from hands.reach(arm, fixed(away), speed=0.45, settle_s=0.0)
        yield from hands.stand_at(0.0)

    # -- before and after ------------------------------------------------------------------

    def _raise_arms(self) -> Motion:
        self.phase = "raise arms"
        yield from together(
            self.hands.stand_at(0.0),
            self.hands.move_arm(_OPENER, self._posture(_OPENER, _READY), 1.2),
            self.hands.move_arm(_TAKER, self._posture(_TAKER, _READY * [1, -1, 1]), 1.2),
        )

    def _lower_arms(self) -> Motion:
        self.phase = "lower arms"
        ready = self.hands.embodiment.poses["ready"]
        x, y, yaw = self.hands.robot.base_pose
        yield from self.hands.drive_to(fixed(np.array([x - 0.2, y, yaw])), _PATIENCE_S)
        yield from together(
            self.hands.stand_at(0.0, lean_rad=0.0),
            *(self.hands.release(arm) for arm in ARMS),
            *(self.hands.move_arm(arm, ready[arm], speed=1.2) for arm in ARMS),
        )
