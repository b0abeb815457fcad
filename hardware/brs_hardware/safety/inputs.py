"""Which commands and measurements count: age, clocks, sizes, numbers."""

from __future__ import annotations

import math

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.safety.verdict import SafetyConfig, SafetyEvent, Severity
from brs_hardware.types import WholeBodyCommand, WholeBodyState


def held(rule: str, message: str, part: str = "") -> SafetyEvent:
    """An event that keeps the robot still."""
    return SafetyEvent(rule, Severity.HELD, part, message)


def malformed(command: WholeBodyCommand, embodiment: Embodiment) -> SafetyEvent | None:
    """Why a command is no command for this robot: sizes, NaN, infinities."""
    for name in Embodiment.GROUPS:
        joints = embodiment.group(name).joints
        values = getattr(command, name)
        if values.shape != (len(joints),):
            message = f"{name} has {values.size} values, {len(joints)} expected"
            return held("wrong_size", message, name)
        finite = np.isfinite(values)
        if not np.all(finite):
            joint = joints[int(np.argmin(finite))]
            return held("not_a_number", f"{joint} is commanded to NaN or infinity", joint)
    if np.shape(command.base_velocity) != (3,):
        count = np.size(command.base_velocity)
        return held("wrong_size", f"the base's velocity has {count} values, 3 expected", "base")
    rest = (*command.base_velocity, command.left_gripper, command.right_gripper)
    if not np.all(np.isfinite(rest)):
        return held("not_a_number", "base or gripper is commanded to NaN or infinity", "base")
    if not math.isfinite(command.stamp_s):
        return held("not_a_number", "the command's stamp is NaN or infinity")
    return None


def untimely(
    command: WholeBodyCommand, received_s: float, now_s: float, config: SafetyConfig
) -> SafetyEvent | None:
    """Why a command must not be followed now: too old, or of another clock.

    Args:
        command: with finite numbers.
        received_s: when it came [s].
        now_s: the node's clock [s].
        config: thresholds.
    """
    age_s = now_s - min(received_s, command.stamp_s)
    if age_s > config.command_timeout_s:
        return held(
            "command_stale", f"last {command.source} command is {age_s:.2f} s old; holding still"
        )
    ahead_s = command.stamp_s - now_s
    if ahead_s > config.future_stamp_s:
        return held(
            "command_from_future",
            f"command is stamped {ahead_s:.2f} s ahead; set the clocks alike",
        )
    return None


class FeedbackWatch:
    """Whether the robot's measurements are numbers, and of now.

    Args:
        timeout_s: older ones are stale [s].
        future_s: ones stamped further ahead come from another clock [s].
    """

    def __init__(self, timeout_s: float, future_s: float) -> None:
        self._timeout_s, self._future_s = timeout_s, future_s

    def check(self, now_s: float, state: WholeBodyState | None) -> SafetyEvent | None:
        """An event while feedback is missing, no number, old, or stamped by another clock.

        Args:
            now_s: the node's clock [s].
            state: newest measurement, None before the first.
        """
        if state is None:
            return held(
                "feedback_stale", "no feedback from the robot yet; is it (or r1_sim) running?"
            )
        if part := _garbled(state):
            return held(
                "feedback_not_a_number",
                f"{part} is measured as NaN or infinity; check that part and its driver",
                part,
            )
        age_s = now_s - state.stamp_s
        if age_s > self._timeout_s:
            return held(
                "feedback_stale",
                f"feedback is {age_s:.2f} s old; check the robot's drivers and network",
            )
        # Else a clock that was set back would let frozen feedback pass for fresh.
        if age_s < -self._future_s:
            return held(
                "feedback_from_future",
                f"feedback is stamped {-age_s:.2f} s ahead; set the clocks of robot and"
                " workstation alike",
            )
        return None


def _garbled(state: WholeBodyState) -> str:
    """The part of the robot of which something measured is no number; "" if all is."""
    for name in Embodiment.GROUPS:
        group = getattr(state, name)
        if not np.all(np.isfinite((group.position, group.velocity, group.effort))):
            return name
    if not np.all(np.isfinite((*state.base_pose, *state.base_velocity))):
        return "base"
    for name in Embodiment.GRIPPERS:
        if not math.isfinite(getattr(state, name)):
            return name
    return "" if math.isfinite(state.stamp_s) else "the stamp"


class ClockWatch:
    """Step lengths from a clock that may be set at any time.

    Args:
        nominal_s: length taken for a step over which the clock was set back.
        longest_s: a longer step (a stalled process, a clock set ahead, a coarse simulated clock)
            counts as this long, so that nothing jumps.
        settle_s: how long a set-back clock is told of.
    """

    def __init__(self, nominal_s: float, longest_s: float, settle_s: float) -> None:
        self._nominal_s, self._longest_s, self._settle_s = nominal_s, longest_s, settle_s
        self._last_s = -np.inf
        self._unsettled_s = 0.0
        self._message = ""

    def start(self, now_s: float) -> None:
        """Measure from now on."""
        self._last_s, self._unsettled_s = now_s, 0.0

    def step(self, now_s: float) -> tuple[float, float, bool]:
        """What time it is, after which step, never negative, and whether the clock is believed.

        A clock that shows no number leaves the time where it was.
        """
        if not math.isfinite(now_s):
            self._distrust(f"the clock shows {now_s}; holding still")
            return self._last_s, self._nominal_s, False
        passed_s, self._last_s = now_s - self._last_s, now_s
        if passed_s < 0.0:
            self._distrust(f"the clock was set back by {-passed_s:.2f} s; holding still")
            return now_s, self._nominal_s, False
        step_s = min(passed_s, self._longest_s)
        self._unsettled_s = max(0.0, self._unsettled_s - step_s)
        return now_s, step_s, True

    def _distrust(self, message: str) -> None:
        self._message, self._unsettled_s = message, self._settle_s

    def event(self) -> SafetyEvent | None:
        """An event until the clock has settled."""
        return held("clock_jump", self._message) if self._unsettled_s > 0.0 else None
