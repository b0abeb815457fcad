"""How a person does `toilet`: the sponge in the right hand, cover and flush with the left.

raise arms -> squat before the toilet -> take the sponge -> lift the cover -> wipe the seat
           -> lower the cover -> wipe it -> flush -> lower arms

What comes next is decided from what is seen, so that a sponge that was missed or a cover that
fell shut is seen to.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_sim.operator.habits import Habits
from brs_sim.operator.hands import ARMS, Hands, Motion, fixed, together
from brs_sim.operator.motions import tilt_of, tool_pose, wrapped, yaw_of
from brs_sim.operator.scripted import Script, plays
from brs_sim.operator.surfaces import (
    SIDE,
    Hinge,
    Wiping,
    along,
    fist_reach,
    pose_of,
    retreat,
    stance,
    trace,
    withdrawn,
)
from brs_sim.tasks.toilet import (
    BUTTON_TRAVEL,
    LID,
    LID_SPOTS,
    LID_TRAVEL,
    LID_UNDER,
    SEAT_SPOTS,
    SEAT_TOP,
    TAB,
)

_CARRY = np.array([0.45, 0.26, -0.10])  # of the hands from the carrier of the arms [m]
_CARRY_PITCH = 0.4
_LEAN_RAD = 0.6
_KNEE_LOW, _KNEE_FLUSH = -1.55, -1.3
_AHEAD_M, _AHEAD_FLUSH_M = 0.93, 0.80  # the lid's hinge before the base
_ASIDE_M = 0.2  # and how far it is on the side of the hand that works
_PITCH = 0.9  # of the hand that holds the sponge
_GRIP_ABOVE_M = 0.036  # of the tool above the bottom of the sponge: fingers stay off the lid
_LIFT_M = 0.16
_PRESS_M = 0.003
_WIPE_SPEED, _WIPE_ABOVE_M = 0.13, 0.09
_WIPE_NEAR_M = 0.07
# Ways of the sponge from the hinge [m], never over the hole. A hand that points forward pulls; it
# would trip over a sponge that it pushes.
_SEAT_STROKE = np.array([(-0.155, 0.138), (-0.36, 0.138), (-0.395, 0.09)])
_COVER_STROKE = np.array([(-0.12, 0.09), (-0.30, 0.09), (-0.355, 0.08)])
_COVER_SIDE_M = 0.015
_COVER_YAW, _COVER_PITCH = 0.4, (0.45, 0.9)  # of the hand at the closed and the open cover
_PRESS_PITCH = 0.6  # of the fist at the flush
_OPEN_RAD, _CLOSED_RAD = 1.55, 0.05
_TRIES = 16
_MISJUDGED_M = 0.012  # at most, from afar; the eye mends it on the way in
_FORWARD = 0.0  # the way the robot faces at the toilet


@plays("toilet")
class ToiletScript(Script):
    """See the module."""

    def __init__(self, embodiment: Embodiment, seed: int) -> None:
        self._habits = Habits(seed)
        self._random = np.random.default_rng([seed, 7])  # where to stand, which side first
        super().__init__(Hands(embodiment, self._habits.pace))
        self._seat: Wiping | None = None
        self._cover: Wiping | None = None
        self._thickness = 0.0  # of the sponge [m]
        self._flushed = self._begun = False
        self._side = ""  # arm on whose side the toilet is

    def run(self) -> Motion:
        """See Script."""
        hands = self.hands
        self.phase, self._side = "take hold", ""
        yield from hands.take_hold()
        self.phase = "raise arms"
        if self._begun:  # and had to let go: out of what the hands are in
            yield from together(*(retreat(hands, arm) for arm in ARMS))
        self._begun = True
        yield from together(*(self._carry(arm, 1.2) for arm in ARMS))
        for _ in range(_TRIES):
            step = self._next_step()
            if step is None:
                break
            yield from step
        self.phase = "lower arms"
        yield from self._away()
        ready = hands.embodiment.poses["ready"]
        yield from together(
            hands.stand_at(0.0, lean_rad=0.0),
            hands.release("left_arm"),
            hands.move_arm("left_arm", ready["left_arm"], speed=1.2),
        )

    def _next_step(self) -> Motion | None:
        """What there is to do, from what is seen and remembered."""
        if self._flushed:
            return None
        wiped = [w is not None and w.enough for w in (self._seat, self._cover)]
        if not all(wiped) and not self._holds():
            return self._pick() if self._within_reach() else None
        if not wiped[0]:
            return self._wipe_seat() if self._angle() > _OPEN_RAD else self._swing(LID_TRAVEL)
        if self._angle() > _CLOSED_RAD:
            return self._swing(0.0)
        return self._flush() if wiped[1] else self._wipe_cover()

    # -- what the person sees --------------------------------------------------------------

    def _hinge(self) -> Hinge:
        return Hinge(self.hands.objects["lid"][0], np.array([0.0, 1.0, 0.0]))

    def _angle(self) -> float:
        return self._hinge().angle(self.hands.objects["lid"][1])

    def _holds(self) -> bool:
        """The right gripper is stopped by something, and the sponge is at the tool."""
        near = self.hands.objects["sponge"][0] - self.hands.tool("right_arm")[:3, 3]
        held = "right_arm" in self.hands.squeezed and self.hands.robot.right_gripper < 0.85
        return bool(held and np.linalg.norm(near) < 0.09)

    def _within_reach(self) -> bool:
        """The sponge lies on the lid or the seat."""
        place = self.hands.objects["sponge"][0] - self._hinge().place
        return bool(np.abs(place[1]) < 0.25 and -0.5 < place[0] < 0.0 and abs(place[2]) < 0.1)

    # -- whole body ------------------------------------------------------------------------

    def _carry(self, arm: str, speed: float = 0.9) -> Motion:
        angles = self.hands.posture(arm, _CARRY * [1, SIDE[arm], 1], _CARRY_PITCH)
        yield from self.hands.move_arm(arm, angles, speed)

    def _before(self, arm: str, ahead: float = _AHEAD_M, knee: float = _KNEE_LOW) -> Motion:
        """Stand where the toilet is on the arm's side, squatting."""
        goal = stance(self._hinge().place, _FORWARD, ahead, SIDE[arm] * _ASIDE_M)
        goal[:2] += self._random.uniform(-0.012, 0.012, 2)
        squat = self.hands.stand_at(knee, _LEAN_RAD)
        if not self._side:  # from afar: knees are bent on the way
            yield from together(self.hands.drive_to(fixed(goal)), squat)
        elif self._side != arm or ahead != _AHEAD_M:
            if knee != _KNEE_LOW:
                yield from squat
            yield from self.hands.drive_to(fixed(goal))
        self._side = arm

    def _away(self) -> Motion:
        x, y, yaw = self.hands.robot.base_pose
        yield from self.hands.drive_to(fixed(np.array([x - 0.3, y, yaw])))

    # -- sponge ----------------------------------------------------------------------------

    def _at_sponge(self, off: np.ndarray) -> np.ndarray:
        hands = self.hands
        position, quaternion = hands.objects["sponge"]
        yaw = hands.robot.base_pose[2]
        # A sponge looks alike after half a turn.
        askew = (wrapped(yaw_of(quaternion) - yaw) + np.pi / 2) % np.pi - np.pi / 2
        place = position + off
        place[2] += _GRIP_ABOVE_M - self._thickness / 2
        return tool_pose(place, yaw + float(np.clip(askew, -0.5, 0.5)), _PITCH)

    def _pick(self) -> Motion:
        hands, arm = self.hands, "right_arm"
        self.phase = "to the sponge"
        yield from hands.release(arm, 0.1)
        yield from self._before(arm)
        self.phase = "take the sponge"
        place, quaternion = hands.objects["sponge"]
        if tilt_of(quaternion) < 0.2 and self._angle() < _CLOSED_RAD:
            self._thickness = 2.0 * (place[2] - LID_UNDER - LID[2])
        off = self._habits.misjudged(_MISJUDGED_M)
        yield from hands.reach(arm, lambda: withdrawn(self._at_sponge(off)), 0.22, 0.2)
        yield from hands.reach(arm, lambda: self._at_sponge(np.zeros(3)), 0.12)
        yield from hands.squeeze(arm)
        lifted = hands.tool(arm)
        lifted[2, 3] += _LIFT_M
        yield from hands.reach(arm, fixed(lifted), 0.16, 0.2)
        yield from self._carry(arm)

    def _wipe_seat(self) -> Motion:
        self.phase = "wipe the seat"
        if self._seat is None:
            self._seat = self._wiping(SEAT_SPOTS, SEAT_TOP)
        yield from self._wipe(self._seat, _SEAT_STROKE, SEAT_TOP)

    def _wipe_cover(self) -> Motion:
        self.phase = "wipe the cover"
        if self._cover is None:
            self._cover = self._wiping(LID_SPOTS, LID_UNDER + LID[2])
        yield from self._wipe(self._cover, _COVER_STROKE, LID_UNDER + LID[2])

    def _wiping(self, spots: np.ndarray, height: float) -> Wiping:
        both = np.concatenate([spots, spots * [1, -1]]) + self._hinge().place[:2]
        return Wiping(np.column_stack([both, np.full(len(both), height)]), _WIPE_NEAR_M)

    def _wipe(self, wiping: Wiping, stroke: np.ndarray, height: float) -> Motion:
        """Lead the sponge along a stroke (n, 2) from the hinge, and along its mirror image."""
        hands, arm = self.hands, "right_arm"
        yield from self._before(arm)
        wiping.tries += 1
        grip = np.linalg.inv(hands.tool(arm)) @ pose_of(*hands.objects["sponge"])
        askew = wrapped(yaw_of(hands.objects["sponge"][1]) - _heading(hands.tool(arm)))
        middle = height + self._thickness / 2 - _PRESS_M

        def with_sponge_at(place: np.ndarray, above: float = 0.0) -> np.ndarray:
            spot = np.append(place, middle + above)
            sponge = tool_pose(spot, hands.robot.base_pose[2] + askew, 0.0)
            pose: np.ndarray = sponge @ np.linalg.inv(grip)
            return pose

        for side in self._random.permutation([1.0, -1.0]):
            way = self._hinge().place[:2] + stroke * [1.0, side]
            way += self._random.normal(0.0, 0.004, 2)
            if not wiping.passed(way):
                yield from self._stroke(wiping, way, with_sponge_at)
        yield from self._carry(arm)

    def _stroke(
        self, wiping: Wiping, way: np.ndarray, with_sponge_at: Callable[..., np.ndarray]
    ) -> Motion:
        """Set the sponge down, lead it along a way (n, 2) in the world, and lift it."""
        hands, arm = self.hands, "right_arm"
        yield from hands.reach(arm, fixed(with_sponge_at(way[0], _WIPE_ABOVE_M)), 0.22, 0.4)
        yield from hands.reach(arm, fixed(with_sponge_at(way[0])), 0.10, 0.1)
        place, length_m = along(way), float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
        for _ in trace(hands, arm, lambda s: with_sponge_at(place(s)), length_m, _WIPE_SPEED):
            sponge = hands.objects["sponge"][0]
            wiping.look(sponge, sponge[2] - self._thickness / 2)
            yield
        yield from hands.reach(arm, fixed(with_sponge_at(way[-1], _WIPE_ABOVE_M)), 0.2, 0.0)

    # -- cover and flush -------------------------------------------------------------------

    def _at_tab(self, angle: float) -> np.ndarray:
        """Pose of the left tool with the tab between its fingers, the cover so far open [rad]."""
        hinge = self._hinge()
        # The finger below comes from the left: it shall bear on the middle of the tab.
        tab = np.array([-LID[0] - TAB[0] / 2, -_COVER_SIDE_M, LID[2] - TAB[2] / 2])
        place = hinge.turned(hinge.place + tab, angle)
        pitch = float(np.interp(angle, [0.0, LID_TRAVEL], _COVER_PITCH))
        yaw = self.hands.robot.base_pose[2] - _COVER_YAW
        return tool_pose(place, yaw, pitch, -np.pi / 2)

    def _swing(self, goal: float) -> Motion:
        """Lead the cover to an angle [rad] by its tab, between open fingers."""
        hands, arm = self.hands, "left_arm"
        begin = self._angle()
        self.phase = "lift the cover" if goal > begin else "lower the cover"
        yield from hands.release(arm, 0.1)
        yield from self._before(arm)
        off = self._habits.misjudged(_MISJUDGED_M)

        def approach() -> np.ndarray:
            pose = withdrawn(self._at_tab(begin))
            pose[:3, 3] += off
            return pose

        yield from hands.reach(arm, approach, 0.25, 0.2)
        yield from hands.reach(arm, lambda: self._at_tab(begin), 0.14, 0.4)
        way = goal - begin
        length_m = abs(way) * (LID[0] + TAB[0])
        yield from trace(hands, arm, lambda s: self._at_tab(begin + s * way), length_m, 0.22)
        yield from hands.wait(0.3)
        yield from retreat(hands, arm)
        yield from self._carry(arm)

    def _flush(self) -> Motion:
        hands, arm = self.hands, "left_arm"
        self.phase = "to the flush"
        yield from self._before(arm, _AHEAD_FLUSH_M, _KNEE_FLUSH)
        self.phase = "flush"
        yield from hands.squeeze(arm, 0.3)
        rest = hands.objects["button"][0].copy()

        def at_button(above: float) -> np.ndarray:
            pose = tool_pose(rest, hands.robot.base_pose[2] - 0.2, _PRESS_PITCH)
            pose[2, 3] += fist_reach(pose, np.array([0.0, 0.0, -1.0])) + above
            return pose

        yield from hands.reach(arm, lambda: at_button(0.06), 0.25, 0.4)
        lowest = rest[2]
        for _ in hands.reach(arm, lambda: at_button(-2.0 * BUTTON_TRAVEL), 0.08, 0.5):
            lowest = min(lowest, hands.objects["button"][0][2])
            yield
        self._flushed = bool(rest[2] - lowest > 0.75 * BUTTON_TRAVEL)
        yield from hands.reach(arm, lambda: at_button(0.08), 0.2, 0.0)
        yield from self._carry(arm)
        self._side = "far"


def _heading(pose: np.ndarray) -> float:
    return float(np.arctan2(pose[1, 0], pose[0, 0]))
