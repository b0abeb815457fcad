"""A throttle keeps the rate, whatever the source's rate and jitter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.cameras.throttle import Throttle

SECONDS = 20


@settings(deadline=None)
@given(
    source_hz=st.floats(5.0, 100.0),
    rate_hz=st.floats(1.0, 60.0),
    jitter=st.floats(0.0, 0.1),
    seed=st.integers(0, 100),
)
def test_the_mean_rate_is_kept(source_hz: float, rate_hz: float, jitter: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    stamps = np.arange(0.0, SECONDS, 1.0 / source_hz)
    stamps = stamps + random.uniform(-jitter, jitter, len(stamps)) / source_hz
    throttle = Throttle(rate_hz)
    count = sum(throttle.lets(float(stamp)) for stamp in stamps)
    wanted = min(source_hz, rate_hz) * SECONDS
    assert 0.74 * wanted - 2 <= count <= 1.05 * wanted + 2


@pytest.mark.parametrize("jitter_s", [0.0, 0.002])
@pytest.mark.parametrize(("source_hz", "rate_hz", "of"), [(60, 15, 4), (60, 30, 2), (15, 15, 1)])
def test_of_a_multiple_every_so_manyth_goes_through(
    source_hz: float, rate_hz: float, of: int, jitter_s: float
) -> None:
    random = np.random.default_rng(0)
    stamps = np.arange(120) / source_hz + random.uniform(-jitter_s, jitter_s, 120)
    stamps[0] = 0.0
    throttle = Throttle(rate_hz)
    through = [i for i, stamp in enumerate(stamps) if throttle.lets(float(stamp))]
    assert through == list(range(0, 120, of))


def test_zero_lets_nothing_through_and_a_clock_that_is_set_back_stops_nothing() -> None:
    assert not any(Throttle(0.0).lets(stamp) for stamp in (0.0, 1.0, 2.0))
    throttle = Throttle(10.0)
    assert throttle.lets(1000.0) and not throttle.lets(1000.01)
    assert throttle.lets(500.0) and throttle.lets(500.1)


@settings(deadline=None)
@given(st.floats(1.5, 5.0), st.integers(0, 100))
def test_cameras_that_begin_at_different_times_are_thinned_out_to_the_same_moments(
    offset_s: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    stamps = 1.7e9 + random.uniform() + np.arange(600) / 60 + random.uniform(-0.002, 0.002, 600)
    early, late = Throttle(15.0), Throttle(15.0)
    of_early = {stamp for stamp in stamps.tolist() if early.lets(stamp)}
    begin = stamps[0] + offset_s
    of_late = {stamp for stamp in stamps.tolist() if stamp > begin and late.lets(stamp)}
    assert len(of_late - of_early) <= 1, "but for its very first"
    assert len(of_late) > 60
