"""Live and batch scores, several texts, gates, and frames that cannot be judged."""

from __future__ import annotations

import numpy as np
import pytest
from ml.anomaly import naive
from ml.anomaly.toy import RednessJudge, noisy_frames, scorer

from brs_ml.anomaly import Monitor, MonitorConfig, Segment, SegmentBuffer, score_video
from brs_ml.anomaly.calibration import gated
from brs_ml.anomaly.judge import Question
from brs_ml.anomaly.monitor import frame_scores, live_scores

TEXTS = ["red thing", "green thing", "blue thing"]
FRAMES = noisy_frames(24 * 3 + 5, seed=1)


def test_a_segments_score_is_the_plain_way_of_the_paper() -> None:
    scores = scorer(TEXTS)
    segment = Segment(0, tuple(FRAMES[:24]), 0.0, 2.3)
    found = scores.score(segment)
    encoder, texts = scores.encoder, scores.texts
    judge = RednessJudge()
    for i, row in enumerate(found.keywords):
        small = [naive.resized(frame, encoder.side_px) for frame in FRAMES[:24]]
        fits = [float(encoder.encode_images(s[None])[0] @ texts.plain[i]) for s in small]
        key, chosen = int(np.argmax(fits)), naive.key_frames(fits)
        pictures = (
            FRAMES[key],
            naive.position(encoder, FRAMES[key], texts.templated, i),
            naive.temporal(encoder, [FRAMES[c] for c in chosen], texts.templated[i], "whole"),
        )
        parts = [
            judge.rate([Question(picture, row.keyword, "naive")])[0].score for picture in pictures
        ]
        assert row.key_frame == key and row.judged
        got = (row.parts.key_frame, row.parts.position, row.parts.temporal)
        assert got == pytest.approx(parts, abs=1e-3)  # a rounded grey value of the position
        assert row.score == pytest.approx(0.6 * got[0] + 0.3 * got[1] + 0.1 * got[2])
    best = [
        max(getattr(r.parts, n) for r in found.keywords)
        for n in ("key_frame", "position", "temporal")
    ]
    assert found.score == pytest.approx(0.6 * best[0] + 0.3 * best[1] + 0.1 * best[2])


def test_live_scores_are_exactly_the_batchs() -> None:
    scores = scorer(TEXTS)
    batch = score_video(scores, FRAMES)
    monitor = Monitor(scores)
    live = [r for i, f in enumerate(FRAMES) if (r := monitor.push(f, i * 0.1)) is not None]
    assert len(live) == len(batch.segments) == 3
    for ours, theirs in zip(live, batch.segments, strict=True):
        assert ours.segment.score == theirs.score and ours.segment.parts == theirs.parts
        for mine, other in zip(ours.segment.keywords, theirs.keywords, strict=True):
            assert (mine.parts, mine.score, mine.evidence) == (
                other.parts,
                other.score,
                other.evidence,
            )
    assert live[0].segment.keywords[0].position is not None
    assert batch.segments[0].keywords[0].position is None  # a long video's would fill memory
    known = live_scores([row.score for row in batch.segments], scores.config)
    assert known[[23, 47, 71]].tolist() == [row.smoothed for row in live]
    assert np.isnan(known[:23]).all() and known[24] == known[23]


def test_three_questions_a_text_and_segment() -> None:
    scores = scorer(TEXTS)
    score_video(scores, FRAMES)
    assert len(scores.judge.asked) == 3 * 3 * (len(FRAMES) // 24)  # type: ignore[attr-defined]


def test_a_videos_scores_do_not_depend_on_others() -> None:
    config = MonitorConfig()
    first, second = [0.1, 0.9, None, 0.3], [1.0, 1.0]
    alone = frame_scores(first, config)
    both = [frame_scores(part, config) for part in (first, second)]
    np.testing.assert_array_equal(alone, both[0])


@pytest.mark.parametrize(
    "bad, why",
    [
        (None, "no picture"),
        (np.zeros((60, 60, 3), np.uint8), "black"),
        (np.full((60, 60, 3), (200, 10, 10), np.uint8), "of one colour"),
        (np.zeros((60, 60), np.uint8), "no colour picture"),
        (np.zeros((60, 60, 3), np.float32), "no picture"),
        (np.zeros((0, 60, 3), np.uint8), "no colour picture"),
        (np.zeros((2, 9000, 3), np.uint8), "too large"),
    ],
)
def test_frames_that_show_nothing_make_a_score_unknown(bad: object, why: str) -> None:
    scores = scorer(TEXTS)
    found = score_video(scores, [*FRAMES[:10], *[bad] * 14]).segments[0]  # type: ignore[list-item]
    assert found.score is None and found.worst() is None
    assert all(row.score is None and why in row.reason for row in found.keywords)
    assert scores.judge.asked == []  # type: ignore[attr-defined]


def test_a_few_bad_frames_are_bridged() -> None:
    frames = list(FRAMES[:24])
    frames[0] = frames[5] = frames[6] = None  # type: ignore[call-overload]
    first = score_video(scorer(TEXTS), frames).segments[0]
    assert first.score is None  # nothing came before the first frame
    frames[0] = FRAMES[0]
    second = score_video(scorer(TEXTS), frames).segments[0]
    bridged = [*FRAMES[:5], FRAMES[4], FRAMES[4], *FRAMES[7:24]]
    assert second.score == score_video(scorer(TEXTS), bridged).segments[0].score


def test_a_frozen_camera_is_unknown() -> None:
    found = score_video(scorer(TEXTS), [FRAMES[0].copy() for _ in range(24)]).segments[0]
    assert found.score is None and "frozen" in found.keywords[0].reason


def test_segments_begin_anew_where_time_jumps() -> None:
    buffer = SegmentBuffer(MonitorConfig())
    stamps = [*np.arange(20) * 0.1, *(50.0 + np.arange(24) * 0.1)]
    found = [s for t in stamps if (s := buffer.push(FRAMES[int(t * 10) % 70], t)) is not None]
    assert [(s.number, s.begin_s) for s in found] == [(0, 50.0)]
    assert buffer.push(FRAMES[0], 10.0) is None  # back in time, as a bag played again


def test_memory_of_the_buffer_does_not_grow() -> None:
    buffer = SegmentBuffer(MonitorConfig())
    for i in range(500):
        buffer.push(FRAMES[i % 70], i * 0.1)
    assert len(buffer._frames) < 24


def test_a_silent_judge_makes_unknown_and_hides_no_other_text() -> None:
    scores = scorer(TEXTS)
    scores.judge = RednessJudge(silent_about="temporal")
    found = score_video(scores, FRAMES[:24]).segments[0]
    assert found.score is None and found.keywords[0].reason == "no idea"


def test_unknown_words_are_unknown_and_not_asked_about() -> None:
    scores = scorer(["red thing", "чашка"])
    found = score_video(scores, FRAMES[:24]).segments[0]
    assert found.keywords[1].score is None and "does not know" in found.keywords[1].reason
    assert found.score == found.keywords[0].score is not None
    assert {q.keyword for q in scores.judge.asked} == {"red thing"}  # type: ignore[attr-defined]


def test_of_a_hundred_texts_only_the_best_are_judged() -> None:
    scores = scorer([f"red number {i}" for i in range(100)])
    found = score_video(scores, FRAMES[:24]).segments[0]
    assert sum(row.judged for row in found.keywords) == 4
    assert sum(row.score is None for row in found.keywords) == 96
    assert len(scores.judge.asked) == 12  # type: ignore[attr-defined]


def test_gates_keep_what_is_normal_from_the_judge() -> None:
    scores = scorer(TEXTS)
    open_gates = score_video(scores, FRAMES).segments
    evidence = [segment.keywords[0].evidence for segment in open_gates]
    scores.gates = {"red thing": float(np.median(evidence))}
    found = score_video(scores, FRAMES).segments
    for before, after, fit in zip(open_gates, found, evidence, strict=True):
        judged = fit >= np.median(evidence)
        assert after.keywords[0].judged == judged
        assert after.keywords[0].score == (before.keywords[0].score if judged else 0.0)
        assert after.keywords[1].parts == before.keywords[1].parts
    assert {segment.keywords[0].judged for segment in found} == {True, False}
    # What calibration takes for it is the same, without asking the judge again.
    assert [row.keywords[0].score for row in found] == [
        gated(row, scores.gates).keywords[0].score for row in open_gates
    ]
