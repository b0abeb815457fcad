"""Live: newest segments only, alarms, what is not scored again, and a worker nothing can stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml.anomaly.toy import ColourEncoder, RednessJudge, noisy_frames, scorer

from brs_ml.anomaly import Monitor, MonitorConfig, Segment, SegmentConfig, watch_texts
from brs_ml.anomaly.backends import BackendConfig, Backends
from brs_ml.anomaly.calibration import NO_GATE, Calibration, Limits, Setting
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.judge import Question, Verdict
from brs_ml.anomaly.live import CameraHistory, CameraScores, SegmentQueue, StillGate
from brs_ml.anomaly.scores import UNKNOWN, Parts
from brs_ml.anomaly.segment import KeywordScore, SegmentScore
from brs_ml.anomaly.texts import load_texts, save_texts
from brs_ml.anomaly.watcher import Equipment, WatchConfig, Watcher, load_equipment

SHORT = MonitorConfig(segment=SegmentConfig(frames=4), smoothing_frames=0.0)
FRAMES = noisy_frames(24 * 4, seed=2)
PATIENCE_S = 20.0


# -- the queue -----------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["a", "b", "take"]), max_size=40))
def test_the_queue_holds_the_newest_segment_of_each_camera(events: list[str]) -> None:
    segments = SegmentQueue(["a", "b"], SHORT)
    # The plain way: a list of what waits, and counts.
    waiting: list[tuple[str, int]] = []
    made, dropped = {"a": 0, "b": 0}, {"a": 0, "b": 0}
    for event in events:
        if event == "take":
            taken = segments.take(0.0)
            expected = waiting.pop(0) if waiting else None
            assert (taken and (taken[0], taken[1].number)) == expected
            continue
        for i in range(4):
            segments.push(event, FRAMES[i], 10.0 * made[event] + 0.1 * i)
        places = [i for i, (camera, _) in enumerate(waiting) if camera == event]
        if places:
            waiting[places[0]] = (event, made[event])
            dropped[event] += 1
        else:
            waiting.append((event, made[event]))
        made[event] += 1
    assert {camera: segments.dropped(camera) for camera in "ab"} == dropped


def test_a_camera_that_sends_much_does_not_keep_others_waiting() -> None:
    segments = SegmentQueue(["loud", "quiet"], SHORT)
    for k in range(50):
        for i in range(4):
            segments.push("loud", FRAMES[i], k + 0.1 * i)
        if k == 20:
            for i in range(4):
                segments.push("quiet", FRAMES[i], k + 0.1 * i)
    assert [segments.take(0.0)[0] for _ in range(2)] == ["loud", "quiet"]  # type: ignore[index]
    assert segments.dropped("loud") == 49 and segments.dropped("quiet") == 0


# -- one segment after another -------------------------------------------------------------


def segment_score(number: int, scores: dict[str, float | None], begin_s: float) -> SegmentScore:
    rows = tuple(
        KeywordScore(
            text, UNKNOWN if score is None else Parts(score, score, score), score, 0.0, "so", True
        )
        for text, score in scores.items()
    )
    return SegmentScore(number, begin_s, begin_s + 2.3, rows, UNKNOWN, None)


def history(threshold: float = 0.5, **thresholds: float) -> CameraHistory:
    return CameraHistory(MonitorConfig(), thresholds, threshold)


def test_one_texts_live_score_is_the_monitors() -> None:
    """Equal to `Monitor`, which equals the batch."""
    toy = scorer(["red thing"])
    monitor, live = Monitor(toy), history()
    for i, frame in enumerate(FRAMES):
        result = monitor.push(frame, 0.1 * i)
        if result is not None:
            rows, _ = live.follow(result.segment)
            assert rows[0].score == result.smoothed is not None
            assert rows[0].parts == result.segment.keywords[0].parts and rows[0].judged


def test_an_alarm_begins_once_and_outlasts_what_is_unknown() -> None:
    live = CameraHistory(replace(MonitorConfig(), smoothing_frames=0.0), {"b": 0.8}, 0.5)
    told = []
    for i, a in enumerate([0.2, 0.6, 0.7, None, 0.9, 0.5, 0.6]):
        rows, begun = live.follow(segment_score(i, {"a": a, "b": 0.7}, 2.4 * i))
        assert [row.alarm for row in rows] == [a is not None and a > 0.5, False]
        assert (rows[0].score is None) == (a is None)
        told.append(begun)
    assert told == [(), ("a",), (), (), (), (), ("a",)]


def test_segments_that_were_missed_are_unknown_and_long_gaps_begin_anew() -> None:
    def last(*steps: tuple[int, float | None, float]) -> float | None:
        live = history()
        for number, score, begin_s in steps:
            rows, _ = live.follow(segment_score(number, {"a": score}, begin_s))
        return rows[0].score

    begin = (0, 0.9, 0.0)
    missed = last(begin, (2, 0.1, 4.8))
    assert missed == last(begin, (1, None, 2.4), (2, 0.1, 4.8))
    assert missed != last(begin, (1, 0.1, 2.4))
    for far in ((1, 0.1, 60.0), (1, 0.1, -60.0), (9, 0.1, 21.6)):
        assert last(begin, far) == pytest.approx(0.1)


def test_texts_that_go_take_their_alarms_with_them() -> None:
    live = history(0.5)
    assert live.follow(segment_score(0, {"a": 0.9}, 0.0))[1] == ("a",)
    live.follow(segment_score(1, {"b": 0.1}, 2.4))
    assert live.follow(segment_score(2, {"a": 0.9, "b": 0.1}, 4.8))[1] == ("a",)


# -- what is not scored again --------------------------------------------------------------


def still_segment(number: int, noise: float = 6.0, change: int = 0) -> Segment:
    """A room that does not move, with sensor noise; a box of 40 x 40 of other grey."""
    random = np.random.default_rng(number)
    room = np.full((240, 320, 3), 90.0)
    room[:120] += 60.0
    room[150:190, 200:240] += change
    frames = [np.clip(room + random.normal(0.0, noise, room.shape), 0, 255) for _ in range(4)]
    begin_s = 0.4 * number
    return Segment(number, tuple(f.astype(np.uint8) for f in frames), begin_s, begin_s + 0.3)


def still_gate(levels: float = 3.0, at_most: int = 25) -> StillGate:
    gate = StillGate(levels, at_most)
    gate.remember(still_segment(0), segment_score(0, {"a": 0.4}, 0.0))
    return gate


def test_where_nothing_changes_scores_stand() -> None:
    gate = still_gate()
    again = gate.unchanged(still_segment(1), ["a"])
    assert again is not None and (again.number, again.begin_s, again.end_s) == (1, 0.4, 0.7)
    (row,) = again.keywords
    assert (row.score, row.judged, row.reason) == (0.4, False, "nothing has changed: so")


def test_what_changes_is_scored_again() -> None:
    gate = still_gate()
    assert gate.unchanged(still_segment(1, change=12), ["a"]) is None
    assert gate.unchanged(still_segment(1), ["a", "b"]) is None
    broken = replace(still_segment(1), problem="frozen")
    assert gate.unchanged(broken, ["a"]) is None
    moving = still_segment(1)
    frames = (*moving.frames[:2], moving.frames[2] // 2, moving.frames[3])
    assert gate.unchanged(replace(moving, frames=frames), ["a"]) is None
    assert gate.unchanged(still_segment(2), ["a"]) is not None


def test_slow_drift_adds_up() -> None:
    gate = still_gate()
    held = [gate.unchanged(still_segment(1 + i, change=i), ["a"]) is not None for i in range(8)]
    assert held[0] and not held[-1]


def test_stillness_is_not_trusted_for_ever_nor_of_what_is_unknown() -> None:
    gate = still_gate(at_most=2)
    assert [gate.unchanged(still_segment(i), ["a"]) is None for i in (1, 2, 3)] == [0, 0, 1]
    assert still_gate(levels=0.0).unchanged(still_segment(1), ["a"]) is None
    gate.remember(still_segment(4), segment_score(4, {"a": None}, 0.0))
    assert gate.unchanged(still_segment(5), ["a"]) is None
    moving = (*still_segment(6).frames[:3], still_segment(6, change=90).frames[3])
    gate.remember(replace(still_segment(6), frames=moving), segment_score(6, {"a": 0.1}, 0.0))
    assert gate.unchanged(still_segment(7), ["a"]) is None


# -- the worker ----------------------------------------------------------------------------


@dataclass
class Rig:
    """A watcher of toys."""

    watcher: Watcher
    segments: SegmentQueue
    seen: int = 0

    def push(self, camera: str = "head", frames: Sequence[np.ndarray | None] = FRAMES) -> None:
        for i in range(4):
            self.segments.push(camera, frames[i], 10.0 * self.seen + 0.1 * i)
        self.seen += 1

    def next(self) -> CameraScores:
        found: list[CameraScores] = []
        wait_for(lambda: found.extend(self.watcher.take()) or found)
        assert len(found) == 1
        return found[0]


def wait_for(predicate: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not predicate():
        assert time.monotonic() < deadline_s, "nothing came of the worker"
        time.sleep(0.002)


@dataclass
class Made:
    """Makes rigs and ends them."""

    rigs: list[Rig] = field(default_factory=list)

    def __call__(
        self,
        load: Callable[[], Equipment] = lambda: Equipment(ColourEncoder(), RednessJudge()),
        texts: Sequence[str] = ("red thing", "blue thing"),
        hide: Callable[[np.ndarray], np.ndarray] | None = np.zeros_like,
    ) -> Rig:
        segments = SegmentQueue(["head", "wrist"], SHORT)
        config = WatchConfig(threshold=0.0, retry_s=0.01)
        watcher = Watcher(SHORT, config, segments, load, hide)
        watcher.watch(texts)
        self.rigs.append(Rig(watcher, segments))
        watcher.start()
        return self.rigs[-1]


@pytest.fixture
def made() -> object:
    rigs = Made()
    yield rigs
    for rig in rigs.rigs:
        rig.watcher.close()
        assert not rig.watcher.alive


def test_the_worker_scores_what_comes(made: Made) -> None:
    rig = made()
    rig.push()
    found = rig.next()
    expected = scorer(["red thing", "blue thing"], SHORT).score(
        Segment(0, tuple(FRAMES[:4]), 0, 0)
    )
    assert [row.parts for row in found.texts] == [row.parts for row in expected.keywords]
    assert found.camera == "head" and (found.begin_s, found.end_s) == (0.0, pytest.approx(0.3))
    assert found.begun == ("red thing", "blue thing") and found.shown is None
    assert rig.watcher.described == "colours, redness" and not rig.watcher.problem


def test_texts_change_between_segments_and_known_ones_are_not_encoded_again(made: Made) -> None:
    encoder = CountingEncoder()
    rig = made(lambda: Equipment(encoder, RednessJudge()))
    rig.push()
    rig.next()
    before = encoder.texts
    rig.watcher.watch(["green thing", "red thing"])
    rig.push()
    assert [row.text for row in rig.next().texts] == ["green thing", "red thing"]
    assert encoder.texts - before == before // 2
    rig.watcher.watch([])
    rig.push()
    wait_for(lambda: rig.segments.take(0.0) is None)
    rig.watcher.watch(["red thing"])
    rig.push()
    assert [row.text for row in rig.next().texts] == ["red thing"]


class CountingEncoder(ColourEncoder):
    """Counts the texts that it encodes."""

    texts = 0

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += len(texts)
        return super().encode_texts(texts)


def test_pictures_are_made_for_those_who_look_and_hidden_first(made: Made) -> None:
    rig, bare = made(), made(hide=None)
    for one in (rig, bare):
        one.watcher.looked_at = {"head"}
        one.push("head")
    shown = rig.next().shown
    assert shown is not None and not shown.key_frame.any() and shown.heat_map is not None
    assert bare.next().shown is None
    rig.push("wrist")
    assert rig.next().shown is None


class Broken(RednessJudge):
    """Fails at its first question, in a way that judges must not."""

    def rate(self, questions: Sequence[Question]) -> list[Verdict]:
        if not self.asked:
            self.asked += questions
            raise TypeError("a tensor of another kind")
        return super().rate(questions)


def test_whatever_a_model_does_the_worker_goes_on(made: Made) -> None:
    rig = made(lambda: Equipment(ColourEncoder(), Broken()))
    rig.push()
    found = rig.next()
    assert all(row.score is None and "another kind" in row.reason for row in found.texts)
    assert "TypeError" in rig.watcher.problem
    rig.push()
    assert all(row.score is not None for row in rig.next().texts)
    assert not rig.watcher.problem


class Hanging(RednessJudge):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on, self.asked_once = threading.Event(), threading.Event()

    def rate(self, questions: Sequence[Question]) -> list[Verdict]:
        self.asked_once.set()
        self.go_on.wait()
        return super().rate(questions)


def test_a_judge_that_hangs_keeps_nobody_waiting(made: Made) -> None:
    judge = Hanging()
    rig = made(lambda: Equipment(ColourEncoder(), judge))
    rig.push()
    wait_for(judge.asked_once.is_set)
    for _ in range(5):
        rig.push()  # whoever brings frames goes on, and so does who asks for scores
    assert rig.watcher.take() == [] and rig.segments.dropped("head") == 4
    rig.watcher.close(patience_s=0.01)
    assert rig.watcher.alive  # it hangs on, and ends with the process
    judge.go_on.set()
    assert rig.next().dropped == 4


def test_a_judge_that_has_to_be_closed_is_closed(made: Made) -> None:
    class Remote(RednessJudge):
        closed = False

        def close(self) -> None:
            self.closed = True

    judge = Remote()
    rig = made(lambda: Equipment(ColourEncoder(), judge))
    rig.push()
    rig.next()
    assert not judge.closed
    rig.watcher.close()
    assert judge.closed


def test_bad_frames_are_unknown(made: Made) -> None:
    rig = made()
    rig.watcher.looked_at = {"head"}
    rig.push(frames=[FRAMES[0], None, None, FRAMES[1]])
    found = rig.next()
    assert all(row.score is None and "no picture" in row.reason for row in found.texts)
    assert found.shown is None
    rig.push(frames=[FRAMES[0]] * 4)
    assert "frozen" in rig.next().texts[0].reason


def test_models_that_are_not_there_yet_are_waited_for(made: Made) -> None:
    tries: list[int] = []
    there = threading.Event()

    def load() -> Equipment:
        tries.append(1)
        if len(tries) == 1:
            raise AnomalyError("there are no small models", remedy="brs monitor train")
        if not there.is_set():
            raise RuntimeError("a damaged file")
        return Equipment(ColourEncoder(), RednessJudge())

    rig = made(load)
    wait_for(lambda: "RuntimeError: a damaged file" in rig.watcher.problem)
    rig.push()
    rig.push()
    there.set()
    assert rig.next().dropped == 1
    assert not rig.watcher.problem


def test_calibrated_texts_have_gates_and_thresholds_of_their_own(made: Made) -> None:
    limits = (
        Limits("head", "red thing", 9, gate=2.0, threshold=0.5),
        Limits("head", "blue thing", 9, gate=NO_GATE, threshold=1.0),
    )
    calibration = Calibration(Setting("toys", SHORT.segment, 10.0), limits)
    rig = made(lambda: Equipment(ColourEncoder(), RednessJudge(), calibration))
    rig.push("head")
    red, blue = rig.next().texts
    assert (red.score, red.judged, red.alarm) == (0.0, False, False)
    assert blue.score is not None and blue.judged and not blue.alarm  # above 0, below 1
    rig.push("wrist")  # another camera has other limits: here none, so that 0 is the threshold
    red, blue = rig.next().texts
    assert red.judged and red.alarm and blue.alarm
    rig.watcher.watch(["red thing", "green thing"])
    told = [rig.watcher.uncalibrated(camera) for camera in ("head", "wrist")]
    assert told == [("green thing",), ("red thing", "green thing")]


# -- texts ---------------------------------------------------------------------------------


def test_texts_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "monitor" / "texts.json"
    assert load_texts(path, SHORT) == ()
    save_texts(path, ["a spill", "чашка на полу"])
    assert load_texts(path, SHORT) == ("a spill", "чашка на полу")
    assert [found.name for found in path.parent.iterdir()] == ["texts.json"]
    for damaged in (
        "",
        "{}",
        "[1]",
        '["\\u0007"]',
        "[]",
        "\ud800".encode("utf8", "surrogatepass"),
    ):
        path.write_bytes(damaged.encode() if isinstance(damaged, str) else damaged)
        with pytest.raises(AnomalyError):
            load_texts(path, SHORT)
    with pytest.raises(AnomalyError, match="cannot be stored"):
        save_texts(path / "file.json", ["a"])


def test_known_embeddings_are_those_that_would_be_made() -> None:
    encoder = ColourEncoder()
    before = watch_texts(["red thing", "a cup"], encoder, SHORT)
    kept = watch_texts(["blue thing", "a cup", "red thing"], encoder, SHORT, before)
    fresh = watch_texts(["blue thing", "a cup", "red thing"], encoder, SHORT)
    assert (kept.keywords, kept.known) == (fresh.keywords, fresh.known)
    np.testing.assert_array_equal(kept.plain, fresh.plain)
    np.testing.assert_array_equal(kept.templated, fresh.templated)


def test_missing_weights_are_told_before_anything_is_loaded(tmp_path: Path) -> None:
    backends = Backends(BackendConfig(), tmp_path / "none.safetensors")
    with pytest.raises(AnomalyError, match="brs monitor train"):
        load_equipment(backends, None, SHORT.segment, 10.0, ["head"])
