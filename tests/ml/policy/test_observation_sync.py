"""Streams with stamps become what the data set would have made of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_ml.policy.observation import Observation
from brs_ml.policy.runtime.observation_sync import STATE, ObservationSync, SyncConfig

MS = 1_000_000
SIZE = 3
START = 1_700_000_000_000 * MS


def sync(**changes: Any) -> ObservationSync:
    values: dict[str, Any] = {"rate_hz": 10.0, "observations": 2, "sources": ("cloud",)}
    return ObservationSync(SyncConfig(**{**values, **changes}))


def state(time_ns: int) -> np.ndarray:
    """Linear in time, so that interpolation is exact."""
    return np.array([1.0, -2.0, 0.5]) * (time_ns - START) * 1e-9


def cloud(number: int) -> np.ndarray:
    return np.full((2, 6), float(number))


def feed(
    made: ObservationSync, clouds_ms: Iterable[int], states_ms: Iterable[int]
) -> list[Observation]:
    """All samples in the order of time; what is taken after each."""
    events = [(t, STATE) for t in states_ms] + [(t, "cloud") for t in clouds_ms]
    found = []
    for time_ms, stream in sorted(events, key=lambda e: (e[0], e[1] != STATE)):
        stamp_ns = START + time_ms * MS
        value = state(stamp_ns) if stream == STATE else cloud(time_ms)
        made.add(stream, stamp_ns, value)
        if (window := made.take(stamp_ns * 1e-9)) is not None:
            found.append(window)
    return found


def naive(moment_ms: int, clouds_ms: list[int]) -> int | None:
    """The cloud of a moment, by the words of the rule."""
    before = [t for t in clouds_ms if t <= moment_ms]
    return max(before) if before and moment_ms - max(before) <= 200 else None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 1500), min_size=1, max_size=60, unique=True))
def test_windows_hold_what_the_rule_says(clouds_ms: list[int]) -> None:
    windows = feed(sync(same_s=0.0), clouds_ms, range(-300, 2000, 10))
    newest = []
    for window in windows:
        older_ms, newest_ms = ((stamp - START) // MS for stamp in window.stamps_ns)
        assert newest_ms - older_ms == 100
        assert window.cloud is not None
        for moment_ms, seen in zip((older_ms, newest_ms), window.cloud, strict=True):
            assert seen[0, 0] == naive(moment_ms, clouds_ms)
        for stamp, numbers in zip(window.stamps_ns, window.proprioception, strict=True):
            assert np.allclose(numbers, state(stamp), atol=1e-9)
        newest.append(newest_ms)
    apart = np.diff(newest)
    assert (apart >= 50).all() and (apart[2:] + apart[1:-1] + apart[:-2] >= 225).all()


def test_clouds_at_the_rate_of_the_data_give_a_window_each_and_are_not_seen_anew() -> None:
    """The older observation of a window is the newest one of the window before, by name too."""
    jitter = [0, 4, -3, 6, -6, 2, 0, 5, -5, 1]
    clouds_ms = [105 + 100 * i + j for i, j in enumerate(jitter)]
    windows = feed(sync(), clouds_ms, range(-300, 1400, 10))
    assert len(windows) >= len(jitter) - 2, "the first has nothing to go before it"
    for before, after in itertools.pairwise(windows):
        assert after.stamps_ns[0] == before.stamps_ns[1]
        assert np.array_equal(after.proprioception[0], before.proprioception[1])


@pytest.mark.parametrize(("cloud_hz", "windows"), [(30, 10), (15, 10), (12, 9), (10, 10), (6, 6)])
def test_a_policy_sees_at_its_own_rate_whatever_that_of_the_clouds(
    cloud_hz: int, windows: int
) -> None:
    clouds_ms = [round(1000 * i / cloud_hz) + 3 for i in range(3 * cloud_hz)]
    found = feed(sync(), clouds_ms, range(-300, 3000, 10))
    assert abs(len(found) / 3 - windows) <= 1.0


def test_pictures_of_all_cameras_are_of_the_moment_that_all_have_reached() -> None:
    made = sync(sources=("image.head", "image.left_wrist"), observations=1)
    for time_ms in range(0, 160, 10):
        made.add(STATE, START + time_ms * MS, state(START + time_ms * MS))
    for time_ms in (0, 60, 120):
        made.add("image.head", START + time_ms * MS, np.full((2, 2, 3), time_ms, np.uint8))
    for time_ms in (30, 90):
        made.add("image.left_wrist", START + time_ms * MS, np.full((2, 2, 3), time_ms, np.uint8))
    window = made.take(START * 1e-9 + 0.15)
    assert window is not None and window.cloud is None
    assert window.stamps_ns == (START + 90 * MS,)
    assert {name: int(image[0, 0, 0, 0]) for name, image in window.images.items()} == {
        "head": 60,
        "left_wrist": 90,
    }


def test_it_says_what_is_missing_and_recovers() -> None:
    made = sync()
    assert made.problem(0.0) == "no state yet"
    feed(made, [], range(0, 300, 10))
    assert made.problem(START * 1e-9 + 0.3) == "no cloud yet"
    feed(made, [0, 100, 200, 300], range(300, 310, 10))
    now_s = START * 1e-9 + 0.3
    assert made.problem(now_s) == ""
    assert made.problem(now_s + 0.55) == "the newest state is 0.55 s old"
    feed(made, [], range(310, 900, 10))
    assert made.problem(now_s + 0.6) == "the newest cloud is 0.60 s old"
    assert made.take(now_s + 0.6) is None
    assert feed(made, [900, 1000, 1100], range(900, 1200, 10))
    assert "ahead" in made.problem(now_s - 1.0)


def test_a_gap_of_states_or_an_old_cloud_gives_no_window() -> None:
    assert not feed(sync(), [0, 100, 200, 300], range(0, 1, 10))
    # No state for 150 ms around the older moment.
    assert not feed(sync(), [195, 295], [*range(0, 130, 10), *range(280, 300, 10)])
    # The older moment's cloud would be 240 ms old.
    assert not feed(sync(), [60, 400], range(0, 420, 10))


def test_what_comes_late_or_twice_is_left_out_and_a_clock_set_back_begins_anew() -> None:
    made = sync(observations=1)
    assert made.add("cloud", START + 50 * MS, cloud(1))
    assert not made.add("cloud", START + 50 * MS, cloud(2))
    assert not made.add("cloud", START + 20 * MS, cloud(3))
    early = START - 5_000 * MS
    assert made.add("cloud", early, cloud(4))
    made.add(STATE, early, state(early))
    window = made.take(early * 1e-9)
    assert window is not None and window.cloud is not None and window.cloud[0, 0, 0] == 4.0


def test_settings_that_make_no_sense_are_refused() -> None:
    for changes in ({"rate_hz": 0.0}, {"same_s": 0.05}, {"observations": 0}, {"max_age_s": -1.0}):
        with pytest.raises(ValueError):
            sync(**changes)
