"""Jerk-limited motion against its own promise, for any targets and any cadence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.motion import JointMotion, limit_change

VELOCITY, ACCELERATION, JERK = np.array([2.0]), np.array([10.0]), np.array([200.0])


def joint() -> JointMotion:
    return JointMotion(VELOCITY, ACCELERATION, JERK)


@settings(max_examples=60, deadline=None)
@given(
    targets=st.lists(st.floats(-3, 3) | st.none(), min_size=1, max_size=5),
    steps_s=st.lists(st.floats(0.002, 0.03), min_size=5, max_size=5),
    changes=st.integers(1, 60),
)
def test_limits_hold_for_any_target_and_cadence(
    targets: list[float | None], steps_s: list[float], changes: int
) -> None:
    """None stands for braking."""
    motion = joint()
    farthest = max([abs(target) for target in targets if target is not None], default=0.0)
    for target in targets:
        for i in range(changes):
            dt_s = steps_s[i % len(steps_s)]
            velocity, acceleration = motion.velocity[0], motion.acceleration[0]
            if target is None:
                motion.brake(dt_s)
            else:
                motion.toward(np.array([target]), dt_s)
            assert abs(motion.velocity[0]) <= VELOCITY[0] + 1e-9
            assert abs(motion.velocity[0] - velocity) <= ACCELERATION[0] * dt_s + 1e-9
            assert abs(motion.acceleration[0] - acceleration) <= JERK[0] * dt_s + 1e-9
            # Room to stop: no target is ever passed outward, whatever comes next.
            assert abs(motion.position[0]) <= farthest + 1e-9


@settings(max_examples=60, deadline=None)
@given(target=st.floats(-3, 3), dt_s=st.floats(0.005, 0.02))
def test_a_fixed_target_is_reached(target: float, dt_s: float) -> None:
    motion = joint()
    for _ in range(int(4.0 / dt_s)):
        motion.toward(np.array([target]), dt_s)
    assert motion.position[0] == pytest.approx(target, abs=1e-9)
    assert motion.velocity[0] == pytest.approx(0.0, abs=1e-9)


def test_it_takes_the_time_that_the_limits_ask_for() -> None:
    """A long way: cruise time plus one full acceleration, each with its two jerk phases."""
    motion, dt_s, steps = joint(), 0.001, 0
    while abs(motion.position[0] - 3.0) > 1e-6:
        motion.toward(np.array([3.0]), dt_s)
        steps += 1
    expected_s = 3.0 / 2.0 + 2.0 / 10.0 + 10.0 / 200.0
    assert steps * dt_s == pytest.approx(expected_s, abs=0.01)


def test_what_a_later_rule_chose_is_where_it_goes_on_from() -> None:
    motion = JointMotion(*(np.repeat(limit, 2) for limit in (VELOCITY, ACCELERATION, JERK)))
    target = np.array([1.0, 1.0])
    for _ in range(20):
        before = motion.position
        motion.toward(target, 0.01)
    held = np.array([before[0], motion.position[1]])
    velocity = motion.velocity[1]
    motion.restrict(held, 0.01)
    assert motion.velocity[0] == 0.0 and motion.acceleration[0] < 0.0
    assert motion.velocity[1] == velocity
    assert motion.toward(target, 0.01)[0] - held[0] < 0.01 * ACCELERATION[0] * 0.01


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_limits_of_position_and_acceleration_hold_whatever_rules_interfere(
    data: st.DataObject,
) -> None:
    """A rule that brakes hard or stops a plan leaves a state from which no plan stops in time."""
    motion, lower, upper, dt_s = joint(), np.array([-1.0]), np.array([1.0]), 0.01
    for _ in range(data.draw(st.integers(1, 8))):
        target = np.array([data.draw(st.sampled_from([-1.0, -0.3, 0.4, 1.0]))])
        interfere = data.draw(st.sets(st.integers(0, 40), max_size=8))
        for i in range(40):
            before, speed = motion.position, motion.velocity
            motion.toward(target, dt_s)
            motion.stay_within(lower, upper, dt_s)
            if i in interfere:
                shed = np.maximum(np.abs(speed) - ACCELERATION * dt_s, 0.0)
                motion.restrict(before + np.sign(speed) * shed * dt_s, dt_s)
            assert abs(motion.position[0]) <= 1.0 + 1e-6
            assert abs(motion.velocity[0] - speed[0]) <= ACCELERATION[0] * dt_s + 1e-6


def test_base_velocity_changes_at_its_acceleration() -> None:
    changed = limit_change(np.zeros(3), np.array([1.0, -1.0, 0.001]), np.full(3, 0.5), 0.1)
    np.testing.assert_allclose(changed, [0.05, -0.05, 0.001])
