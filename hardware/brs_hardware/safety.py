"""Safety rules of the robot node: pure decisions, with time and measurements as arguments.

The supervisor takes the newest command of the selected source and answers with what may be sent
to the robot. When in doubt the robot holds still: arms and torso brake to a stop within their
acceleration limits, the base gets zero velocity at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.motion import limit_change, limit_motion, stopping_point
from brs_hardware.types import WholeBodyCommand, WholeBodyState

SOURCES = ("teleop", "policy", "replay")
# A step longer than this (a stalled process) counts as this long, so that motion cannot jump.
LONGEST_STEP_S = 0.05


class Mode(IntEnum):
    """Same values as brs_interfaces/SafetyState."""

    DISARMED = 0
    ARMED = 1
    ESTOP = 2


class Severity(IntEnum):
    """Same values as brs_interfaces/SafetyEvent."""

    INFO = 0
    LIMITED = 1
    HELD = 2


@dataclass(frozen=True)
class SafetyEvent:
    """What one rule changed or refused, and why."""

    rule: str
    severity: Severity
    part: str  # joint or part concerned; empty for the whole robot
    message: str


@dataclass(frozen=True)
class SafetyConfig:
    """Timeouts of the supervisor."""

    command_timeout_s: float = 0.08  # base must stand within 100 ms of the last good command
    future_stamp_s: float = 0.05  # stamps further ahead than this come from another clock


@dataclass(frozen=True)
class SafetyVerdict:
    """What to send now. `command` is None while disarmed: then nothing may move."""

    command: WholeBodyCommand | None
    holding: bool
    events: tuple[SafetyEvent, ...]


class SafetySupervisor:
    """Modes, source selection and the rules between a command and the robot.

    Not thread-safe; the node calls it from its one executor thread.
    """

    def __init__(self, embodiment: Embodiment, config: SafetyConfig | None = None) -> None:
        self.embodiment = embodiment
        self.config = config or SafetyConfig()
        self.mode = Mode.DISARMED
        self.source = "teleop"
        self.estop_reason = ""
        self.faults: dict[str, str] = {}  # rule -> message; any fault holds the robot
        self._command: WholeBodyCommand | None = None
        self._received_s = -np.inf
        self._sent: WholeBodyCommand | None = None
        self._velocity: dict[str, np.ndarray] = {}
        self._stepped_s = -np.inf

    # -- what a person decides -------------------------------------------------------------

    def arm(self, now_s: float, state: WholeBodyState | None) -> str:
        """Arm from rest at the measured pose. Returns "" or why it is refused."""
        if self.mode is Mode.ESTOP:
            return f"e-stop is latched ({self.estop_reason}); clear it first (robot/clear_estop)"
        if self.faults:
            return next(iter(self.faults.values()))
        stale = self._feedback_event(now_s, state)
        if stale or state is None:
            return stale.message if stale else "no feedback from the robot yet"
        if self.mode is not Mode.ARMED:
            self._settle(now_s, state)
            self.mode = Mode.ARMED
        return ""

    def disarm(self) -> None:
        """Stop following; an e-stop stays latched."""
        if self.mode is Mode.ARMED:
            self.mode, self._sent = Mode.DISARMED, None
        self._command = None

    def estop(self, reason: str) -> None:
        """Latch the soft emergency stop."""
        if self.mode is not Mode.ESTOP:
            self.mode, self.estop_reason = Mode.ESTOP, reason
        self._command = None

    def clear_estop(self) -> None:
        """Unlatch by a person's act; the robot is left disarmed."""
        if self.mode is Mode.ESTOP:
            self.mode, self.estop_reason, self._sent = Mode.DISARMED, "", None

    def select_source(self, source: str) -> str:
        """Choose whose commands count. Returns "" or why it is refused."""
        if source not in SOURCES:
            return f"unknown source '{source}'; one of {', '.join(SOURCES)}"
        if source != self.source:
            self.source, self._command = source, None
        return ""

    # -- commands and time -----------------------------------------------------------------

    def offer(self, now_s: float, command: WholeBodyCommand) -> bool:
        """Take a command if its source is selected. Returns whether it was taken."""
        if command.source != self.source:
            return False
        self._command, self._received_s = command, now_s
        return True

    def command_age_s(self, now_s: float) -> float:
        """Time since the newest command of the selected source came; -1 if none did."""
        return now_s - self._received_s if self._command is not None else -1.0

    def step(self, now_s: float, state: WholeBodyState | None) -> SafetyVerdict:
        """Decide what goes to the robot now.

        Args:
            now_s: the node's clock [s].
            state: newest measurement, None before the first.
        """
        dt_s = min(now_s - self._stepped_s, LONGEST_STEP_S)
        events = [
            SafetyEvent(rule, Severity.HELD, "", message) for rule, message in self.faults.items()
        ]
        feedback = self._feedback_event(now_s, state)
        if feedback:
            events.append(feedback)
        if self.mode is Mode.ESTOP:
            events.append(
                SafetyEvent("estop", Severity.HELD, "", f"e-stop latched: {self.estop_reason}")
            )
        if self.mode is Mode.DISARMED or self._sent is None:
            return SafetyVerdict(None, True, tuple(events))
        target, refused = self._acceptable(now_s)
        if refused:
            events.append(refused)
        if dt_s <= 0.0:
            return SafetyVerdict(self._sent, target is None or bool(events), tuple(events))
        if target is None or any(event.severity is Severity.HELD for event in events):
            return SafetyVerdict(self._brake(now_s, dt_s), True, tuple(events))
        command, limited = self._limit(target, now_s, dt_s)
        return SafetyVerdict(command, False, (*events, *limited))

    # -- rules -----------------------------------------------------------------------------

    def _feedback_event(self, now_s: float, state: WholeBodyState | None) -> SafetyEvent | None:
        if state is None:
            message = "no feedback from the robot yet; is it (or r1_sim) running?"
        elif now_s - state.stamp_s > self.embodiment.feedback_timeout_s:
            age_s = now_s - state.stamp_s
            message = f"feedback is {age_s:.2f} s old; check the robot's drivers and network"
        else:
            return None
        return SafetyEvent("feedback_stale", Severity.HELD, "", message)

    def _acceptable(self, now_s: float) -> tuple[WholeBodyCommand | None, SafetyEvent | None]:
        """The command to follow, or why there is none."""
        command = self._command

        def refuse(rule: str, message: str, part: str = "") -> tuple[None, SafetyEvent]:
            return None, SafetyEvent(rule, Severity.HELD, part, message)

        if command is None:
            if self.mode is Mode.ESTOP:
                return None, None
            event = SafetyEvent(
                "no_command", Severity.INFO, "", f"waiting for commands from {self.source}"
            )
            return None, event
        age_s = now_s - min(self._received_s, command.stamp_s)
        if age_s > self.config.command_timeout_s:
            return refuse(
                "command_stale", f"last {self.source} command is {age_s:.2f} s old; holding still"
            )
        if command.stamp_s - now_s > self.config.future_stamp_s:
            return refuse(
                "command_from_future",
                f"command is stamped {command.stamp_s - now_s:.2f} s ahead; set the clocks alike",
            )
        for name in Embodiment.GROUPS:
            joints = self.embodiment.group(name).joints
            values = getattr(command, name)
            if values.shape != (len(joints),):
                return refuse(
                    "wrong_size", f"{name} has {values.size} values, {len(joints)} expected", name
                )
            if not np.all(np.isfinite(values)):
                joint = joints[int(np.argmin(np.isfinite(values)))]
                return refuse("not_a_number", f"{joint} is commanded to NaN or infinity", joint)
        rest = (*command.base_velocity, command.left_gripper, command.right_gripper)
        if len(rest) != 5 or not np.all(np.isfinite(rest)):
            return refuse(
                "not_a_number", "base or gripper is commanded to NaN or infinity", "base"
            )
        return command, None

    def _limit(
        self, target: WholeBodyCommand, now_s: float, dt_s: float
    ) -> tuple[WholeBodyCommand, list[SafetyEvent]]:
        """The target within position, velocity and acceleration limits."""
        assert self._sent is not None
        events: list[SafetyEvent] = []
        groups = {}
        for name in Embodiment.GROUPS:
            group = self.embodiment.group(name)
            wanted = getattr(target, name)
            inside = np.clip(wanted, group.lower, group.upper)
            beyond = np.abs(wanted - inside)
            if beyond.max() > 1e-3:
                worst = int(np.argmax(beyond))
                joint = group.joints[worst]
                events.append(
                    SafetyEvent(
                        "joint_limit",
                        Severity.LIMITED,
                        joint,
                        f"{joint} asked {beyond[worst]:.2f} rad beyond its limit; stopped there",
                    )
                )
            moved, self._velocity[name] = limit_motion(
                getattr(self._sent, name),
                self._velocity[name],
                inside,
                group.max_velocity,
                group.max_acceleration,
                dt_s,
            )
            # An uneven cadence may carry a braking joint a hair past its target.
            groups[name] = np.clip(moved, group.lower, group.upper)
        base, base_event = self._limit_base(target.base_velocity, dt_s)
        if base_event:
            events.append(base_event)
        grippers = {
            name: float(
                np.clip(
                    np.clip(getattr(target, name), 0.0, 1.0),
                    getattr(self._sent, name) - self.embodiment.gripper(name).max_speed * dt_s,
                    getattr(self._sent, name) + self.embodiment.gripper(name).max_speed * dt_s,
                )
            )
            for name in Embodiment.GRIPPERS
        }
        self._sent = _with_joints(target, groups, base, grippers)
        self._stepped_s = now_s
        return self._sent, events

    def _limit_base(
        self, wanted: np.ndarray, dt_s: float
    ) -> tuple[np.ndarray, SafetyEvent | None]:
        assert self._sent is not None
        base = self.embodiment.base
        still = np.where(np.abs(wanted) < base.deadband, 0.0, wanted)
        inside = np.clip(still, -base.max_velocity, base.max_velocity)
        event = None
        if np.any(np.abs(still) > base.max_velocity * 1.001):
            event = SafetyEvent(
                "base_velocity",
                Severity.LIMITED,
                "base",
                f"base asked for {np.round(wanted, 2).tolist()}; "
                f"limited to {base.max_velocity.tolist()}",
            )
        return limit_change(self._sent.base_velocity, inside, base.max_acceleration, dt_s), event

    def _brake(self, now_s: float, dt_s: float) -> WholeBodyCommand:
        """Arms and torso come to rest within their limits, the base stops now."""
        assert self._sent is not None
        groups = {}
        for name in Embodiment.GROUPS:
            group = self.embodiment.group(name)
            position, velocity = getattr(self._sent, name), self._velocity[name]
            rest = np.clip(
                stopping_point(position, velocity, group.max_acceleration),
                group.lower,
                group.upper,
            )
            groups[name], self._velocity[name] = limit_motion(
                position, velocity, rest, group.max_velocity, group.max_acceleration, dt_s
            )
        at_rest = replace(self._sent, stamp_s=now_s, source=self.source)
        self._sent = _with_joints(at_rest, groups, np.zeros(3))
        self._stepped_s = now_s
        return self._sent

    def _settle(self, now_s: float, state: WholeBodyState) -> None:
        """Start from rest at the measured pose."""
        groups = {
            name: np.clip(
                getattr(state, name).position,
                self.embodiment.group(name).lower,
                self.embodiment.group(name).upper,
            )
            for name in Embodiment.GROUPS
        }
        self._sent = WholeBodyCommand(
            stamp_s=now_s,
            base_velocity=np.zeros(3),
            torso=groups["torso"],
            left_arm=groups["left_arm"],
            right_arm=groups["right_arm"],
            left_gripper=state.left_gripper,
            right_gripper=state.right_gripper,
            source=self.source,
        )
        self._velocity = {name: np.zeros_like(values) for name, values in groups.items()}
        self._command, self._stepped_s = None, now_s


def _with_joints(
    command: WholeBodyCommand,
    groups: dict[str, np.ndarray],
    base_velocity: np.ndarray,
    grippers: dict[str, float] | None = None,
) -> WholeBodyCommand:
    return replace(
        command,
        base_velocity=base_velocity,
        torso=groups["torso"],
        left_arm=groups["left_arm"],
        right_arm=groups["right_arm"],
        left_gripper=grippers["left_gripper"] if grippers else command.left_gripper,
        right_gripper=grippers["right_gripper"] if grippers else command.right_gripper,
    )
