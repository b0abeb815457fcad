"""Streams at a tick, against slow and obvious references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_ml.dataset import align

STAMPS = st.lists(st.integers(0, 400), min_size=1, max_size=25, unique=True).map(sorted)
TIMES = st.lists(st.integers(-20, 450), min_size=1, max_size=12)


def arrays(stamps: list[int], times: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.random.default_rng(len(stamps)).normal(size=(len(stamps), 2))
    return np.array(stamps, np.int64), values, np.array(times, np.int64)


@settings(deadline=None)
@given(STAMPS, TIMES, st.integers(0, 60))
def test_in_force_is_the_newest_sample_that_is_not_too_old(
    stamps: list[int], times: list[int], max_age: int
) -> None:
    s, v, t = arrays(stamps, times)
    got, valid = align.in_force(s, v, t, max_age)
    for k, time in enumerate(times):
        before = [i for i, stamp in enumerate(stamps) if stamp <= time]
        known = bool(before) and time - stamps[before[-1]] <= max_age
        assert valid[k] == known
        assert np.array_equal(got[k], v[before[-1]]) if known else np.isnan(got[k]).all()


@settings(deadline=None)
@given(STAMPS, TIMES, st.integers(1, 60))
def test_interpolation_is_numpys_and_none_over_gaps(
    stamps: list[int], times: list[int], max_gap: int
) -> None:
    s, v, t = arrays(stamps, times)
    got, valid = align.interpolated(s, v, t, max_gap)
    for k, time in enumerate(times):
        before = [stamp for stamp in stamps if stamp <= time]
        after = [stamp for stamp in stamps if stamp >= time]
        known = bool(before) and bool(after) and after[0] - before[-1] <= max_gap
        assert valid[k] == known
        if known:
            expected = [np.interp(time, stamps, v[:, d]) for d in range(2)]
            assert got[k] == pytest.approx(expected)
        else:
            assert np.isnan(got[k]).all()


@settings(deadline=None)
@given(STAMPS, st.integers(-20, 450), st.integers(1, 80), st.integers(0, 60))
def test_held_mean_is_the_sum_over_every_nanosecond(
    stamps: list[int], start: int, length: int, max_age: int
) -> None:
    s, v, _ = arrays(stamps, [0])
    got, valid = align.held_mean(s, v, np.array([start]), np.array([start + length]), max_age)
    held, fresh = [], True
    for moment in range(start, start + length):
        before = [i for i, stamp in enumerate(stamps) if stamp <= moment]
        # A sample is too old once `max_age` has passed, at any time up to the next moment.
        fresh &= bool(before) and moment + 1 - stamps[before[-1]] <= max_age
        held.append(v[before[-1]] if before else [np.nan, np.nan])
    assert valid[0] == fresh
    if fresh:
        assert got[0] == pytest.approx(np.mean(held, axis=0))
    else:
        assert np.isnan(got[0]).all()


def test_the_way_driven_is_kept() -> None:
    """Why the base gets the mean: taking the command at the tick loses what lies between."""
    stamps = np.arange(0, 10**9, 10**7)
    velocity = np.where(np.arange(100) % 10 < 5, 0.3, 0.0)[:, None]
    ticks = np.arange(0, 9 * 10**8, 10**8)
    mean, valid = align.held_mean(stamps, velocity, ticks, ticks + 10**8, 2 * 10**7)
    assert valid.all()
    assert mean.sum() * 0.1 == pytest.approx(velocity[:90].sum() * 0.01)
    at_tick, _ = align.in_force(stamps, velocity, ticks, 2 * 10**7)
    assert at_tick.sum() * 0.1 == pytest.approx(2 * mean.sum() * 0.1)


def test_interpolated_points_follow_a_path_better_than_held_ones() -> None:
    """Why joints get the command at the tick: played with lines between, it is the path."""
    times = np.arange(0, 2 * 10**9, 10**7)
    path = np.sin(times * 1e-9 * 3.0)[:, None]
    ticks = np.arange(0, 2 * 10**9, 10**8)
    points, _ = align.in_force(times, path, ticks, 10**8)
    means, _ = align.held_mean(times, path, ticks, ticks + 10**8, 10**8)
    inner = times[times <= ticks[-1]]
    lines = np.interp(inner, ticks, points[:, 0])
    held = means[np.searchsorted(ticks, inner, side="right") - 1, 0]
    truth = path[: len(inner), 0]
    assert np.abs(lines - truth).max() < 0.1 * np.abs(held - truth).max()


@settings(deadline=None)
@given(st.integers(0, 2 * 10**18), st.integers(0, 10**10), st.sampled_from([10.0, 15.0, 30.0]))
def test_ticks_are_multiples_of_the_period_within_the_span(
    start: int, length: int, rate: float
) -> None:
    ticks = align.ticks_ns(start, start + length, rate)
    period = align.period_ns(rate)
    assert (ticks % period == 0).all()
    assert ((ticks >= start) & (ticks <= start + length)).all()
    assert len(ticks) == (start + length) // period - (start - 1) // period


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=30))
def test_segments_are_the_runs(valid: list[bool]) -> None:
    found = align.segments(np.array(valid, bool))
    marked = [False] * len(valid)
    for first, end in found:
        assert all(valid[first:end])
        assert first == 0 or not valid[first - 1]
        assert end == len(valid) or not valid[end]
        marked[first:end] = [True] * (end - first)
    assert marked == valid


def test_of_equal_stamps_the_last_counts() -> None:
    assert align.without_repeats(np.array([1, 1, 2, 5, 5, 5])).tolist() == [1, 2, 5]
    assert align.without_repeats(np.zeros(0, np.int64)).tolist() == []
