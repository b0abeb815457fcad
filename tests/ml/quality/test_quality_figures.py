"""Figures that the rules compare, against slow and simple ways to get them."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality_episodes import report_of

from brs_ml.episode import LossCounter
from brs_ml.quality.across import robust_z
from brs_ml.quality.config import TimeLimits
from brs_ml.quality.findings import Findings
from brs_ml.quality.motion import turns
from brs_ml.quality.smoothness import RATE_HZ, log_dimensionless_jerk, uniform, windows
from brs_ml.quality.spans import overlap_s, spans_of
from brs_ml.quality.timing import check_gaps, check_sequence, nearest_s

NUMBERS = st.floats(-5, 5, allow_nan=False)


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), max_size=30).map(sorted))
def test_losses_are_those_that_the_recorder_would_count(sequence: list[int]) -> None:
    counter = LossCounter()
    for number in sequence:
        counter.received("/a", b"", number)
    findings = Findings("")
    check_sequence("/a", np.array(sequence, dtype=np.int64), TimeLimits(dropped_share=0), findings)
    share = sum(finding.value or 0.0 for finding in findings.all)
    assert share == pytest.approx(counter.total / max(counter.total + len(sequence), 1))


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=25), st.floats(0.1, 3))
def test_turns_are_as_many_as_the_longest_zigzag_has(values: list[float], swing: float) -> None:
    """The longest alternating choice of values with steps above the swing, by trying all pairs."""
    longest = {(i, way): 1 for i in range(len(values)) for way in (1, -1)}
    for j, way in itertools.product(range(len(values)), (1, -1)):
        for i in range(j):
            if way * (values[j] - values[i]) > swing:
                longest[j, way] = max(longest[j, way], longest[i, -way] + 1)
    corners = max(longest.values(), default=0)
    assert len(turns(np.arange(len(values)), np.array(values), swing)) == max(corners - 2, 0)


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_z_scores_are_by_median_and_its_deviations(values: list[float]) -> None:
    middle = statistics.median(values)
    away = [abs(value - middle) for value in values]
    scale = 1.4826 * statistics.median(away) or 1.2533 * statistics.fmean(away)
    wanted = [(value - middle) / scale if scale else 0.0 for value in values]
    assert robust_z(values) == pytest.approx(wanted, rel=1e-6)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=20).map(sorted),
    st.lists(st.integers(0, 1000), min_size=1, max_size=20).map(sorted),
)
def test_the_nearest_of_another_stream_is_found(stamps: list[int], others: list[int]) -> None:
    wanted = [min(abs(stamp - other) for other in others) * 1e-9 for stamp in stamps]
    assert nearest_s(np.array(stamps), np.array(others)) == pytest.approx(wanted)


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=20))
def test_spans_cover_exactly_what_is_true(mask: list[bool]) -> None:
    covered = [False] * len(mask)
    for begin, end in spans_of(np.array(mask, dtype=bool), np.arange(len(mask))):
        for i in range(int(begin), int(end) + 1):
            covered[i] = True
    assert covered == mask


def test_overlap_of_spans() -> None:
    assert overlap_s((0, 2), (1, 5)) == 1
    assert overlap_s((0, 1), (2, 3)) == 0


def test_a_pause_of_the_recording_is_no_gap() -> None:
    times_s = np.array([0.0, 0.1, 5.0, 5.1, 7.0])
    findings = Findings("")
    check_gaps("/a", times_s, 0.5, [(0.1, 4.9)], findings)
    assert [finding.spans_s for finding in findings.all] == [((5.1, 7.0),)]


def reach(seconds: float, size: float) -> np.ndarray:
    """(k, 1) the smoothest reach from rest to rest."""
    share = np.arange(0.0, seconds + 1e-9, 1.0 / RATE_HZ)[:, None] / seconds
    return size * (10 * share**3 - 15 * share**4 + 6 * share**5)


@pytest.mark.parametrize("seconds", [1.5, 4.0])
@pytest.mark.parametrize("size", [0.1, 2.0])
def test_the_smoothest_reach_has_the_known_jerk_at_any_size_and_speed(
    seconds: float, size: float
) -> None:
    """Duration^3 / peak^2 times the jerk's integral is 720 / 1.875^2 for it."""
    found = log_dimensionless_jerk(reach(seconds, size))
    assert found == pytest.approx(-np.log(720 / 1.875**2), abs=0.05)


def test_trembling_and_stopping_are_less_smooth() -> None:
    smooth = reach(3.0, 1.0)
    trembling = smooth + 0.005 * np.sin(np.arange(len(smooth)) / RATE_HZ * 50)[:, None]
    halting = np.concatenate([reach(1.5, 0.5), 0.5 + reach(1.5, 0.5)])
    best = log_dimensionless_jerk(smooth)
    assert log_dimensionless_jerk(halting) < best - 1.0
    assert log_dimensionless_jerk(trembling) < best - 3.0


def test_only_windows_with_motion_are_judged() -> None:
    values = np.concatenate([np.zeros((500, 1)), reach(2.0, 1.0), np.ones((500, 1))])
    assert 1 <= len(windows(values, 2.0, 0.05)) <= 3
    assert len(windows(np.zeros((500, 1)), 2.0, 0.05)) == 0


def test_even_samples_lie_on_the_lines_between() -> None:
    times_s, values = uniform(np.array([0.0, 0.5, 1.0]), np.array([[0.0], [1.0], [0.0]]))
    assert len(times_s) == RATE_HZ + 1
    assert values[:, 0] == pytest.approx(1 - np.abs(1 - 2 * times_s))


def test_a_report_tells_its_length() -> None:
    assert report_of(start_ns=10**9, end_ns=3 * 10**9).seconds == 2.0
