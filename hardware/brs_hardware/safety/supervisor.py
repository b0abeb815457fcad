"""The supervisor: modes, sources, and the order of the rules between a command and the robot.

It takes the newest command of the selected source and answers with what may be sent. When in
doubt the robot holds still: arms and torso brake to a stop within their acceleration and jerk
limits, the base gets zero velocity at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.safety.contact import BaseWatch, ContactWatch
from brs_hardware.safety.inputs import ClockWatch, FeedbackWatch, held, malformed, untimely
from brs_hardware.safety.limits import CommandedMotion
from brs_hardware.safety.verdict import (
    SOURCES,
    Mode,
    SafetyConfig,
    SafetyEvent,
    SafetyVerdict,
    Severity,
)
from brs_hardware.types import WholeBodyCommand, WholeBodyState

NOMINAL_STEP_S = 0.01
LONGEST_STEP_S = 0.05


class PostureGuard(Protocol):
    """Keeps one step of the joints away from harm; see brs_hardware.collision and .stability."""

    def limit(
        self,
        position: dict[str, np.ndarray],
        velocity: dict[str, np.ndarray],
        wanted: dict[str, np.ndarray],
        dt_s: float,
        base_pose: np.ndarray,
    ) -> tuple[dict[str, np.ndarray], tuple[SafetyEvent, ...]]:
        """The posture to send instead of `wanted`, and why. All joints by group.

        Args:
            position: (n,) each, commanded now [rad].
            velocity: (n,) each, commanded now [rad/s].
            wanted: (n,) each, next [rad], within the joints' own limits.
            dt_s: from now to then [s], above 0.
            base_pose: (3,) x, y [m], yaw [rad] in odom.
        """


@dataclass(frozen=True)
class BaseLimits:
    """What a posture and a place allow the base."""

    scale: float  # 0..1, share of the greatest base velocity
    max_acceleration: np.ndarray  # (3,) [m/s^2, m/s^2, rad/s^2]
    event: SafetyEvent | None = None  # why it may not drive at all


class BaseGuard(Protocol):
    """Decides about the base; see brs_hardware.safety.guards."""

    def limits(
        self, joints: Mapping[str, np.ndarray], base_pose: np.ndarray, wanted: np.ndarray
    ) -> BaseLimits:
        """How the base may drive now.

        Args:
            joints: (n,) by group, commanded [rad].
            base_pose: (3,) x, y [m], yaw [rad] in odom.
            wanted: (3,) vx, vy [m/s], wz [rad/s] in base_link, as asked for.
        """


class SafetySupervisor:
    """Modes, source selection and the rules between a command and the robot.

    Not thread-safe; the node calls it from its one executor thread.

    Args:
        embodiment: the robot.
        config: thresholds.
        guards: rules on the next posture, asked in this order.
        base_guard: what the posture allows the base; None allows all.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        config: SafetyConfig | None = None,
        guards: tuple[PostureGuard, ...] = (),
        base_guard: BaseGuard | None = None,
    ) -> None:
        self.embodiment = embodiment
        self.config = config or SafetyConfig()
        self.mode = Mode.DISARMED
        self.source = "teleop"
        self.estop_reason = ""
        self.faults: dict[str, str] = {}  # rule -> message; any fault holds the robot
        self.warnings: dict[str, str] = {}  # rule -> message; told, and nothing else
        self._guards, self._base_guard = guards, base_guard
        self._motion = CommandedMotion(embodiment)
        self._commanding = False  # armed, or brought to rest by an e-stop
        self._feedback = FeedbackWatch(embodiment.feedback_timeout_s, self.config.future_stamp_s)
        self._clock = ClockWatch(NOMINAL_STEP_S, LONGEST_STEP_S, self.config.clock_settle_s)
        self._contact_watch = ContactWatch(embodiment, self.config)
        self._base_watch = BaseWatch(self.config)
        self._contact: SafetyEvent | None = None  # latched until the person lets go
        self._contact_at = np.zeros(0)  # (n,) measured joints when it was found
        self._base_pose = np.zeros(
            3
        )  # (3,) x, y [m], yaw [rad] in odom, where it was measured last
        self._unled_s = 0.0  # how long no command has been acceptable
        self._command: WholeBodyCommand | None = None
        self._received_s = -np.inf
        self._distrust: SafetyEvent | None = None  # what was wrong with a command of the source
        self._distrust_s = 0.0  # how long it is not followed for that
        self._taken_from = ""  # the source that a person took over from
        self._other: WholeBodyCommand | None = None  # newest command of that source
        self._led_in_s = np.inf  # how long the selected source has led

    # -- what a person decides -------------------------------------------------------------

    def arm(self, now_s: float, state: WholeBodyState | None) -> str:
        """Arm from rest at the measured pose; anew where a contact is to be cleared.

        Args:
            now_s: the node's clock [s].
            state: newest measurement, None before the first.

        Returns:
            "" or why it is refused.
        """
        if self.mode is Mode.ESTOP:
            return f"e-stop is latched ({self.estop_reason}); clear it first (robot/clear_estop)"
        if self.faults:
            return next(iter(self.faults.values()))
        stale = self._feedback.check(now_s, state)
        if stale or state is None:
            return stale.message if stale else "no feedback from the robot yet"
        joint, beyond_rad = self._motion.outside(state)
        if beyond_rad > self.config.outside_limit_rad:
            return (
                f"{joint} is measured {beyond_rad:.2f} rad beyond its limit; bring it inside"
                " with the vendor's tool"
            )
        if self.mode is not Mode.ARMED:
            self._settle(now_s, state)
            self.mode = Mode.ARMED
        elif self._contact:
            self._settle(now_s, state)
        return ""

    def disarm(self) -> None:
        """Stop following; an e-stop stays latched."""
        if self.mode is Mode.ARMED:
            self.mode, self._commanding = Mode.DISARMED, False
        self._command = None

    def estop(self, reason: str) -> None:
        """Latch the soft emergency stop."""
        if self.mode is not Mode.ESTOP:
            self.mode, self.estop_reason = Mode.ESTOP, reason
        self._command = None

    def clear_estop(self) -> None:
        """Unlatch by a person's act; the robot is left disarmed."""
        if self.mode is Mode.ESTOP:
            self.mode, self.estop_reason, self._commanding = Mode.DISARMED, "", False

    def select_source(self, source: str) -> str:
        """Choose whose commands count. Returns "" or why it is refused."""
        if source not in SOURCES:
            return f"unknown source '{source}'; one of {', '.join(SOURCES)}"
        if source != self.source:
            self.source, self._command, self._taken_from = source, None, ""
            self._led_in_s = self._distrust_s = 0.0
        return ""

    def hand_back(self, now_s: float) -> str:
        """Let the source go on that a person took over from. Returns "" or why it is refused."""
        if not self._taken_from:
            return "nothing was taken over, so there is nothing to hand back"
        command = self._other
        if command is None or untimely(command, command.stamp_s, now_s, self.config):
            return f"no fresh commands from {self._taken_from}; it is not running"
        return self.select_source(self._taken_from)

    # -- commands and time -----------------------------------------------------------------

    def offer(self, now_s: float, command: WholeBodyCommand) -> bool:
        """Take a command if its source is selected, or may take over.

        Args:
            now_s: when it came [s]; its own stamp counts too.
            command: whatever came; `step` tells what is wrong with it.

        Returns:
            Whether it was taken.
        """
        bad = malformed(command, self.embodiment)
        if command.source == self.source:
            if bad:
                # Good ones in between do not make a broken source whole.
                self._distrust, self._distrust_s = bad, self.config.distrust_s
            self._command, self._received_s = command, now_s
            return True
        if command.source == self._taken_from:
            self._other = command
        if command.source != "teleop" or not self.config.takeover:
            return False
        if bad or untimely(command, now_s, now_s, self.config):
            return False
        taken_from = self.source
        self.select_source("teleop")
        self._taken_from = taken_from
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

        Raises:
            ArithmeticError: no motion was found, which no finite command may bring about.
        """
        now_s, dt_s, believed = self._clock.step(now_s)
        if not believed:
            self._command = None
        events = [held(rule, message) for rule, message in self.faults.items()]
        events += [
            SafetyEvent(rule, Severity.INFO, "", line) for rule, line in self.warnings.items()
        ]
        if self.mode is Mode.ESTOP:
            events.append(held("estop", f"e-stop latched: {self.estop_reason}"))
        feedback = self._feedback.check(now_s, state)
        if state is None or (feedback and feedback.rule == "feedback_not_a_number"):
            state = None  # no rule may be asked about it; the base is where it was seen last
        else:
            self._base_pose = state.base_pose
        events += filter(None, [self._clock.event(), feedback])
        self._distrust_s = max(0.0, self._distrust_s - dt_s)
        target, refused = self._acceptable(now_s)
        if not self._commanding:
            return SafetyVerdict(None, True, tuple(events))
        if refused:
            events.append(refused)
        self._unled_s = 0.0 if target else self._unled_s + dt_s
        if dt_s > 0.0:
            events += self._contacts(dt_s, state)
        still = target is None or any(event.severity is Severity.HELD for event in events)
        if dt_s > 0.0:
            events += self._move(None if still else target, dt_s, self._base_pose)
        elif still:  # no time has passed, but the base is told to stand at once
            self._motion.base_velocity = np.zeros(3)
        stamp_s = now_s if still or target is None else target.stamp_s
        return SafetyVerdict(self._motion.command(stamp_s, self.source), still, tuple(events))

    def at_publication(self, now_s: float, command: WholeBodyCommand) -> WholeBodyCommand:
        """What of a step's command may still be sent: deciding takes time, more where it is busy.

        Args:
            now_s: the node's clock just before sending [s].
            command: of the step's verdict.

        Returns:
            The command, with the base at rest if what it follows has grown too old meanwhile.
        """
        led = self._command
        drives = bool(np.any(command.base_velocity))
        if not drives or (led and not untimely(led, self._received_s, now_s, self.config)):
            return command
        self._motion.base_velocity = np.zeros(3)
        return replace(command, base_velocity=np.zeros(3))

    # -- rules -----------------------------------------------------------------------------

    def _acceptable(self, now_s: float) -> tuple[WholeBodyCommand | None, SafetyEvent | None]:
        """The command to follow, or why there is none."""
        command = self._command
        if command is None:
            if self.mode is Mode.ESTOP:
                return None, None
            waiting = f"waiting for commands from {self.source}"
            return None, SafetyEvent("no_command", Severity.INFO, "", waiting)
        refused = untimely(command, self._received_s, now_s, self.config)
        if self._distrust_s > 0.0:
            refused = self._distrust
        return (None, refused) if refused else (command, None)

    def _contacts(self, dt_s: float, state: WholeBodyState | None) -> list[SafetyEvent]:
        """Latches contact until the person lets go, or arms anew where no person leads."""
        if state is None:
            return []
        motion = self._motion
        if self._contact:
            if self.source == "teleop" and self._unled_s > self.config.release_s:
                self._contact = None
                self._contact_watch.reset()
        elif met := self._contact_watch.step(dt_s, motion.position, motion.velocity, state):
            again = "let go" if self.source == "teleop" else "arm the robot"
            self._contact = SafetyEvent(
                met.rule, met.severity, met.part, f"{met.message}; {again} to go on"
            )
            self._contact_at = motion.row(
                {name: getattr(state, name).position for name in Embodiment.GROUPS}
            )
        disobeys = self._base_watch.step(dt_s, motion.base_velocity, state)
        return [event for event in (self._contact, disobeys) if event]

    def _move(
        self, target: WholeBodyCommand | None, dt_s: float, base_pose: np.ndarray
    ) -> list[SafetyEvent]:
        """Move the commanded posture on by one step: toward the target, or to rest."""
        motion = self._motion
        events: list[SafetyEvent] = []
        before, speed = motion.position, motion.velocity
        if target is not None:
            wanted = motion.row({name: getattr(target, name) for name in Embodiment.GROUPS})
            share = self._lead_in(dt_s)
            if share < 1.0:
                begins = f"a policy begins slowly: {share:.0%} of the joint speed"
                events.append(SafetyEvent("lead_in", Severity.INFO, "", begins))
            events += motion.toward(wanted, dt_s, share)
            events += motion.grip(target, dt_s)
        elif self._contact:
            # Give way to where the robot was stopped, instead of pressing on.
            motion.base_velocity = np.zeros(3)
            motion.toward(self._contact_at, dt_s)
        else:
            motion.brake(dt_s)
        events += self._guard(before, speed, dt_s, base_pose)
        if target is not None:
            limits = BaseLimits(1.0, self.embodiment.base.max_acceleration)
            if self._base_guard is not None:
                joints = motion.groups(motion.position)
                limits = self._base_guard.limits(joints, base_pose, target.base_velocity)
            if limits.event:
                motion.base_velocity = np.zeros(3)
                events.append(limits.event)
            else:
                events += motion.drive(
                    target.base_velocity, limits.scale, limits.max_acceleration, dt_s
                )
        return events

    def _lead_in(self, dt_s: float) -> float:
        """Share of the joint speed that a policy may use when it begins."""
        config = self.config
        self._led_in_s += dt_s
        # A replay checks by itself that it starts where the robot is.
        if self.source != "policy" or self._led_in_s >= config.lead_in_s:
            return 1.0
        passed = self._led_in_s / config.lead_in_s
        return config.lead_in_share + (1.0 - config.lead_in_share) * passed

    def _guard(
        self, before: np.ndarray, speed: np.ndarray, dt_s: float, base_pose: np.ndarray
    ) -> list[SafetyEvent]:
        motion = self._motion
        events: list[SafetyEvent] = []
        for guard in self._guards:
            allowed, why = guard.limit(
                motion.groups(before),
                motion.groups(speed),
                motion.groups(motion.position),
                dt_s,
                base_pose,
            )
            if why:
                motion.restrict(motion.row(allowed), dt_s)
                events += why
        return events

    def _settle(self, now_s: float, state: WholeBodyState) -> None:
        """Start from rest at the measured pose."""
        self._motion.settle(state)
        self._contact_watch.reset()
        self._contact, self._unled_s, self._commanding = None, 0.0, True
        self._base_watch.moving_s = 0.0
        self._command, self._led_in_s = None, 0.0
        self._clock.start(now_s)
