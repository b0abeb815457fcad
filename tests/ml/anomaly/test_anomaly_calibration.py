"""Calibration: limits of normal footage, footage that is refused, files, and the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml.anomaly.toy import noisy_frames
from ml.dataset.synthetic_episodes import Recipe, picture_at, record

from brs_cli import anomaly_eval
from brs_cli.anomaly_calibrate import Scored, calibrate_camera, main
from brs_ml.anomaly import KeywordScore, MonitorConfig, SegmentConfig, SegmentScore
from brs_ml.anomaly.backends import BackendConfig, Backends
from brs_ml.anomaly.calibration import (
    NO_GATE,
    Calibration,
    Limits,
    Setting,
    calibrate,
    check_footage,
)
from brs_ml.anomaly.config import CalibrationConfig
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.footage import at_rate, footage_of
from brs_ml.anomaly.scores import UNKNOWN, Parts
from brs_ml.anomaly.small import SmallConfig, SmallModels
from brs_ml.anomaly.watcher import load_equipment
from brs_ml.episode import EpisodeError

SETTING = Setting("toys", SegmentConfig(frames=4), 10.0)
HOME = CalibrationConfig(least_segments=7, held_out=0.3)
CONFIG = MonitorConfig(
    segment=SegmentConfig(frames=4), smoothing_frames=0.0, judged_texts=0, calibration=HOME
)


def segment(number: int, **scores: float | None) -> SegmentScore:
    """Whose evidence is the score, too."""
    rows = [
        KeywordScore(text, UNKNOWN, None, 0.0, "black")
        if score is None
        else KeywordScore(text, Parts(score, score, score), score, score, "", True, key_frame=0)
        for text, score in scores.items()
    ]
    begin_s = 0.4 * number
    return SegmentScore(number, begin_s, begin_s + 0.3, tuple(rows), UNKNOWN, None)


def video(scores: Sequence[float | None], level: float = 90.0) -> Scored:
    rows = tuple(segment(i, cup=score) for i, score in enumerate(scores))
    return Scored(rows, (level,) * len(rows), frozenset({(48, 64)}))


# -- limits ----------------------------------------------------------------------------------


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30),
    st.floats(0.0, 0.5),
    st.sampled_from([0.0, 0.5, 0.9]),
)
def test_no_normal_score_is_alarm_and_the_gate_keeps_its_share(
    scores: list[float], margin: float, share: float
) -> None:
    config = replace(HOME, margin=margin, gate_quantile=share)
    rows = [segment(i, cup=score) for i, score in enumerate(scores)]
    (limits,) = calibrate("head", rows, config)
    assert limits.threshold == min(max(scores) + margin, 1.0) and limits.segments == len(scores)
    kept = sum(score < limits.gate for score in scores)
    assert kept <= share * len(scores)
    if share == 0.0:
        assert limits.gate == NO_GATE


def test_alarms_are_counted_on_footage_that_no_limit_was_made_of() -> None:
    normal = [0.6, 0.1] * 7  # of which 30 % are held out: the last 6 of each 20
    quiet, loud = [0.1, 0.6, 0.1, 0.65, 0.1, 0.1], [0.1, 0.6, 0.1, 0.9, 0.1, 0.1]
    limits, trial = calibrate_camera("head", [video(normal + quiet)], CONFIG, 0.5)
    assert limits[0].threshold == pytest.approx(0.7)
    assert (trial.before, trial.after) == (2, 0)
    assert trial.hours == pytest.approx(6 * 0.3 / 3600.0)
    limits, trial = calibrate_camera("head", [video(normal + loud)] * 2, CONFIG, 0.5)
    assert limits[0].threshold == pytest.approx(0.7)  # the held-out 0.9 is not seen
    assert (trial.before, trial.after) == (4, 2)


def test_what_few_alarms_say_of_hours_to_come() -> None:
    _, trial = calibrate_camera("head", [video([0.1] * 20)], CONFIG, 0.5)
    hours = replace(trial, hours=2.0)
    assert hours.told(0) == "0 (0.0 an hour; at 95% confidence at most 1.5)"  # -ln(0.05) / 2


@pytest.mark.parametrize(
    "videos, message",
    [
        ([video([0.1] * 9)], "too short: 9 segments, 10 are needed"),
        ([video([])], "too short"),
        ([video([0.1] * 17 + [None] * 3)], "3 of 20 segments cannot be judged: black"),
        ([video([0.1] * 20, level=5.0)], "dark: a brightness of 5"),
        (
            [video([0.1] * 20), replace(video([0.1] * 20), sizes=frozenset({(24, 32)}))],
            "several cameras: 32x24, 64x48",
        ),
    ],
)
def test_footage_that_says_nothing_is_refused(videos: list[Scored], message: str) -> None:
    with pytest.raises(AnomalyError, match=message):
        calibrate_camera("head", videos, CONFIG, 0.5)


def test_a_few_bad_segments_and_a_lamp_that_goes_out_are_normal() -> None:
    rows = video([0.1] * 19 + [None])
    check_footage(rows.segments, [90.0] * 15 + [0.0] * 5, HOME)


def test_texts_that_nobody_can_judge_are_refused() -> None:
    rows = [segment(i, cup=0.1, чашка=None) for i in range(20)]
    with pytest.raises(AnomalyError, match="'чашка' was not judged: black"):
        calibrate("head", rows, HOME)


# -- files -----------------------------------------------------------------------------------

CUP, SPILL = Limits("head", "cup", 9, -0.2, 0.6), Limits("wrist", "spill", 9, 0.1, 1.0)


def test_it_comes_back_camera_by_camera(tmp_path: Path) -> None:
    made = Calibration(SETTING, (CUP,)).with_camera([SPILL])
    made.save(tmp_path / "home" / "calibration.json")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["calibration.json"]
    assert Calibration.load(tmp_path / "home" / "calibration.json", SETTING) == made
    assert made.cameras == {"head", "wrist"} and made.gates("head") == {"cup": -0.2}
    assert made.thresholds("wrist") == {"spill": 1.0} and made.thresholds("left") == {}
    again = made.with_camera([replace(CUP, text="bike")])
    assert again.gates("head") == {"bike": -0.2} and again.gates("wrist") == {"spill": 0.1}
    made.require("head", ["cup"])
    with pytest.raises(AnomalyError, match="without the texts bike, spill"):
        made.require("head", ["bike", "cup", "spill"])
    with pytest.raises(AnomalyError, match="without the camera 'left'"):
        made.require("left", ["cup"])


@pytest.mark.parametrize(
    "other, message",
    [
        (replace(SETTING, models="clip"), "models was toys, now it is clip"),
        (replace(SETTING, frame_hz=5.0), "frame_hz was 10.0, now it is 5.0"),
        (replace(SETTING, segment=SegmentConfig()), "frames was 4, now it is 24"),
    ],
)
def test_numbers_of_other_scores_are_refused(other: Setting, message: str, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    Calibration(SETTING, (CUP,)).save(path)
    with pytest.raises(AnomalyError, match=message):
        Calibration.load(path, other)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    Calibration(SETTING, (CUP,)).save(path)
    good = path.read_text()
    for broken in (
        "",
        "[1]",
        "{}",
        good.replace("brs-anomaly-calibration", "another"),
        good.replace('"threshold": 0.6', '"threshold": NaN'),
        good.replace('"threshold": 0.6', '"threshold": 7'),
        good.replace('"gate"', '"door"'),
        good.replace('"cup"', "3"),
        good[:-20],
    ):
        assert broken != good
        path.write_text(broken)
        with pytest.raises(AnomalyError, match="calibrate again"):
            Calibration.load(path, SETTING)
    with pytest.raises(AnomalyError, match="calibrate again"):
        Calibration.load(tmp_path / "none.json", SETTING)
    (tmp_path / "file").write_text("")
    with pytest.raises(AnomalyError, match="cannot be written"):
        Calibration(SETTING, ()).save(tmp_path / "file" / "calibration.json")


# -- footage ---------------------------------------------------------------------------------


@given(
    st.lists(st.floats(0.001, 2.0), min_size=1, max_size=60),
    st.sampled_from([2.0, 10.0, 30.0]),
)
def test_a_node_that_looks_seldom_sees_some_of_the_frames(steps: list[float], hz: float) -> None:
    stamps = np.cumsum(steps)
    seen = [stamp for _, stamp in at_rate(((None, s) for s in stamps), hz)]
    assert seen[0] == stamps[0] and set(seen) <= set(stamps)
    # Never more than the rate gives, in any stretch of time.
    for i, begin in enumerate(seen):
        for k, end in enumerate(seen[i:]):
            assert k <= (end - begin) * hz + 1.0 + 1e-6
    # A frame after a pause is never passed over.
    period = 1.0 / hz
    assert set(stamps[1:][np.diff(stamps) > 2.0 * period]) <= set(seen)


def test_whole_fractions_of_a_rate_are_met_exactly() -> None:
    thirty = [(None, i / 30.0) for i in range(300)]
    assert [stamp for _, stamp in at_rate(thirty, 10.0)] == [s for _, s in thirty[::3]]
    back = [(None, stamp) for stamp in (5.0, 5.1, 0.0, 0.1)]
    assert len(list(at_rate(back, 10.0))) == 4  # another video begins


def test_an_episodes_pictures_come_with_their_stamps(tmp_path: Path) -> None:
    episode = record(tmp_path / "e", Recipe(seconds=1.0))
    found = list(footage_of(episode, "wrist", 10.0))
    assert len(found) == 15
    for frame, stamp_s in found:
        seconds = stamp_s - found[0][1]
        assert frame is not None and np.array_equal(frame, picture_at(seconds + 1e-4, "wrist"))
    with pytest.raises(EpisodeError, match="no topic 'camera/left/color/image_raw'"):
        list(footage_of(episode, "left", 10.0))
    with pytest.raises(AnomalyError, match="no such footage"):
        list(footage_of(tmp_path / "none", "head", 10.0))


def test_a_videos_frames_come_with_its_times(tmp_path: Path) -> None:
    import av

    path = tmp_path / "home.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height = 64, 48
        for frame in np.random.default_rng(0).integers(0, 255, (10, 48, 64, 3), dtype=np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    found = list(footage_of(path, "head", 10.0))
    assert [stamp for _, stamp in found] == pytest.approx([i / 20.0 for i in range(10)])
    assert all(frame is not None and frame.shape == (48, 64, 3) for frame, _ in found)
    path.write_bytes(b"no video")
    with pytest.raises(AnomalyError, match="cannot be read"):
        list(footage_of(path, "head", 10.0))


# -- the command -----------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small models that learnt nothing, their settings, and pictures of a home."""
    monkeypatch.setenv("BRS_DATA", str(tmp_path / "data"))
    SmallModels.fresh(SmallConfig(("spill", "person"))).save(tmp_path / "small.safetensors")
    (tmp_path / "short.yaml").write_text(
        "segment: {frames: 4, windows_px: [120]}\ncalibration: {least_segments: 5}\n"
    )
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i, frame in enumerate(noisy_frames(40, seed=3)):
        cv2.imwrite(str(pictures / f"{i:03d}.png"), frame)
    return tmp_path


def arguments(home: Path, *more: str) -> list[str]:
    out, weights = home / "calibration.json", home / "small.safetensors"
    return [
        *(str(home / "pictures"), "--config", str(home / "short.yaml")),
        *("--weights", str(weights), "--out", str(out), *more),
    ]


def test_pictures_become_limits_that_the_node_takes(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments(home, "--text", "a spill", "--text", "a person"))
    told = capsys.readouterr().out
    assert "a spill" in told and "held out" in told and "calibration:=" in told
    main(arguments(home, "--text", "a person", "--camera", "left_wrist"))
    backends = Backends(BackendConfig(), home / "small.safetensors")
    segment = SegmentConfig(frames=4, windows_px=(120,))

    def load(frame_hz: float, camera: str) -> Calibration | None:
        path = home / "calibration.json"
        return load_equipment(backends, path, segment, frame_hz, [camera]).calibration

    made = load(10.0, "head")
    assert made is not None and set(made.gates("head")) == {"a spill", "a person"}
    assert set(made.thresholds("left_wrist")) == {"a person"}
    assert all(row.segments == 7 and 0.1 < row.threshold <= 1.0 for row in made.limits)
    with pytest.raises(AnomalyError, match="is of head, left_wrist, not of hall"):
        load(10.0, "hall")
    with pytest.raises(AnomalyError, match="frame_hz was"):
        load(5.0, "head")
    SmallModels.fresh(SmallConfig(("spill", "person")), seed=1).save(home / "small.safetensors")
    with pytest.raises(AnomalyError, match="models was small, small, weights"):
        load(10.0, "head")
    with pytest.raises(AnomalyError, match="models was"):
        main(arguments(home, "--text", "a spill"))


def test_without_texts_it_takes_those_of_last_time(home: Path) -> None:
    with pytest.raises(AnomalyError, match="nothing to watch for"):
        main(arguments(home))
    folder = home / "data" / "anomaly"
    folder.mkdir(parents=True)
    (folder / "anomaly_monitor.json").write_text(json.dumps(["a spill"]))
    main(arguments(home))
    texts = [row["text"] for row in json.loads((home / "calibration.json").read_text())["limits"]]
    assert texts == ["a spill"]


def test_evaluation_counts_each_text_by_its_own_threshold() -> None:
    def scored(name: str, cup: list[float], bike: list[float]) -> anomaly_eval.Scored:
        rows = [segment(i, cup=a, bike=b) for i, (a, b) in enumerate(zip(cup, bike, strict=True))]
        truth = np.zeros(16, bool)
        truth[4:8] = True  # known with its last frame, the seventh
        return anomaly_eval.Scored(name, tuple(rows), {"cup": truth})

    videos = [scored("a", [0.1, 0.7, 0.1, 0.1], [0.8, 0.8, 0.8, 0.8])]
    loose = anomaly_eval.alarms_above(videos, CONFIG, {"cup": 0.5, "bike": 0.9}, 10.0)
    assert (loose.recall, loose.false_alarms_per_hour) == (1.0, 0.0)
    assert loose.seconds_to_alarm == pytest.approx(0.3) and np.isnan(loose.threshold)
    deaf = anomaly_eval.alarms_above(videos, CONFIG, {"cup": 0.7, "bike": 0.9}, 10.0)
    assert deaf.recall == 0.0  # alarm is above its threshold, not at it
