"""Rules on what the robot measured and was told, one part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from brs_ml.dataset import align
from brs_ml.dataset.layout import PARTS, POSITION_PARTS
from brs_ml.quality import smoothness
from brs_ml.quality.config import MotionLimits
from brs_ml.quality.findings import Findings
from brs_ml.quality.record import RobotFacts
from brs_ml.quality.spans import durations_s, spans_of

# Grippers end at what they hold, and belong at their limits.
JOINT_PARTS = tuple(part for part in POSITION_PARTS if "gripper" not in part)
_FINE_S = 0.03  # samples farther apart tell nothing of jerk
_COMMAND_AGE_NS = 100_000_000  # older ones are not in force


@dataclass(frozen=True)
class Motion:
    """State and commands of an episode; times in seconds from its start, all numbers finite."""

    robot: RobotFacts
    state_s: np.ndarray  # (n,) rising
    state: np.ndarray  # (n, d) as the robot's layout has it
    command_s: np.ndarray  # (m,) rising
    command: np.ndarray  # (m, d)
    even_s: np.ndarray  # (k,) 1 / smoothness.RATE_HZ apart, where the state is known
    even: np.ndarray  # (k, d) state
    speed: np.ndarray  # (k, d) of even; of the base what it measured

    @classmethod
    def of(
        cls,
        robot: RobotFacts,
        state: tuple[np.ndarray, np.ndarray],
        command: tuple[np.ndarray, np.ndarray],
        limits: MotionLimits,
        findings: Findings,
    ) -> Motion | None:
        """From times [s], rising, and values; samples with a NaN are told of and left out.

        Returns:
            None if there is no motion to look at.
        """
        (state_s, state_values), (command_s, command_values) = (
            _finite(*samples, what, robot, findings)
            for what, samples in (("state", state), ("command", command))
        )
        if len(state_s) < 2:
            return None
        if (span_s := state_s[-1] - state_s[0]) > limits.longest_s:
            text = f"stamps span {span_s / 3600:.1f} h; motion is not looked at"
            findings.add("clock_jump", "state", text, span_s, limits.longest_s)
            return None
        even_s, even = smoothness.uniform(state_s, state_values)
        speed = smoothness.derivative(even, 1)
        base = robot.layout.slice_of("base")
        speed[:, base] = even[:, base]
        return cls(robot, state_s, state_values, command_s, command_values, even_s, even, speed)

    def moving(self, part: str, limits: MotionLimits) -> np.ndarray:
        """(k,) bool at the even times."""
        least = limits.idle_base if part == "base" else limits.idle_rad_s
        return (np.abs(self.speed[:, self.robot.layout.slice_of(part)]) > least).any(axis=1)


def check_motion(motion: Motion, limits: MotionLimits, findings: Findings) -> None:
    """All rules of this module."""
    check_frozen(motion, limits, findings)
    check_limits(motion, limits, findings)
    check_speed(motion, limits, findings)
    check_jerk(motion, limits, findings)
    check_idle(motion, limits, findings)
    check_follow(motion, limits, findings)
    for part in PARTS:
        if "gripper" in part and len(motion.command_s):
            closed = motion.command[:, motion.robot.layout.slice_of(part)][:, 0]
            check_chatter(part, motion.command_s, closed, limits, findings)


def check_frozen(motion: Motion, limits: MotionLimits, findings: Findings) -> None:
    """Measurements that do not change at all while the commands do."""
    if not len(motion.command_s):
        return
    for part in ("base", *JOINT_PARTS):
        where = motion.robot.layout.slice_of(part)
        same = np.append((np.diff(motion.state[:, where], axis=0) == 0.0).all(axis=1), False)
        spans = []
        for first, last in align.segments(same):
            begin, end = motion.state_s[first], motion.state_s[last]
            if end - begin <= limits.frozen_s:
                continue
            inside = (motion.command_s >= begin) & (motion.command_s <= end)
            told = motion.command[inside][:, where]
            if len(told) and np.ptp(told, axis=0).max() > limits.frozen_command:
                spans.append((float(begin), float(end)))
        if spans:
            longest_s = max(end - begin for begin, end in spans)
            text = f"the same numbers for up to {longest_s:.2f} s while it is told to move"
            findings.add("frozen_feedback", part, text, longest_s, limits.frozen_s, spans)


def check_limits(motion: Motion, limits: MotionLimits, findings: Findings) -> None:
    """Joints at their limits, and beyond."""
    layout = motion.robot.layout
    lasting_s = durations_s(motion.state_s)
    lower, upper = np.array(layout.lower), np.array(layout.upper)
    for part in JOINT_PARTS:
        for i in range(*layout.slice_of(part).indices(layout.size)):
            room = np.minimum(motion.state[:, i] - lower[i], upper[i] - motion.state[:, i])
            beyond = -float(room.min())
            if beyond > limits.beyond_limit_rad:
                spans = spans_of(room < -limits.beyond_limit_rad, motion.state_s)
                text = f"{beyond:.3f} beyond {lower[i]:.3f} .. {upper[i]:.3f}"
                findings.add(
                    "beyond_limit", layout.names[i], text, beyond, limits.beyond_limit_rad, spans
                )
            at = room < limits.limit_margin_rad
            share = float(lasting_s[at].sum() / max(lasting_s.sum(), 1e-9))
            if share > limits.at_limit_share:
                spans = spans_of(at, motion.state_s)
                text = f"at its limit for {share:.0%} of the time"
                findings.add(
                    "at_limit", layout.names[i], text, share, limits.at_limit_share, spans
                )


def check_speed(motion: Motion, limits: MotionLimits, findings: Findings) -> None:
    """Parts faster than the robot may be."""
    ratio = np.abs(motion.speed) / np.array(motion.robot.speeds)
    for part in ("base", *JOINT_PARTS):
        worst = ratio[:, motion.robot.layout.slice_of(part)].max(axis=1, initial=0.0)
        fast = worst > limits.speed_ratio
        if (share := float(fast.mean())) > limits.speed_share:
            text = (
                f"up to {worst.max():.2f} of the allowed speed, {share:.1%} of the time too fast"
            )
            spans = spans_of(fast, motion.even_s)
            findings.add("speed", part, text, worst.max(), limits.speed_ratio, spans)


def check_jerk(motion: Motion, limits: MotionLimits, findings: Findings) -> None:
    """How smoothly each part of joints moves (`brs_ml.quality.smoothness`)."""
    for part, found in jerks(motion, limits):
        if found < limits.least_smoothness:
            text = f"log dimensionless jerk {found:.1f} (as smooth as can be is -5.3)"
            findings.add("jerk", part, text, found, limits.least_smoothness)


def jerks(motion: Motion, limits: MotionLimits) -> Iterator[tuple[str, float]]:
    """Part and its median log dimensionless jerk, of the parts that move."""
    if len(motion.state_s) < 2 or np.median(np.diff(motion.state_s)) > _FINE_S:
        return
    for part in JOINT_PARTS:
        values = motion.even[:, motion.robot.layout.slice_of(part)]
        found = smoothness.windows(values, limits.jerk_window_s, 2.0 * limits.idle_rad_s)
        if len(found):
            yield part, float(np.median(found))


def check_idle(motion: Motion, limits: MotionLimits, findings: Findings) -> None:
    """Nothing moves; or the base alone."""
    parts = {part: motion.moving(part, limits) for part in PARTS}
    moving = np.any(list(parts.values()), axis=0)
    times_s = motion.even_s
    if not moving.any():
        findings.add("idle", "", "nothing moves at all", 1.0, limits.idle_middle_share)
        return
    first, last = np.flatnonzero(moving)[[0, -1]]
    ends = (
        ("start", (times_s[0], times_s[first]), limits.idle_start_s),
        ("end", (times_s[last], times_s[-1]), limits.idle_end_s),
    )
    for where, (begin, end), longest_s in ends:
        if end - begin > longest_s:
            text = f"nothing moves for {end - begin:.1f} s"
            findings.add("idle", where, text, end - begin, longest_s, [(begin, end)])
    still = ~moving[first : last + 1]
    if (share := float(still.mean())) > limits.idle_middle_share:
        spans = spans_of(still, times_s[first : last + 1])
        text = f"nothing moves for {share:.0%} of the time"
        findings.add("idle", "middle", text, share, limits.idle_middle_share, spans)
    others = np.any([mask for part, mask in parts.items() if part != "base"], axis=0)
    share = float((parts["base"] & ~others).sum() / moving.sum())
    if share > limits.base_only_share:
        text = f"{share:.0%} of the moving time the base moves alone"
        findings.add("base_only", "base", text, share, limits.base_only_share)


def check_follow(motion: Motion, limits: MotionLimits, findings: Findings) -> None:
    """How far measurements are from the commands, after the delay that suits them best."""
    times_ns = np.round(motion.even_s * 1e9).astype(np.int64)
    stamps_ns = np.round(motion.command_s * 1e9).astype(np.int64)
    told, known = align.in_force(stamps_ns, motion.command, times_ns, _COMMAND_AGE_NS)
    most = int(limits.follow_delay_s * smoothness.RATE_HZ)
    for part in ("base", *JOINT_PARTS):
        where = motion.robot.layout.slice_of(part)
        found = [
            _rms(motion.even[delay:, where], told[: len(told) - delay, where], known, delay)
            for delay in range(min(most + 1, len(told)))
        ]
        best = int(np.argmin(found)) if found else 0
        limit = limits.follow_base if part == "base" else limits.follow_rad
        if found and np.isfinite(found[best]) and found[best] > limit:
            delay_s = best / smoothness.RATE_HZ
            text = f"{found[best]:.3f} off its commands (rms, {delay_s:.2f} s later)"
            findings.add("follow", part, text, found[best], limit)


def _rms(measured: np.ndarray, told: np.ndarray, known: np.ndarray, delay: int) -> float:
    error = (measured - told)[known[: len(told)]]
    return float(np.sqrt((error**2).mean())) if error.size else np.inf


def check_chatter(
    part: str, times_s: np.ndarray, closed: np.ndarray, limits: MotionLimits, findings: Findings
) -> None:
    """A gripper told to open and close again and again within a short while."""
    turns_s = np.array(turns(times_s, closed, limits.chatter_swing))
    until = np.searchsorted(turns_s, turns_s + limits.chatter_window_s, side="right")
    counts = until - np.arange(len(turns_s))
    if counts.max(initial=0) > limits.chatter_turns:
        busy = np.flatnonzero(counts > limits.chatter_turns)
        spans = [(float(turns_s[i]), float(turns_s[until[i] - 1])) for i in busy]
        text = f"turns {counts.max()} times within {limits.chatter_window_s:g} s"
        findings.add("chatter", part, text, counts.max(), limits.chatter_turns, spans)


def turns(times_s: np.ndarray, values: np.ndarray, swing: float) -> list[float]:
    """Times of extremes between which the values go up and down by more than `swing`."""
    found: list[float] = []
    low = high = 0  # indices of the extremes since the last turn
    direction = 0
    for i, value in enumerate(values):
        if value < values[low]:
            low = i
        if value > values[high]:
            high = i
        if direction >= 0 and values[high] - value > swing:
            if direction > 0:
                found.append(float(times_s[high]))
            direction, low, high = -1, i, i
        elif direction <= 0 and value - values[low] > swing:
            if direction < 0:
                found.append(float(times_s[low]))
            direction, low, high = 1, i, i
    return found


def path_length(motion: Motion) -> float:
    """Ways of all joints but the grippers' added up [rad]."""
    where = [motion.robot.layout.slice_of(part) for part in JOINT_PARTS]
    return float(sum(np.abs(np.diff(motion.even[:, part], axis=0)).sum() for part in where))


def _finite(
    times_s: np.ndarray, values: np.ndarray, what: str, robot: RobotFacts, findings: Findings
) -> tuple[np.ndarray, np.ndarray]:
    wrong = ~np.isfinite(values)
    rows = wrong.any(axis=1)
    if rows.any():
        names = [robot.layout.names[i] for i in np.flatnonzero(wrong.any(axis=0))]
        text = f"{rows.sum()} of {len(rows)} samples: {', '.join(names[:6])}"
        findings.add("nan", what, text, float(rows.mean()), 0.0, spans_of(rows, times_s))
    return times_s[~rows], values[~rows]
