"""The monitor passes what the limits allow, however late it is seen, and catches each breach."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.embodiment import load_embodiment
from brs_sim.faults import Command, SafetyMonitor

ROBOT = load_embodiment("r1")
PERIOD_S = 0.01
READY = ROBOT.poses["ready"]["left_arm"]


class Stream:
    """A robot node that sends an arm and the base every 10 ms, each published a bit later."""

    def __init__(self, delay_s: Callable[[], float] = lambda: 0.003) -> None:
        self.monitor = SafetyMonitor(ROBOT)
        self.now_s, self.delay_s = 100.0, delay_s
        self.publisher = b"robot"
        self.monitor.mode(self.now_s - 10.0, True, "teleop")
        self.monitor.measured("left_arm", READY)

    def source(self, **changes: object) -> None:
        values = {
            "base": np.zeros(3),
            "torso": np.zeros(4),
            "left_arm": READY,
            "right_arm": READY,
            "left_gripper": 0.0,
            "right_gripper": 1.0,
            **changes,
        }
        self.monitor.source_command(self.now_s, self.now_s - 0.002, "teleop", values)

    def send(self, part: str, values: object) -> None:
        """One command, stepped now and published after the delay."""
        array = np.atleast_1d(np.asarray(values, dtype=float))
        published_s = self.now_s + self.delay_s()
        self.monitor.command(Command(part, published_s, array, self.now_s, self.publisher))

    def arm(self, path: Callable[[float], np.ndarray], seconds: float = 0.5) -> None:
        """An arm along a path of time, with a good source command before each."""
        start_s = self.now_s
        while self.now_s < start_s + seconds:
            self.source()
            self.send("left_arm", path(self.now_s - start_s))
            self.now_s += PERIOD_S

    def rules(self) -> set[str]:
        return set(self.monitor.counts)


def wave(amplitude_rad: float, rate_rad_s: float) -> Callable[[float], np.ndarray]:
    """A swing of the last joint from rest."""
    swing = np.array([0, 0, 0, 0, 0, amplitude_rad])
    return lambda time_s: READY + swing * (1.0 - np.cos(rate_rad_s * time_s))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(1.5, 2.6), (0.2, 10.0), (0.05, 20.0)]))
def test_motion_at_its_limits_is_clean_however_late_it_is_published(
    seed: int, swing: tuple[float, float]
) -> None:
    """Peak speed and acceleration are 96-100 % of the limits; delays reach 40 ms."""
    random = np.random.default_rng(seed)
    stream = Stream()
    amplitude, rate = swing
    assert amplitude * rate <= 4.0 and amplitude * rate**2 <= 25.0
    last_s = 0.0

    def ordered() -> float:
        nonlocal last_s
        late_s = 0.0 if random.random() < 0.8 else random.uniform(0.0, 0.04)
        last_s = max(stream.now_s + late_s, last_s)  # one after the other
        return last_s - stream.now_s

    stream.delay_s = ordered
    stream.arm(wave(amplitude, rate), 1.0)
    assert not stream.monitor.violations


def test_a_clean_stream_of_all_parts_passes() -> None:
    stream = Stream()
    stroke_mm, speed, faster = 90.0, np.zeros(3), np.full(3, PERIOD_S)
    for _ in range(300):
        stream.source()
        stream.send("left_arm", READY)
        stroke_mm = max(stroke_mm - 2.5 * 89.0 * PERIOD_S, 1.0)
        stream.send("left_gripper", stroke_mm)
        speed = np.minimum(speed + faster, ROBOT.base.max_velocity)
        stream.send("base", speed)
        stream.now_s += PERIOD_S
    stream.send("base", np.zeros(3))  # standing at once is allowed
    assert not stream.monitor.violations and stream.monitor.commands == 901
    assert stream.monitor.slowest_stop_s < 0.1


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("velocity", lambda t: READY + 0.3 * (t > 0.2)),
        ("velocity", lambda t: READY + np.array([0, 0, 0, 0, 0, 4.5 * t])),
        # A turn at full speed from one step to the next, and a stop from it.
        ("acceleration", lambda t: READY + np.array([0, 0, 0, 0, 0, 2.0 * abs(t - 0.25)])),
        ("acceleration", lambda t: READY + np.array([2.0 * min(t, 0.25), 0, 0, 0, 0, 0])),
        ("position", lambda t: READY + np.array([0, 0.5 * t, 0, 0, 0, 0])),
        ("start", lambda t: READY + 0.5),
        ("not_finite", lambda t: np.full(6, np.nan)),
        ("size", lambda t: READY[:5]),
    ],
)
def test_each_breach_of_an_arm_is_caught(rule: str, path: Callable[[float], np.ndarray]) -> None:
    stream = Stream()
    stream.arm(path, 1.2)
    assert rule in stream.rules()


def test_a_wave_beyond_the_acceleration_limit_is_caught_and_named() -> None:
    stream = Stream()
    stream.arm(wave(0.1, 25.0))  # 2.5 rad/s and 62 rad/s^2
    assert stream.rules() == {"acceleration"}
    assert stream.monitor.violations[0].part == "left_arm_joint6"


def test_a_jump_after_a_pause_is_a_start_from_where_the_robot_is() -> None:
    stream = Stream()
    stream.arm(lambda t: READY, 0.1)
    stream.now_s += 1.0
    stream.monitor.measured("left_arm", READY + 0.4)
    stream.arm(lambda t: READY + 0.38, 0.1)
    assert not stream.monitor.violations
    stream.now_s += 1.0
    stream.arm(lambda t: READY, 0.1)
    assert stream.rules() == {"start"}


def test_nothing_may_move_unarmed_once_it_has_braked() -> None:
    stream = Stream()
    slide = np.array([0.5, 0, 0, 0, 0, 0])
    stream.arm(lambda t: READY + 0.1 * slide * t, 0.1)
    stream.monitor.mode(stream.now_s - 0.005, False, "teleop")
    stream.arm(lambda t: READY + 0.1 * slide * (t + 0.1), 0.4)
    assert not stream.monitor.violations
    stream.arm(lambda t: READY + 0.1 * slide * (t + 0.5), 0.2)
    assert stream.rules() == {"moves_unarmed"}
    base = Stream()
    base.monitor.mode(base.now_s - 0.005, False, "teleop")
    base.source()
    base.send("base", [0.001, 0, 0])
    assert base.rules() == {"moves_unarmed"}


@pytest.mark.parametrize(
    ("rule", "velocities"),
    [
        ("base_velocity", [[0.29, 0, 0], [0.31, 0, 0]]),
        ("base_acceleration", [[0.1, 0, 0], [0.2, 0, 0]]),
        ("base_acceleration", [[0, 0, 0.2], [0, 0, -0.1]]),
    ],
)
def test_each_breach_of_the_base_is_caught(rule: str, velocities: list[list[float]]) -> None:
    stream = Stream()
    for velocity in velocities:
        stream.source()
        stream.send("base", velocity)
        stream.now_s += PERIOD_S
    assert rule in stream.rules()


@pytest.mark.parametrize("goes_on", ["nobody", "another", "not a number", "stale"])
def test_a_base_without_good_commands_stands_within_the_bound(goes_on: str) -> None:
    """Commands of another source, malformed or old ones keep nothing moving."""

    def run(stands_after_s: float) -> Stream:
        stream = Stream()
        stream.source()
        while stream.now_s < 100.2:
            stream.now_s += PERIOD_S
            if goes_on == "not a number":
                stream.source(left_arm=np.full(6, np.nan))
            elif goes_on != "nobody":
                values = {part: np.zeros(3) for part in ROBOT.PARTS}
                values |= {"torso": np.zeros(4), "left_arm": READY, "right_arm": READY}
                values |= {"left_gripper": np.zeros(1), "right_gripper": np.zeros(1)}
                stale = goes_on == "stale"
                stream.monitor.source_command(
                    stream.now_s,
                    stream.now_s - 0.2 * stale,
                    "teleop" if stale else "policy",
                    values,
                )
            moves = stream.now_s < 100.0 + stands_after_s
            stream.send("base", [0.01 * moves, 0, 0])
        return stream

    good, bad = run(0.085), run(0.13)
    assert not good.monitor.violations and 0.08 < good.monitor.slowest_stop_s < 0.1
    assert bad.rules() == {"base_late"}


def test_commands_that_were_lost_on_the_way_here_may_have_been_good() -> None:
    def run(missed: str, seconds: float) -> Stream:
        stream = Stream()
        stream.source()
        stream.send("base", [0.0, 0.0, 0.0])
        if missed:
            stream.monitor.source_missed(stream.now_s + 0.3, missed)
        end_s = stream.now_s + seconds
        while stream.now_s < end_s:
            stream.now_s += PERIOD_S
            stream.send("base", [0.01, 0.0, 0.0])
        return stream

    assert run("", 0.2).rules() == {"base_late"}
    assert not run("teleop", 0.38).rules()
    assert run("teleop", 0.45).rules() == {"base_late"}
    assert run("policy", 0.2).rules() == {"base_late"}, "another source leads"


def test_a_stop_of_the_base_that_was_not_heard_is_no_jump() -> None:
    def run(missed: bool, then: float) -> Stream:
        stream = Stream()
        for number in range(30):
            stream.source()
            stream.send("base", [-0.01 * number, 0.0, 0.0])
            stream.now_s += PERIOD_S
        stream.source()
        if missed:  # it was told to stand, and goes on from there
            stream.monitor.base_missed()
        stream.send("base", [then, 0.0, 0.0])
        return stream

    assert run(False, -0.006).rules() == {"base_acceleration"}
    heard = run(True, -0.006)
    assert not heard.rules() and heard.monitor.unheard == 1
    assert run(True, -0.9).rules() == {"base_velocity"}


def test_a_source_that_starts_anew_may_be_heard_late_but_not_never() -> None:
    def run(seconds: float) -> Stream:
        stream = Stream()
        stream.source()
        stream.send("base", [0.0, 0.0, 0.0])
        stream.now_s += 2.0  # the source is killed and comes back
        end_s = stream.now_s + seconds
        while stream.now_s < end_s:
            stream.send("base", [0.01, 0.0, 0.0])
            stream.now_s += PERIOD_S
        return stream

    assert not run(0.9).rules()
    assert run(1.2).rules() == {"base_late"}


def test_grippers_keep_to_stroke_and_speed() -> None:
    stream = Stream()
    for stroke_mm in (90.0, 89.0, 100.0):
        stream.send("left_gripper", stroke_mm)
        stream.now_s += PERIOD_S
    assert stream.monitor.counts == {"gripper": 2}  # beyond the stroke, and too fast


def test_a_second_publisher_is_caught_and_a_restarted_one_is_not() -> None:
    stream = Stream()
    for publisher in (b"robot", b"again", b"again"):
        stream.publisher = publisher
        stream.arm(lambda t: READY, 0.05)
    assert not stream.monitor.violations
    stream.publisher = b"robot"
    stream.arm(lambda t: READY, 0.05)
    assert stream.rules() == {"two_publishers"}
