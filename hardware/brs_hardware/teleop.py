"""From the leader's arms and Joy-Cons to a whole-body command (BRS, paper section 3.1).

Numbers of the mapping follow BRS: base 0.3 m/s, 0.3 m/s, 0.4 rad/s, stick pressed for yaw, arms
smoothed by 0.95 on the newest sample, sticks by 0.9, stand and squat moving knee joints together.
Which joint leans the hip, which turns the waist, and what a squat is, says the robot's YAML. What
BRS lacks is here: hold-to-drive, an alignment check and a ramp before the robot follows, a clutch
for each arm, and timeouts on every input.

Buttons: l or r dead-man · minus / plus clutch of the left / right arm · zl / zr grippers, which
left / right (the arrows) open in the proportional mode · up / down stand / squat, or raise / lower
the level trunk · sl / sr (of either Joy-Con) lock both wrists / both arms until pressed again ·
b hands back to the policy that was taken over from · capture or home e-stop · a, y, x belong to
the recorder.

Takeover: pressing the dead-man while a policy drives starts from the command that went to the
robot last, so that nothing jumps; the robot node then follows teleoperation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.teleop_config import TeleopConfig
from brs_hardware.torso_height import TorsoHeight
from brs_hardware.types import JoyConSample, LeaderSample, WholeBodyCommand, WholeBodyState

__all__ = ["Engagement", "TeleopConfig", "TeleopMapper", "TeleopOutput"]

DEADMAN = {"l", "r"}
ESTOP = {"capture", "home"}
CLUTCH = {"left_arm": "minus", "right_arm": "plus"}
TRIGGER = {"left_gripper": "zl", "right_gripper": "zr"}
OPENER = {"left_gripper": "left", "right_gripper": "right"}
HAND_BACK = "b"  # of the right Joy-Con
LOCK = {"sl": "wrist", "sr": "arm"}
WRIST_JOINTS = 3  # the last ones of an arm, be it of 6 joints or of 7
_PUSHED = 0.5  # deflection of a stick that surely is meant


class Engagement(IntEnum):
    """Same values as brs_interfaces/TeleopState."""

    IDLE = 0
    REFUSED = 1
    RAMPING = 2
    ENGAGED = 3
    CLUTCHED = 4


@dataclass(frozen=True)
class TeleopOutput:
    """Result of one update. Without a command nothing shall be sent."""

    command: WholeBodyCommand | None
    engagement: Engagement
    alignment_error_rad: float
    worst_joint: str
    message: str
    estop: bool
    lock: str = ""  # "wrist" or "arm" while those joints stand still
    hand_back: bool = False  # the person wants the policy to go on


class TeleopMapper:
    """Engagement and mapping; one `update` a leader sample, and one whenever time passes.

    Args:
        embodiment: the follower.
        config: gains and timeouts.

    Raises:
        ConfigError: the height axis is wanted of a torso that has none.
    """

    def __init__(self, embodiment: Embodiment, config: TeleopConfig | None = None) -> None:
        self.embodiment = embodiment
        self.config = config or TeleopConfig()
        self.engagement = Engagement.IDLE
        self.message = "hold l or r to drive"
        self.lock = ""
        self._height = TorsoHeight(embodiment) if self.config.torso_mode == "height" else None
        self._allowed = True
        self._must_release, self._release_because = False, ""
        self._hand_back_held = False
        self._offset = {arm: np.zeros(len(embodiment.group(arm).joints)) for arm in CLUTCH}
        self._held = {arm: np.zeros(value.shape, bool) for arm, value in self._offset.items()}
        self._lock_pressed = frozenset(LOCK)  # until they were seen released
        self._leader: dict[str, np.ndarray] = {}  # arms of the newest sample
        self._arms: dict[str, np.ndarray] = {}
        self._start: dict[str, np.ndarray] = {}
        self._engaged_s = 0.0
        self._updated_s = 0.0
        self._torso = np.zeros(len(embodiment.torso.joints))
        self._gripper = dict.fromkeys(TRIGGER, 0.0)
        self._trigger_s: dict[str, float | None] = dict.fromkeys(TRIGGER, None)
        self._trigger_armed = dict.fromkeys(TRIGGER, False)
        self._sticks = np.zeros(4)

    def allow(self, engage: bool) -> None:
        """Let the dead-man engage, or let go now and forget clutch offsets."""
        self._allowed = engage
        if not engage:
            self._offset = {arm: np.zeros_like(value) for arm, value in self._offset.items()}

    def update(
        self,
        now_s: float,
        leader: LeaderSample | None,
        left: JoyConSample | None,
        right: JoyConSample | None,
        state: WholeBodyState | None,
        commanded: WholeBodyCommand | None = None,
    ) -> TeleopOutput:
        """Map the newest inputs; None stands for an input that never came.

        Args:
            now_s: the node's clock [s].
            leader, left, right, state: newest inputs.
            commanded: what was sent to the robot just now, if anything; a takeover starts there.
        """
        buttons = (left.buttons if left else frozenset()) | (
            right.buttons if right else frozenset()
        )
        estop = bool(buttons & ESTOP)
        problem = self._input_problem(now_s, leader, left, right, state)
        if problem:
            # After a fault the person must press anew, so that nothing restarts by itself.
            if buttons & DEADMAN:
                self._must_release, self._release_because = True, "an input failed"
            return self._let_go(now_s, Engagement.REFUSED, problem, estop)
        assert leader and left and right and state
        hand_back = HAND_BACK in right.buttons and not self._hand_back_held
        self._hand_back_held = HAND_BACK in right.buttons
        if estop and buttons & DEADMAN:
            self._must_release, self._release_because = True, "the e-stop was pressed"
            return self._let_go(now_s, Engagement.REFUSED, "e-stop pressed", True)
        if hand_back and not estop:
            self._must_release, self._release_because = True, "handed back"
            output = self._let_go(now_s, Engagement.IDLE, "handed back", False)
            return replace(output, hand_back=True)
        if not buttons & DEADMAN:
            self._must_release = False
            return self._let_go(now_s, Engagement.IDLE, "hold l or r to drive", estop)
        if self._must_release:
            message = f"{self._release_because}; release l and r, then press again"
            return self._let_go(now_s, Engagement.REFUSED, message, False)
        if not self._allowed:
            message = "let go by request; call teleop/engage first"
            return self._let_go(now_s, Engagement.REFUSED, message, False)
        error_rad, worst = self._alignment(leader, state)
        if self.engagement < Engagement.RAMPING:
            if error_rad > self.config.align_limit_rad:
                message = (
                    f"leader is {error_rad:.2f} rad from the robot at {worst}; "
                    f"move it closer than {self.config.align_limit_rad:.2f} rad"
                )
                return self._let_go(now_s, Engagement.REFUSED, message, False, (error_rad, worst))
            self._begin(now_s, state, commanded)
        command = self._follow(now_s, leader, left, right, state)
        return TeleopOutput(
            command, self.engagement, error_rad, worst, self.message, False, self.lock
        )

    # -- engagement ------------------------------------------------------------------------

    def _input_problem(
        self,
        now_s: float,
        leader: LeaderSample | None,
        left: JoyConSample | None,
        right: JoyConSample | None,
        state: WholeBodyState | None,
    ) -> str:
        config, press = self.config, "press a button to reconnect it"
        inputs = (
            ("leader arms", leader, config.leader_timeout_s, "check the U2D2 cable and power"),
            ("left Joy-Con", left, config.joycon_timeout_s, press),
            ("right Joy-Con", right, config.joycon_timeout_s, press),
            ("robot state", state, config.state_timeout_s, "is the robot node running?"),
        )
        for name, sample, timeout_s, remedy in inputs:
            if sample is None:
                return f"{name}: nothing received yet; {remedy}"
            age_s = now_s - sample.stamp_s
            if age_s > timeout_s:
                return f"{name}: silent for {age_s:.2f} s; {remedy}"
            if age_s < -self.config.future_stamp_s:
                return f"{name}: stamped {-age_s:.2f} s ahead; set the clocks alike"
        assert leader and left and right
        for side, joycon in (("left", left), ("right", right)):
            if joycon.stick.shape != (2,) or not np.all(np.isfinite(joycon.stick)):
                return f"{side} Joy-Con: its stick is not 2 finite numbers"
        for arm in CLUTCH:
            values = getattr(leader, arm)
            if values.shape != self._offset[arm].shape or not np.all(np.isfinite(values)):
                return f"leader arms: {arm} is not {self._offset[arm].size} finite angles"
            if self.engagement >= Engagement.RAMPING:
                jump_rad = float(np.max(np.abs(values - self._leader[arm])))
                if jump_rad > self.config.jump_limit_rad:
                    return f"leader arms: {arm} jumped by {jump_rad:.2f} rad"
            self._leader[arm] = values
        return ""

    def _alignment(self, leader: LeaderSample, state: WholeBodyState) -> tuple[float, str]:
        errors: list[np.ndarray] = []
        names: list[str] = []
        for arm in CLUTCH:
            led = self._led(arm, leader)
            errors.append(np.abs(led - getattr(state, arm).position))
            names += self.embodiment.group(arm).joints
        error = np.concatenate(errors)
        worst = int(np.argmax(error))
        return float(error[worst]), names[worst]

    def _led(self, arm: str, leader: LeaderSample) -> np.ndarray:
        group = self.embodiment.group(arm)
        return np.clip(getattr(leader, arm) + self._offset[arm], group.lower, group.upper)

    def _let_go(
        self,
        now_s: float,
        engagement: Engagement,
        message: str,
        estop: bool,
        alignment: tuple[float, str] = (float("nan"), ""),
    ) -> TeleopOutput:
        """Leave any engaged state; the first time one last command stops the base at once."""
        command = None
        if self.engagement >= Engagement.RAMPING:
            command = self._command(now_s, np.zeros(3))
        self.engagement, self.message = engagement, message
        self.lock = ""
        return TeleopOutput(command, engagement, *alignment, message, estop)

    def _begin(
        self, now_s: float, state: WholeBodyState, commanded: WholeBodyCommand | None
    ) -> None:
        self.engagement = Engagement.RAMPING
        self._engaged_s = self._updated_s = now_s
        begin = {name: getattr(state, name).position for name in Embodiment.GROUPS}
        if commanded is not None:
            begin = {name: getattr(commanded, name) for name in begin}
        self._start = {arm: begin[arm].copy() for arm in CLUTCH}
        self._arms = dict(self._start)
        self._torso = begin["torso"].copy()
        self._sticks = np.zeros(4)
        self._held = {arm: np.zeros_like(held) for arm, held in self._held.items()}
        self._lock_pressed = frozenset(LOCK)
        # Grippers stay as they are until their trigger is used, so that nothing is dropped.
        self._gripper = {name: getattr(commanded or state, name) for name in TRIGGER}
        self._trigger_s = dict.fromkeys(TRIGGER, None)
        self._trigger_armed = dict.fromkeys(TRIGGER, False)

    # -- mapping ---------------------------------------------------------------------------

    def _follow(
        self,
        now_s: float,
        leader: LeaderSample,
        left: JoyConSample,
        right: JoyConSample,
        state: WholeBodyState,
    ) -> WholeBodyCommand:
        dt_s = min(now_s - self._updated_s, 0.05)
        self._updated_s = now_s
        buttons = left.buttons | right.buttons
        share = min((now_s - self._engaged_s) / self.config.ramp_s, 1.0)
        self._press_lock(buttons)
        for arm in CLUTCH:
            self._follow_arm(arm, leader, buttons, share)
        if share < 1.0:
            self.engagement, self.message = Engagement.RAMPING, "leading the robot to the leader"
        elif buttons & set(CLUTCH.values()):
            self.engagement, self.message = Engagement.CLUTCHED, "re-pose the leader"
        else:
            message = f"{self.lock} locked" if self.lock else self._missing(buttons, right)
            self.engagement, self.message = Engagement.ENGAGED, message
        weight = self.config.stick_smoothing
        raw = np.concatenate([left.stick, right.stick])
        self._sticks = weight * raw + (1.0 - weight) * self._sticks
        self._follow_torso(state, buttons, dt_s)
        for name, trigger in TRIGGER.items():
            if self.config.gripper_mode == "proportional":
                self._squeeze(name, buttons, dt_s)
            else:
                self._follow_gripper(name, trigger in buttons, now_s)
        return self._command(leader.stamp_s, self._base_velocity("stick" in left.buttons))

    def _press_lock(self, buttons: frozenset[str]) -> None:
        for button in (buttons & LOCK.keys()) - self._lock_pressed:
            self.lock = "" if self.lock == LOCK[button] else LOCK[button]
        self._lock_pressed = buttons & LOCK.keys()

    def _follow_arm(
        self, arm: str, leader: LeaderSample, buttons: frozenset[str], share: float
    ) -> None:
        held = np.zeros_like(self._held[arm])
        held[-WRIST_JOINTS:] = self.lock == "wrist"
        held |= self.lock == "arm" or CLUTCH[arm] in buttons
        # Joints let go just now start from where they are, whatever the leader did meanwhile.
        freed = self._held[arm] & ~held
        self._held[arm] = held
        now = self._arms[arm]
        self._offset[arm] = np.where(freed, now - getattr(leader, arm), self._offset[arm])
        self._start[arm] = np.where(freed, now, self._start[arm])
        led = self._led(arm, leader)
        if share < 1.0:
            moved = self._start[arm] + share * (led - self._start[arm])
        else:
            weight = self.config.arm_smoothing
            moved = weight * led + (1.0 - weight) * now
        self._arms[arm] = np.where(held, now, moved)

    def _base_velocity(self, turning: bool) -> np.ndarray:
        horizontal, vertical = self._sticks[:2]
        fast = self.embodiment.base.max_velocity
        if turning:
            return np.array([0.0, 0.0, -horizontal * fast[2]])
        return np.array([vertical * fast[0], -horizontal * fast[1], 0.0])

    def _missing(self, buttons: frozenset[str], right: JoyConSample) -> str:
        """What the person asks of the torso that this robot has not."""
        torso = self.embodiment.torso
        sideways, upward = np.abs(right.stick) > _PUSHED
        lacking = {
            "joint that turns the waist": sideways and not torso.waist_yaw,
            "joint that leans the hip": upward and not torso.hip_pitch,
            "stand and squat": self._height is None
            and not torso.squat.size
            and bool(buttons & {"up", "down"}),
        }
        wanted = [what for what, lacks in lacking.items() if lacks]
        return f"the torso of {self.embodiment.name} has no {wanted[0]}" if wanted else ""

    def _follow_torso(self, state: WholeBodyState, buttons: frozenset[str], dt_s: float) -> None:
        torso, limits = self._torso, self.embodiment.torso
        direction = ("up" in buttons) - ("down" in buttons)
        if self._height is None and limits.squat.size:
            self._stand_or_squat(direction, dt_s)
        if limits.hip_pitch:
            hip = limits.joints.index(limits.hip_pitch)
            torso[hip] += self._sticks[3] * self.config.hip_speed_rad_s * dt_s
        if limits.waist_yaw:
            waist = limits.joints.index(limits.waist_yaw)
            torso[waist] -= self._sticks[2] * self.config.waist_speed_rad_s * dt_s
        lead = self.config.torso_lead_rad
        measured = state.torso.position
        near = np.clip(torso, measured - lead, measured + lead)
        self._torso = np.clip(near, limits.lower, limits.upper)
        if self._height is not None and direction:
            speed_m_s = direction * self.config.height_speed_m_s
            self._torso = self._height.step(
                self._torso, speed_m_s, dt_s, measured - lead, measured + lead
            )

    def _stand_or_squat(self, direction: int, dt_s: float) -> None:
        """Up (1) or down (-1): all joints that squatting moves, in the ratio of their ways."""
        if not direction:
            return
        limits = self.embodiment.torso
        way = np.abs(limits.squat - limits.stand)
        step = self.config.knee_speed_rad_s * dt_s * way / way.max()
        goal = limits.stand if direction > 0 else limits.squat
        self._torso += np.clip(goal - self._torso, -step, step)

    def _squeeze(self, name: str, buttons: frozenset[str], dt_s: float) -> None:
        """Close or open at the same speed while a button is held, never beyond a fraction of 1."""
        direction = (TRIGGER[name] in buttons) - (OPENER[name] in buttons)
        moved = self._gripper[name] + direction * self.config.gripper_speed * dt_s
        self._gripper[name] = min(max(moved, 0.0), 1.0)

    def _follow_gripper(self, name: str, pressed: bool, now_s: float) -> None:
        if self.config.gripper_mode == "hold":
            self._trigger_armed[name] = self._trigger_armed[name] or pressed
            if self._trigger_armed[name]:
                self._gripper[name] = 1.0 if pressed else self.config.gripper_open
            return
        if not pressed:
            self._trigger_s[name], self._trigger_armed[name] = None, True
        elif self._trigger_s[name] is None:
            self._trigger_s[name] = now_s
        held_s = now_s - (self._trigger_s[name] or now_s)
        if pressed and self._trigger_armed[name] and held_s >= self.config.toggle_hold_s:
            closed = self._gripper[name] > 0.5
            self._gripper[name] = self.config.gripper_open if closed else 1.0
            self._trigger_armed[name] = False

    def _command(self, stamp_s: float, base_velocity: np.ndarray) -> WholeBodyCommand:
        return WholeBodyCommand(
            stamp_s=stamp_s,
            base_velocity=base_velocity,
            torso=self._torso.copy(),
            left_arm=self._arms["left_arm"].copy(),
            right_arm=self._arms["right_arm"].copy(),
            left_gripper=self._gripper["left_gripper"],
            right_gripper=self._gripper["right_gripper"],
        )
