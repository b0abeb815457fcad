"""What `brs monitor eval` makes of scores, and `train` of clips."""

from __future__ import annotations

import numpy as np
import pytest

from brs_cli.anomaly_eval import KEY_FRAME_ONLY, Scored, evaluate, with_weights
from brs_cli.anomaly_lessons import SEGMENT, Lesson, encoder_pictures
from brs_cli.anomaly_train import TEST_SEEDS, TRAINING_SEEDS, Phrases
from brs_hardware.config import load_named
from brs_ml.anomaly import KeywordScore, MonitorConfig, SegmentScore
from brs_ml.anomaly.scores import UNKNOWN, Parts
from brs_sim.anomalies import KINDS, Sight

CONFIG = MonitorConfig(smoothing_frames=0.0)


def _segment(number: int, **parts: Parts) -> SegmentScore:
    rows = [KeywordScore(key, p, p.fused((0.6, 0.3, 0.1)), 0.0, "") for key, p in parts.items()]
    return SegmentScore(number, 0.0, 0.0, tuple(rows), UNKNOWN, None)


def _video(name: str, key: str, when: int, hot: Parts, cold: Parts) -> Scored:
    """Four segments; `key` is true in one of them, which scores `hot`."""
    other = {"cup": "bike", "bike": "cup"}[key]
    segments = [_segment(i, **{key: hot if i == when else cold, other: cold}) for i in range(4)]
    truth = np.zeros(100, bool)  # frames beyond the last whole segment are left out
    truth[24 * when : 24 * when + 24] = True
    return Scored(name, tuple(segments), {key: truth})


def test_each_text_is_measured_by_itself_and_with_each_weights() -> None:
    cold = Parts(0.5, 0.1, 0.1)
    videos = [
        _video("a", "cup", 1, Parts(0.9, 0.1, 0.1), cold),
        _video("b", "bike", 2, Parts(0.5, 0.1, 1.0), cold),  # seen over time alone
    ]
    full = evaluate(videos, CONFIG, rate_hz=10.0)
    assert full.each == {"cup": 1.0, "bike": 1.0} and full.together == 1.0 and full.known == 1.0
    still = evaluate(videos, with_weights(CONFIG, KEY_FRAME_ONLY), rate_hz=10.0)
    assert still.each == {"cup": 1.0, "bike": 0.5}
    assert still.mean == 0.75 and 0.5 < still.together < 1.0


def test_alarms_are_live_and_come_with_the_segments_end() -> None:
    cold = Parts(0.0, 0.0, 0.0)
    videos = [_video("a", "cup", 1, Parts(1.0, 1.0, 1.0), cold)]
    alarms = evaluate(videos, CONFIG, rate_hz=10.0).alarms
    assert alarms.recall == 1.0 and alarms.false_alarms_per_hour == 0.0
    assert alarms.seconds_to_alarm == pytest.approx(2.3)


def test_unknown_segments_are_told() -> None:
    video = _video("a", "cup", 1, Parts(1.0, 1.0, 1.0), Parts(0.0, 0.0, 0.0))
    unknown = _segment(3, cup=UNKNOWN, bike=UNKNOWN)
    found = evaluate(
        [Scored("a", (*video.segments[:3], unknown), video.truth)], CONFIG, rate_hz=10.0
    )
    assert found.known == 0.75


def test_lessons_say_what_their_pictures_show() -> None:
    frames = tuple(np.zeros((240, 240, 3), np.uint8) for _ in range(4))
    person, robot = Sight(60.0, 60.0, 40.0), Sight(200.0, 200.0, 10.0)
    lesson = Lesson(frames, KINDS.index("person"), (person,) * 4, (robot,) * 4)
    pictures, shows = encoder_pictures([lesson], side_px=32)
    assert pictures.shape[1:] == (32, 32, 3) and len(pictures) == len(shows)
    assert shows[0, KINDS.index("person")] == shows[1, KINDS.index("person")] == 1.0
    assert shows[0, KINDS.index("robot_stuck")] == 0.5  # one moment does not tell
    assert shows[1, KINDS.index("robot_stuck")] == 0.0  # four do
    assert not shows[:, KINDS.index("spill")].any()


def test_every_anomaly_can_be_said_and_no_test_room_was_taught() -> None:
    phrases = load_named(Phrases, "anomaly", "household", "list of phrases").phrases
    assert tuple(phrases) == KINDS and all(phrases.values())
    assert TRAINING_SEEDS - TEST_SEEDS >= 10_000
    assert load_named(MonitorConfig, "anomaly", "default", "monitor").segment == SEGMENT
