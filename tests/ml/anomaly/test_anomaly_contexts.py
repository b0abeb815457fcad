"""Key frames, windows, position and temporal context, against the plain way of the paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml.anomaly import naive
from ml.anomaly.toy import COLOURS, ColourEncoder, noisy_frames

from brs_ml.anomaly import AnomalyError, MonitorConfig, SegmentConfig, watch_texts
from brs_ml.anomaly.config import KEY_FRAME_RULES
from brs_ml.anomaly.context import Contexts
from brs_ml.anomaly.key_frames import select_key_frames
from brs_ml.anomaly.texts import tidy_texts
from brs_ml.anomaly.windows import cut, cut_all, two_by_two, window_corners

LENGTHS = st.sampled_from([4, 8, 24, 32])


@given(LENGTHS.flatmap(lambda n: st.lists(st.integers(-5, 5), min_size=n, max_size=n)))
@settings(max_examples=300, deadline=None)
def test_key_frames_are_one_of_each_quarter_and_hold_the_best(values: list[int]) -> None:
    similarities = np.array(values, dtype=float)
    chosen, best = select_key_frames(similarities)
    assert chosen.tolist() == naive.key_frames(values)
    assert set(np.diff(chosen)) == {len(values) // 4}
    assert similarities[best] == similarities.max() and best in chosen


def test_the_papers_example() -> None:
    chosen, best = select_key_frames(np.eye(8)[4])
    assert (chosen.tolist(), best) == ([0, 2, 4, 6], 4)


@pytest.mark.parametrize("rule", KEY_FRAME_RULES)
@given(st.lists(st.floats(-1, 1), min_size=24, max_size=24), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_every_rule_gives_four_rising_frames(rule: str, values: list[float], seed: int) -> None:
    similarities = np.array(values)
    chosen, best = select_key_frames(similarities, rule, seed)
    assert len(chosen) == 4 and np.all(np.diff(chosen) > 0) and best in chosen
    assert similarities[best] == similarities[chosen].max()
    if rule == "group_then_clip":
        assert all(
            similarities[c] == similarities[6 * q : 6 * q + 6].max() for q, c in enumerate(chosen)
        )
    if rule == "top":
        assert sorted(similarities[chosen]) == sorted(similarities)[-4:]


@pytest.mark.parametrize("count", [0, 3, 6, 23])
def test_no_key_frames_of_segments_without_quarters(count: int) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        select_key_frames(np.zeros(count))


def test_windows_are_as_many_as_in_the_paper() -> None:
    assert [window_corners(px)[..., 0].size for px in (48, 80, 120, 240)] == [25, 9, 4, 1]
    assert [window_corners(px, True)[..., 0].size for px in (48, 80, 120)] == [81, 25, 9]


@pytest.mark.parametrize("half_steps", [False, True])
@pytest.mark.parametrize("side_px", [24, 32, 64, 112])
def test_windows_that_are_scaled_together_are_those_scaled_one_by_one(
    side_px: int, half_steps: bool
) -> None:
    frame = noisy_frames(1, seed=side_px, side=240)[0]
    sizes = (48, 80, 100, 120)
    found = cut_all(frame, sizes, half_steps, side_px)
    plain = [cut(frame, window_corners(px, half_steps), px, side_px) for px in sizes]
    # A level of 255 for rounding, where a scale is no fraction of two.
    assert np.abs(found.astype(int) - np.concatenate(plain)).max() <= (side_px == 112)


def test_grids_are_read_row_by_row() -> None:
    cells = [np.full((2, 2, 3), i, np.uint8) for i in range(4)]
    assert two_by_two(cells)[:, :, 0].tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2


@pytest.mark.parametrize("seed", range(3))
def test_position_context_is_the_plain_one(seed: int) -> None:
    encoder, frames = ColourEncoder(), noisy_frames(4, seed)
    for names in (tuple(COLOURS), ("red",)):
        texts = watch_texts(names, encoder, MonitorConfig()).templated
        for which in range(len(names)):
            found = Contexts(encoder, SegmentConfig(), frames).position(1, texts, which)
            wanted = naive.heat(encoder, frames[1], texts, which)
            assert np.abs(found.heat - wanted).max() < 1e-5
            picture = naive.position(encoder, frames[1], texts, which)
            assert np.abs(found.picture - picture).max() <= 1


@pytest.mark.parametrize("rule", ["whole", "cells"])
@pytest.mark.parametrize("seed", range(3))
def test_temporal_context_is_the_plain_one(rule: str, seed: int) -> None:
    encoder, frames = ColourEncoder(), noisy_frames(8, seed)
    text = encoder.encode_texts(["red"])[0]
    contexts = Contexts(encoder, SegmentConfig(grid=rule), frames)
    for numbers in ([0, 2, 4, 6], [1, 3, 5, 7]):
        wanted = naive.temporal(encoder, [frames[i] for i in numbers], text, rule)
        assert np.array_equal(contexts.temporal(numbers, text).picture, wanted)


def test_both_rules_differ_where_one_cell_alone_fits() -> None:
    frames = [np.full((240, 240, 3), 40, np.uint8) for _ in range(4)]
    for i, frame in enumerate(frames):
        frame[:48, :48] = (240, 60, 60) if i == 2 else (0, 0, 255)  # once red, else blue
        frame[192:, 192:] = (150, 60, 60)  # always somewhat red
    encoder, text = ColourEncoder(), ColourEncoder().encode_texts(["red"])[0]
    corners = {
        rule: Contexts(encoder, SegmentConfig(grid=rule), frames).temporal(range(4), text).corner
        for rule in ("whole", "cells")
    }
    assert corners == {"whole": (192, 192), "cells": (0, 0)}


def test_heat_peaks_in_what_the_text_names() -> None:
    random, encoder = np.random.default_rng(0), ColourEncoder()
    texts = watch_texts(tuple(COLOURS), encoder, MonitorConfig()).templated
    inside = 0
    for _ in range(100):
        size = int(random.integers(60, 120))
        top, left = random.integers(0, 240 - size, 2)
        frame = random.integers(60, 120, (240, 240, 3), dtype=np.uint8)
        frame[top : top + size, left : left + size] = (230, 20, 20)
        heat = Contexts(encoder, SegmentConfig(), [frame]).position(0, texts, 0).heat
        row, column = np.array(np.unravel_index(heat.argmax(), heat.shape)) * 240 / 224
        inside += bool(top <= row < top + size and left <= column < left + size)
    assert inside >= 95


def test_a_frame_without_differences_is_looked_at_everywhere() -> None:
    frame = np.full((30, 30, 3), 90, np.uint8)
    encoder = ColourEncoder()
    found = Contexts(encoder, SegmentConfig(), [frame]).position(
        0, encoder.encode_texts(["red"]), 0
    )
    assert np.all(found.heat == 1.0) and np.all(found.picture == 90)


@pytest.mark.parametrize(
    "texts, message",
    [
        ([], "nothing to watch"),
        ([" \t "], "is no text"),
        (["?!"], "is no text"),
        (["a" * 201], "201 letters"),
        (["bad\x00text"], "control"),
        ([f"thing {i}" for i in range(101)], "101 texts"),
    ],
)
def test_texts_that_cannot_be_watched_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(AnomalyError, match=message):
        watch_texts(texts, ColourEncoder(), MonitorConfig())


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_any_writing_is_watched_for_or_refused(texts: list[str]) -> None:
    """Of any language; nothing but an AnomalyError comes of it, and what is kept can be kept."""
    config = MonitorConfig()
    try:
        watched = watch_texts(texts, ColourEncoder(), config)
    except AnomalyError:
        assert any(not any(c.isalnum() for c in t) or not t.isprintable() for t in texts)
        return
    assert watched.keywords == tidy_texts(watched.keywords, config)
    assert all(text.encode() and text.isprintable() for text in watched.keywords)
    assert len(watched.plain) == len(watched.keywords) <= len(texts)


def test_texts_are_tidied_and_said_once() -> None:
    watched = watch_texts([" red  cup", "red cup", "чашка"], ColourEncoder(), MonitorConfig())
    assert watched.keywords == ("red cup", "чашка") and watched.known == (True, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 6},
        {"windows_px": ()},
        {"windows_px": (300,)},
        {"weights": (0.5, 0.3, 0.1)},
        {"key_frames": "best"},
        {"grid": "any"},
        {"prompt": "long"},
    ],
)
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SegmentConfig(**wrong)
