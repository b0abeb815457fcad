"""A device's clock against the host's: delays, drift, and jumps of either."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.cameras import ClockMap


def naive_bound(points: list[tuple[float, float]], drift: float) -> float:
    """Offset at stamp 0 of the line of that slope under all points, by looking at each."""
    return min(offset - drift * stamp for stamp, offset in points)


@given(
    offset_s=st.floats(-1e5, 1e5),
    drift_ppm=st.floats(-100.0, 100.0),
    least_delay_s=st.floats(0.0, 0.03),
    seed=st.integers(0, 1000),
)
@settings(max_examples=15, deadline=None)
def test_stamps_are_late_by_the_least_delay_whatever_the_clocks(
    offset_s: float, drift_ppm: float, least_delay_s: float, seed: int
) -> None:
    random, clock_map = np.random.default_rng(seed), ClockMap(window_s=15.0)
    points, errors = [], []
    for i in range(700):
        true_s = i / 30
        device_s = true_s
        host_s = offset_s + true_s * (1 + drift_ppm * 1e-6)
        arrival_s = host_s + least_delay_s + random.exponential(0.005)
        errors.append(clock_map.to_host(device_s, arrival_s) - host_s - least_delay_s)
        points.append((device_s, arrival_s - device_s))
    assert np.abs(errors[300:]).max() < 0.002
    assert clock_map.drift == pytest.approx(drift_ppm * 1e-6, abs=4e-5)
    assert clock_map.jumps == 0
    # The line lies where a plain look at every point of the window puts it.
    recent = [point for point in points if point[0] >= points[-1][0] - 15.0]
    naive_s = naive_bound(recent, clock_map.drift) + clock_map.drift * points[-1][0]
    assert clock_map.to_host(points[-1][0], sum(points[-1])) == pytest.approx(
        points[-1][0] + naive_s, abs=1e-7
    )


def test_a_stalled_host_is_no_jump_but_lasting_lateness_is() -> None:
    clock_map = ClockMap(jump_s=0.5, patience=5)
    for i in range(100):
        clock_map.to_host(i * 0.1, 50.0 + i * 0.1)
    for i in range(100, 104):  # frames that waited while the host was busy
        assert clock_map.to_host(i * 0.1, 52.0 + i * 0.1) == pytest.approx(50.0 + i * 0.1)
    assert clock_map.to_host(10.4, 60.4) == pytest.approx(60.4)
    assert clock_map.jumps == 0
    for i in range(105, 110):
        clock_map.to_host(i * 0.1, 52.0 + i * 0.1)
    assert clock_map.jumps == 1
    assert clock_map.to_host(11.0, 63.0) == pytest.approx(63.0)


@pytest.mark.parametrize("device_s", [0.5, 500.0])
def test_a_device_that_restarts_its_clock_is_followed_at_once(device_s: float) -> None:
    clock_map = ClockMap()
    for i in range(1, 100):
        clock_map.to_host(10 + i * 0.1, 50.0 + i * 0.1)
    assert clock_map.to_host(device_s, 60.0) == pytest.approx(60.0)
    assert clock_map.jumps == 1


def test_never_later_than_the_arrival() -> None:
    clock_map = ClockMap()
    random = np.random.default_rng(0)
    for i in range(500):
        arrival_s = 7.0 + i * 0.033 + random.uniform(0.0, 0.2)
        assert clock_map.to_host(i * 0.033, arrival_s) <= arrival_s
