"""Figures against plain counting; nothing is gained by chance."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml.anomaly import naive
from scipy.io import savemat

from brs_ml.anomaly import AnomalyError, MonitorConfig
from brs_ml.anomaly.datasets import (
    frames_of,
    load_cvad,
    load_dataset,
    split_types,
    write_labels,
)
from brs_ml.anomaly.evaluation import (
    ScoredVideo,
    alarms_at,
    alarms_at_recall,
    auroc,
    micro_auroc,
    spans,
)
from brs_ml.anomaly.monitor import frame_scores


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40).filter(
        lambda rows: len({truth for _, truth in rows}) == 2
    )
)
@settings(max_examples=200, deadline=None)
def test_auroc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    scores, truth = (np.array(column) for column in zip(*rows, strict=True))
    assert auroc(scores, truth) == pytest.approx(naive.auroc(list(scores), list(truth)))


def test_there_is_no_auroc_of_one_class() -> None:
    with pytest.raises(AnomalyError, match="normal and abnormal"):
        auroc(np.zeros(3), np.ones(3, bool))


def test_random_scores_are_worth_nothing() -> None:
    """Through segments, smoothing and micro AUROC, as scores of the monitor are."""
    config, found = MonitorConfig(), []
    for seed in range(60):
        random = np.random.default_rng(seed)
        videos = []
        for i in range(16):
            frames = frame_scores(list(random.random(12)), config)
            begin = int(random.integers(60, 200))
            truth = (np.arange(len(frames)) >= begin) & bool(i % 4)
            videos.append(ScoredVideo(str(i), frames, truth))
        found.append(micro_auroc(videos)[0])
    assert 0.44 <= np.mean(found) <= 0.56
    assert np.std(found) > 0.0


def test_unknown_frames_take_no_part_and_are_counted() -> None:
    video = ScoredVideo("a", np.array([0.1, np.nan, 0.9, np.nan]), np.array([0, 1, 1, 0], bool))
    assert micro_auroc([video]) == (1.0, 0.5)


@given(st.lists(st.booleans(), max_size=30))
def test_spans_are_the_runs_of_true(flags: list[bool]) -> None:
    again = np.zeros(len(flags), bool)
    found = spans(np.array(flags, bool))
    for begin, end in found:
        assert not again[begin:end].any() and begin < end
        again[begin:end] = True
    assert again.tolist() == flags
    assert all(a[1] < b[0] for a, b in pairwise(found))


def _two_events() -> list[ScoredVideo]:
    first = np.zeros(3600)
    first[100:110], first[2000:2100] = 0.6, 0.9  # a false alarm, and one 20 frames late
    second = np.zeros(3600)
    second[500:600] = 0.5
    truth = [np.zeros(3600, bool), np.zeros(3600, bool)]
    truth[0][1980:2100], truth[1][500:600] = True, True
    return [ScoredVideo("a", first, truth[0]), ScoredVideo("b", second, truth[1])]


def test_alarms_are_counted_by_events_and_hours() -> None:
    figures = alarms_at(_two_events(), 0.6, rate_hz=10.0)
    assert (figures.recall, figures.seconds_to_alarm) == (0.5, 2.0)
    assert figures.false_alarms_per_hour == pytest.approx(1 / ((7200 - 220) / 36000))


def test_the_threshold_of_a_recall_is_the_highest_that_reaches_it() -> None:
    assert alarms_at_recall(_two_events(), 0.5, 10.0).threshold == 0.9
    low = alarms_at_recall(_two_events(), 0.8, 10.0)
    assert (low.threshold, low.recall) == (0.5, 1.0)
    with pytest.raises(AnomalyError, match="no threshold"):
        alarms_at_recall([ScoredVideo("a", np.full(5, np.nan), np.ones(5, bool))], 0.8, 10.0)


def test_unknown_frames_raise_no_alarm() -> None:
    video = ScoredVideo("a", np.full(100, np.nan), np.zeros(100, bool))
    assert alarms_at([video], 0.0, 10.0).false_alarms_per_hour == 0.0


def _pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(folder / f"{i:03}.png"), np.full((8, 10, 3), (i, 20, 200), np.uint8))


def test_avenue(tmp_path: Path) -> None:
    _pictures(tmp_path / "testing_videos" / "01", 3)
    labels = tmp_path / "ground_truth_demo" / "testing_label_mask"
    labels.mkdir(parents=True)
    masks = np.empty((1, 3), object)
    masks[0] = [np.zeros((4, 4)), np.eye(4), np.zeros((4, 4))]
    savemat(labels / "1_label.mat", {"volLabel": masks})
    video = load_dataset("avenue", tmp_path)[0]
    assert video.truth.tolist() == [False, True, False]
    frames = list(video.frames())
    assert frames[2] is not None and frames[2][0, 0].tolist() == [200, 20, 2]  # RGB
    (labels / "1_label.mat").write_bytes(b"no mat")
    with pytest.raises(AnomalyError, match="1_label"):
        load_dataset("avenue", tmp_path)


def test_shanghaitech(tmp_path: Path) -> None:
    _pictures(tmp_path / "testing" / "frames" / "01_0014", 2)
    masks = tmp_path / "testing" / "test_frame_mask"
    masks.mkdir()
    np.save(masks / "01_0014.npy", np.array([0, 1]))
    assert load_dataset("shanghaitech", tmp_path)[0].truth.tolist() == [False, True]
    np.array([{"code": 1}, None]).dump(masks / "01_0014.npy")
    with pytest.raises(AnomalyError, match="01_0014"):
        load_dataset("shanghaitech", tmp_path)


def test_ubnormal(tmp_path: Path) -> None:
    scene = tmp_path / "Scene1"
    masks = scene / "abnormal_scene_1_annotations"
    masks.mkdir(parents=True)
    (scene / "abnormal_scene_1.mp4").write_bytes(b"")
    for i in range(3):
        mask = np.full((4, 4), 255 * (i == 2), np.uint8)
        cv2.imwrite(str(masks / f"abnormal_scene_1_{i:04}_gt.png"), mask)
    assert load_dataset("ubnormal", tmp_path)[0].truth.tolist() == [False, False, True]


def test_customizable_splits_go_there_and_back(tmp_path: Path) -> None:
    events = {"a": {"riding a bike": [(1, 3)], "running": [(0, 1)]}, "b": {"running": [(2, 4)]}}
    labels = split_types(events, {"a": 4, "b": 5})
    assert labels["riding a bike"]["b"].tolist() == [False] * 5
    write_labels(labels, tmp_path)
    for name, count in (("a", 4), ("b", 5)):
        _pictures(tmp_path / "videos" / name, count)
    again = load_cvad(tmp_path)
    assert list(again) == ["riding a bike", "running"]
    for text, videos in again.items():
        assert {v.name: v.truth.tolist() for v in videos} == {
            name: truth.tolist() for name, truth in labels[text].items()
        }
    with pytest.raises(AnomalyError, match="from 2 to 9"):
        split_types({"a": {"running": [(2, 9)]}}, {"a": 4})


def test_a_damaged_picture_is_a_missing_frame(tmp_path: Path) -> None:
    _pictures(tmp_path / "v", 2)
    (tmp_path / "v" / "000.png").write_bytes(b"no png")
    frames = list(frames_of(tmp_path / "v"))
    assert frames[0] is None and frames[1] is not None


@pytest.mark.parametrize("name", ["avenue", "shanghaitech", "ubnormal", "ucsd"])
def test_data_sets_that_are_not_there_are_said_to_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(AnomalyError, match=r"no such folder|no videos|unknown data set"):
        load_dataset(name, tmp_path)
    with pytest.raises(AnomalyError, match="no such folder"):
        load_cvad(tmp_path)
    (tmp_path / "videos").mkdir()
    with pytest.raises(AnomalyError, match="no labels"):
        load_cvad(tmp_path)
    with pytest.raises(AnomalyError, match="no such video"):
        list(frames_of(tmp_path / "none.mp4"))
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(AnomalyError, match=r"bad\.mp4"):
        list(frames_of(tmp_path / "bad.mp4"))
