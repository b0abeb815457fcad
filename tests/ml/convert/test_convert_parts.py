"""The small parts of conversions, each beside a plain reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from ml.convert.samples import robot_of

from brs_ml.convert import LeRobotOptions
from brs_ml.convert.hdf5_layout import VECTORS
from brs_ml.convert.kept import held, stand_ins
from brs_ml.convert.lerobot_files import arrow_array, arrow_type
from brs_ml.convert.lerobot_format import LeRobotFeature
from brs_ml.convert.lerobot_statistics import PictureCounts, number_statistics
from brs_ml.convert.video import CODECS, VideoWriter, read_frames
from brs_ml.dataset import DatasetError

CLOSINGS = st.floats(0.0, 1.0, width=32) | st.just(float("nan"))


@given(hnp.arrays(bool, st.integers(1, 12)))
def test_a_stand_in_is_the_last_known_or_the_first(known: np.ndarray) -> None:
    for step, found in enumerate(stand_ins(known)):
        before = [i for i in range(step + 1) if known[i]]
        after = [i for i in range(len(known)) if known[i]]
        assert found == (before[-1] if before else after[0] if after else -1)


@given(hnp.arrays(np.float32, (5, 3), elements=st.floats(-2, 2, width=32) | st.just(np.nan)))
def test_held_values_are_numbers_and_known_ones_stay(values: np.ndarray) -> None:
    filled, known = held(values), ~np.isnan(values)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[known], values[known])
    for column in range(3):
        for step in range(1, 5):
            if not known[step, column] and known[:step, column].any():
                assert filled[step, column] == filled[step - 1, column]


@given(hnp.arrays(np.float32, (4, 21), elements=CLOSINGS))
def test_numbers_come_back_from_the_layout_of_brs_bit_by_bit(vectors: np.ndarray) -> None:
    """Strokes are rounded: what was kept fills in the last bits, and what was not known."""
    robot, paths = robot_of("r1"), VECTORS["action"]
    arrays = robot.to_layout(vectors, paths)
    back = robot.still_said(vectors, arrays, paths)
    assert back.tobytes() == vectors.tobytes()
    plain = robot.from_layout(arrays, paths)
    np.testing.assert_allclose(plain, held(vectors), rtol=1e-6, atol=1e-9)


def test_number_statistics_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    found = number_statistics(values)
    assert found["count"] == [50]
    assert found["q90"] == pytest.approx(np.quantile(values.astype(float), 0.9, axis=0))
    assert found["std"] == pytest.approx(values.astype(float).std(axis=0))
    assert np.shape(number_statistics(np.ones(4, bool))["mean"]) == (1,)


def test_picture_statistics_are_those_of_all_pixels() -> None:
    random = np.random.default_rng(1)
    pictures = random.integers(0, 200, (5, 20, 30, 3), dtype=np.uint8)
    first, second = PictureCounts(), PictureCounts()
    for number, picture in enumerate(pictures):
        (first if number < 2 else second).add(picture)
    first.merge(second)
    found, pixels = first.statistics(), pictures.reshape(-1, 3) / 255.0
    assert found["count"] == [5]
    for name, expected in (
        ("mean", pixels.mean(axis=0)),
        ("std", pixels.std(axis=0)),
        ("min", pixels.min(axis=0)),
        ("max", pixels.max(axis=0)),
        ("q10", np.quantile(pixels, 0.1, axis=0, method="inverted_cdf")),
        ("q99", np.quantile(pixels, 0.99, axis=0, method="inverted_cdf")),
    ):
        assert np.ravel(found[name]) == pytest.approx(expected), name


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3), (2, 3, 4)])
def test_arrays_of_any_rank_go_into_a_table(shape: tuple[int, ...]) -> None:
    values = np.arange(5 * np.prod(shape), dtype=np.float32).reshape(5, *shape)
    kind = arrow_type(LeRobotFeature("float32", shape))
    array = arrow_array(values, kind)
    assert array.type == kind
    wanted = values[:, 0] if shape == (1,) else values
    assert array.to_pylist() == wanted.tolist()


def test_a_lossless_video_gives_each_frame_from_anywhere(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    frames = random.integers(0, 256, (9, 18, 22, 3), dtype=np.uint8)
    with VideoWriter(tmp_path / "v.mp4", (18, 22, 3), 12.5, CODECS["lossless"]) as writer:
        for frame in frames:
            writer.add(frame)
    for start in range(9):
        found = list(read_frames(tmp_path / "v.mp4", start / 12.5, 9 - start, 12.5))
        np.testing.assert_array_equal(found, frames[start:])
    with pytest.raises(DatasetError, match=r"no frame at 0.720 s"):
        list(read_frames(tmp_path / "v.mp4", 0.0, 10, 12.5))
    with pytest.raises(DatasetError, match="no frame at"):
        list(read_frames(tmp_path / "v.mp4", 0.0, 3, 10.0))  # not its rate


def test_odd_sizes_are_encoded_or_refused(tmp_path: Path) -> None:
    picture = np.full((17, 23, 3), 90, np.uint8)
    with VideoWriter(tmp_path / "v.mp4", picture.shape, 10.0, CODECS["h264"]) as writer:
        writer.add(picture)
    (found,) = read_frames(tmp_path / "v.mp4", 0.0, 1, 10.0)
    assert found.shape == picture.shape
    with pytest.raises(DatasetError, match="23 x 17 have odd sides"):
        VideoWriter(tmp_path / "w.mp4", picture.shape, 10.0, CODECS["av1"])


@pytest.mark.parametrize(
    ("pictures", "crf"), [("h264", 52), ("av1", 64), ("h264", -1), ("jpeg", 5), ("mpeg1", None)]
)
def test_options_that_cannot_be_are_refused(pictures: str, crf: int | None) -> None:
    with pytest.raises(ValueError, match=r"'crf' of|'pictures' must"):
        LeRobotOptions(pictures, crf)
