"""The motion limiter against its own promise, for any target."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.motion import limit_motion, stopping_point

LIMIT = np.array([2.0])
ACCELERATION = np.array([10.0])


@settings(max_examples=60, deadline=None)
@given(
    targets=st.lists(st.floats(-3, 3), min_size=1, max_size=4),
    steps_s=st.lists(st.floats(0.002, 0.03), min_size=5, max_size=5),
)
def test_limits_hold_for_any_target_and_cadence(
    targets: list[float], steps_s: list[float]
) -> None:
    position, velocity = np.zeros(1), np.zeros(1)
    for target in targets:
        for i in range(60):
            dt = steps_s[i % len(steps_s)]
            moved, new = limit_motion(
                position, velocity, np.array([target]), LIMIT, ACCELERATION, dt
            )
            assert abs(new[0]) <= LIMIT[0] + 1e-9
            assert abs(new[0] - velocity[0]) <= ACCELERATION[0] * dt + 1e-9
            np.testing.assert_allclose(moved, position + new * dt)
            position, velocity = moved, new


@settings(max_examples=60, deadline=None)
@given(target=st.floats(-3, 3), dt=st.floats(0.005, 0.02))
def test_a_fixed_target_is_reached_and_never_passed(target: float, dt: float) -> None:
    position, velocity = np.zeros(1), np.zeros(1)
    for _ in range(int(4.0 / dt)):
        position, velocity = limit_motion(
            position, velocity, np.array([target]), LIMIT, ACCELERATION, dt
        )
        assert (target - position[0]) * np.sign(target) >= -1e-9
    assert abs(position[0] - target) < 1e-6
    assert abs(velocity[0]) < 1e-3


def test_stopping_point_is_where_constant_braking_ends() -> None:
    position, velocity, dt = 0.0, 1.5, 1e-5
    expected = stopping_point(np.array([0.0]), np.array([1.5]), ACCELERATION)[0]
    while velocity > 0:
        position += velocity * dt
        velocity -= ACCELERATION[0] * dt
    assert abs(position - expected) < 1e-4
