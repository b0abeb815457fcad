"""An independent eye on the vendor's command topics: it knows only the robot's limits.

It shares no code with the safety supervisor that it judges. All it is told of a command is what it
says, the moment that caused it, and the moment it was published; the robot node stepped somewhere
in between. So the time between two steps is known to lie within bounds, and a command breaks a
limit only if it does so for every time within them: a busy computer raises no false alarm.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brs_hardware.embodiment import Embodiment, JointGroup


@dataclass(frozen=True)
class MonitorConfig:
    """What counts as a breach."""

    still_within_s: float = 0.1  # base at zero after the last good command of its source
    # A source that starts again, in a new process, may be heard by the robot node before it is
    # heard here: DDS finds each reader by itself. So a base that had stood may begin to move
    # this long after the last good command without the next one being known, for this long.
    silence_s: float = 0.5
    discovery_s: float = 1.0
    future_stamp_s: float = 0.05  # source commands stamped further ahead are not good
    settle_s: float = 0.5  # joints may brake for so long after the robot left the armed mode
    restart_s: float = 0.25  # after a pause this long, commands begin anew
    start_error_rad: float = 0.15  # they then begin this near to where the joints are measured
    window_s: float = 0.05  # acceleration is the change of mean speed over windows this long
    stall_s: float = 0.05  # motion over longer steps is slowed down, which is no acceleration
    tick_s: float = 0.02  # the robot node steps at least as often, if it may run
    unstamped_s: float = 0.03  # a command without a cause was stepped this early at most
    tolerance: float = 0.02  # share by which speed and acceleration may exceed their limit
    kept: int = 100  # breaches kept in words; all are counted


@dataclass(frozen=True)
class Command:
    """One vendor command as it was seen."""

    part: str  # torso, left_arm, right_arm, left_gripper, right_gripper or base
    published_s: float  # when the robot node handed it to the middleware
    values: np.ndarray  # (n,) [rad], (1,) stroke [mm], or (3,) vx, vy [m/s], wz [rad/s]
    caused_s: float | None = None  # its stamp: of the leader sample, or of the step that held
    publisher: bytes = b""


@dataclass(frozen=True)
class Violation:
    """A command that must not have been sent."""

    rule: str
    part: str
    at_s: float  # when it was published
    message: str


@dataclass(frozen=True)
class _Step:
    earliest_s: float
    latest_s: float
    values: np.ndarray


class SafetyMonitor:
    """Judges commands in the order of their publication.

    Attributes:
        violations: the first breaches, in words.
        counts: rule -> how many breaches.
        commands: how many commands were judged.
        unheard: how many gaps there were in what was heard of the base's.
        slowest_stop_s: longest time from the last good command to the step that stopped the base.
        longest_pause_s: longest time for which a busy computer kept the robot node from running
            before such a zero [s]; those stops are not in `slowest_stop_s`.

    Args:
        embodiment: limits of the robot.
        config: what counts as a breach.
    """

    def __init__(self, embodiment: Embodiment, config: MonitorConfig | None = None) -> None:
        self._robot, self._config = embodiment, config or MonitorConfig()
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self.commands = self.unheard = 0
        self.slowest_stop_s = self.longest_pause_s = 0.0
        self._armed: bool | None = None  # not known yet
        self._mode_since_s = -np.inf
        self._source = ""
        self._good_s = -np.inf  # publication of the newest good command of the source
        self._missed_until_s = -np.inf  # until then it sent commands that were not heard here
        self._began_s = -np.inf  # when the base began to move
        self._measured: dict[str, np.ndarray] = {}
        self._steps: dict[str, deque[_Step]] = {part: deque() for part in Embodiment.PARTS}
        self._may_restart: set[str] = set()
        self._speaks: dict[str, bytes] = {}
        self._retired: dict[str, set[bytes]] = {part: set() for part in Embodiment.PARTS}

    # -- what it is told -------------------------------------------------------------------

    def mode(self, published_s: float, armed: bool, source: str) -> None:
        """The robot node says whether it is armed, and whose commands count."""
        if armed is not self._armed:
            self._mode_since_s = published_s
            if not armed:
                self._may_restart = set(Embodiment.PARTS)
        self._armed, self._source = armed, source

    def measured(self, part: str, position: np.ndarray) -> None:
        """Where the joints (n,) [rad] of a group are."""
        self._measured[part] = position

    def source_command(
        self, published_s: float, stamp_s: float | None, source: str, values: Mapping[str, object]
    ) -> bool:
        """A command inside the stack; `values` by part. Only a good one keeps the base moving.

        Returns:
            Whether it is good: of the selected source, of now, of the right sizes, finite.
        """
        if source != self._source:
            return False
        if stamp_s is not None:
            age_s = published_s - stamp_s
            if not -self._config.future_stamp_s <= age_s <= self._config.still_within_s:
                return False
        for part in Embodiment.PARTS:
            value = np.atleast_1d(np.asarray(values[part], dtype=float))
            if value.size != self._size(part) or not np.all(np.isfinite(value)):
                return False
        self._good_s = published_s
        return True

    def source_missed(self, until_s: float, source: str) -> None:
        """From now until then, commands of a source were lost on their way here.

        The robot node may have heard them; any of them may have been good.
        """
        if source == self._source:
            self._missed_until_s = max(self._missed_until_s, until_s)

    def base_missed(self) -> None:
        """A command to the base was lost on its way here, perhaps one to stand.

        The next is judged by itself, not by how it goes on from the last one heard.
        """
        self.unheard += 1
        self._steps["base"].clear()

    def command(self, command: Command) -> None:
        """Judge a vendor command."""
        self.commands += 1
        self._check_publisher(command)
        if command.values.shape != (self._size(command.part),):
            self._breach(command, "size", f"{command.values.size} values")
            return
        if not np.all(np.isfinite(command.values)):
            self._breach(command, "not_finite", "NaN or infinity")
            return
        if command.part in Embodiment.GROUPS:
            self._check_joints(command)
        elif command.part == "base":
            self._check_base(command)
        else:
            self._check_gripper(command)

    # -- rules -----------------------------------------------------------------------------

    def _check_joints(self, command: Command) -> None:
        group, position = self._robot.group(command.part), command.values
        beyond = np.maximum(group.lower - position, position - group.upper)
        if np.max(beyond) > 1e-6:
            self._breach(
                command,
                "position",
                f"{np.max(beyond):.3f} rad beyond its limit",
                int(beyond.argmax()),
            )
        steps, step = self._steps[command.part], self._step(command)
        if steps and not self._continues(steps[-1], step, group.max_velocity):
            self._restart(command, steps, step, group.max_velocity)
        elif steps:
            self._check_mode_of_joints(command, steps[-1], step)
        elif (error := self._from_measured(command)) > self._config.start_error_rad:
            self._breach(command, "start", f"begins {error:.2f} rad from where it is measured")
        if steps and step.latest_s - steps[-1].earliest_s > self._config.stall_s:
            steps.clear()
        steps.append(step)
        self._check_windows(command, steps, group)
        while step.earliest_s - steps[0].latest_s > 6.0 * self._config.window_s:
            steps.popleft()

    def _restart(
        self, command: Command, steps: deque[_Step], step: _Step, max_velocity: np.ndarray
    ) -> None:
        """A jump is one from standing still, disarmed, to where the robot is; or a breach."""
        last = steps[-1]
        paused = step.earliest_s - last.latest_s > self._config.restart_s
        moved = np.abs(step.values - last.values)
        steps.clear()
        if paused or command.part in self._may_restart:
            self._may_restart.discard(command.part)
            error = self._from_measured(command)
            if error > self._config.start_error_rad:
                self._breach(command, "start", f"begins {error:.2f} rad from where it is measured")
            return
        elapsed_s = step.latest_s - last.earliest_s
        worst = int(np.argmax(moved / max_velocity))
        self._breach(
            command,
            "velocity",
            f"{moved[worst]:.3f} rad within {1e3 * elapsed_s:.1f} ms, "
            f"{max_velocity[worst]:g} rad/s allowed",
            worst,
        )

    def _continues(self, last: _Step, step: _Step, max_velocity: np.ndarray) -> bool:
        if step.earliest_s - last.latest_s > self._config.restart_s:
            # What a stalled robot node may still move on by in one step, else it was restarted.
            elapsed_s = self._config.stall_s
        else:
            elapsed_s = step.latest_s - last.earliest_s
        reach = max_velocity * (1.0 + self._config.tolerance) * elapsed_s
        return bool(np.all(np.abs(step.values - last.values) <= reach + 1e-9))

    def _check_windows(self, command: Command, steps: deque[_Step], group: JointGroup) -> None:
        """Mean speed over a window, and how much it changes from one window to the next."""
        end = steps[-1]
        middle = self._before(steps, end)
        if middle is None:
            return
        slow_2, fast_2 = _mean_velocity(middle, end)
        speed = np.maximum(0.0, np.maximum(slow_2, -fast_2))
        self._compare(command, "velocity", speed, group.max_velocity)
        begin = self._before(steps, middle)
        if begin is None:
            return
        slow_1, fast_1 = _mean_velocity(begin, middle)
        change = np.maximum(0.0, np.maximum(slow_2 - fast_1, slow_1 - fast_2))
        # Means over two windows side by side differ by what half their length allows at most.
        time_s = (middle.latest_s - begin.earliest_s) + (end.latest_s - middle.earliest_s)
        self._compare(command, "acceleration", change, group.max_acceleration * 0.5 * time_s)

    def _compare(
        self, command: Command, rule: str, speed: np.ndarray, allowed: np.ndarray
    ) -> None:
        worst = int(np.argmax(speed / allowed))
        if speed[worst] > allowed[worst] * (1.0 + self._config.tolerance):
            what = "speed changes by" if rule == "acceleration" else "moves with"
            message = f"{what} {speed[worst]:.2f} rad/s, {allowed[worst]:.2f} allowed"
            self._breach(command, rule, message, worst)

    def _before(self, steps: deque[_Step], end: _Step) -> _Step | None:
        """The newest step that surely is a window before `end`."""
        for step in reversed(steps):
            if end.earliest_s - step.latest_s >= self._config.window_s:
                return step
        return None

    def _check_mode_of_joints(self, command: Command, last: _Step, step: _Step) -> None:
        unarmed_s = step.earliest_s - self._mode_since_s
        if self._armed is False and unarmed_s > self._config.settle_s:
            moved = float(np.max(np.abs(step.values - last.values)))
            if moved > 1e-6:
                self._breach(command, "moves_unarmed", f"{moved:.4f} rad while not armed")

    def _check_gripper(self, command: Command) -> None:
        gripper = self._robot.gripper(command.part)
        closed_mm, open_mm = sorted((gripper.stroke_closed_mm, gripper.stroke_open_mm))
        stroke_mm = float(command.values[0])
        if not closed_mm - 1e-6 <= stroke_mm <= open_mm + 1e-6:
            self._breach(command, "gripper", f"{stroke_mm:.1f} mm is beyond its stroke")
        steps, step = self._steps[command.part], self._step(command)
        speed = np.array([gripper.max_speed * (open_mm - closed_mm)])
        if steps and not self._continues(steps[-1], step, speed):
            paused = step.earliest_s - steps[-1].latest_s > self._config.restart_s
            if not paused and command.part not in self._may_restart:
                self._breach(command, "gripper", "closes or opens faster than allowed")
            self._may_restart.discard(command.part)
        steps.clear()
        steps.append(step)

    def _check_base(self, command: Command) -> None:
        base, velocity = self._robot.base, command.values
        steps, step = self._steps["base"], self._step(command)
        if np.any(np.abs(velocity) > base.max_velocity * (1.0 + 1e-6)):
            self._breach(command, "base_velocity", f"{np.round(velocity, 3).tolist()}")
        last = steps[-1].values if steps else np.zeros(3)
        moves, moved = bool(np.any(velocity)), bool(np.any(last))
        if moves and self._armed is False and command.published_s > self._mode_since_s:
            self._breach(command, "moves_unarmed", f"base {np.round(velocity, 3).tolist()}")
        if moves and not moved:
            self._began_s = command.published_s
        if moves and steps:
            elapsed_s = step.latest_s - steps[-1].earliest_s
            allowed = base.max_acceleration * (1.0 + self._config.tolerance) * elapsed_s
            if np.any(np.abs(velocity - last) > allowed + 1e-9):
                change = np.round(velocity - last, 3).tolist()
                self._breach(command, "base_acceleration", f"changes by {change} at once")
        if steps and moved:
            self._check_stop(command, steps[-1], step, moves)
        steps.clear()
        steps.append(step)

    def _check_stop(self, command: Command, last: _Step, step: _Step, moves: bool) -> None:
        """A moving base is told to stand in time after the last good command.

        The robot node steps again only after it has published, so a step surely came too late if
        the one before it was published too late.
        """
        good_s = max(self._good_s, min(self._missed_until_s, last.latest_s))
        anew = self._began_s > good_s + self._config.silence_s
        unheard = anew and last.latest_s < self._began_s + self._config.discovery_s
        if moves and not unheard and last.latest_s - good_s > self._config.still_within_s:
            late_ms = 1e3 * (last.latest_s - good_s)
            self._breach(command, "base_late", f"moves {late_ms:.0f} ms after a good command")
        if moves or anew or not np.isfinite(good_s):
            return
        pause_s = step.earliest_s - last.latest_s
        if pause_s > self._config.tick_s:
            self.longest_pause_s = max(self.longest_pause_s, pause_s)
        else:
            self.slowest_stop_s = max(self.slowest_stop_s, step.earliest_s - good_s)

    def _check_publisher(self, command: Command) -> None:
        speaks = self._speaks.get(command.part)
        if command.publisher == speaks:
            return
        if command.publisher in self._retired[command.part]:
            self._breach(command, "two_publishers", "somebody else commands the robot, too")
        elif speaks is not None:
            # A robot node that was started again. What the dead one left behind is not its doing:
            # the vendor's controllers stop a base that nobody commands.
            self._steps[command.part].clear()
            self._retired[command.part].add(speaks)
        self._speaks[command.part] = command.publisher

    # -- helpers ---------------------------------------------------------------------------

    def _step(self, command: Command) -> _Step:
        latest_s = command.published_s
        caused_s = command.caused_s
        if caused_s is None:
            caused_s = latest_s - self._config.unstamped_s
        earliest_s = float(np.clip(caused_s, latest_s - self._config.still_within_s, latest_s))
        return _Step(earliest_s, latest_s, command.values)

    def _from_measured(self, command: Command) -> float:
        """Greatest distance [rad] of a command from the measured joints; 0 if there are none."""
        measured = self._measured.get(command.part)
        return 0.0 if measured is None else float(np.max(np.abs(command.values - measured)))

    def _size(self, part: str) -> int:
        if part in Embodiment.GROUPS:
            return len(self._robot.group(part).joints)
        return 3 if part == "base" else 1

    def _breach(self, command: Command, rule: str, message: str, joint: int | None = None) -> None:
        self.counts[rule] += 1
        if len(self.violations) < self._config.kept:
            part = command.part
            if joint is not None:
                part = self._robot.group(part).joints[joint]
            self.violations.append(Violation(rule, part, command.published_s, message))


def _mean_velocity(begin: _Step, end: _Step) -> tuple[np.ndarray, np.ndarray]:
    """(n,) smallest and (n,) greatest mean velocity that two steps may stand for."""
    moved = end.values - begin.values
    longest = moved / (end.latest_s - begin.earliest_s)
    shortest = moved / (end.earliest_s - begin.latest_s)
    return np.minimum(longest, shortest), np.maximum(longest, shortest)
