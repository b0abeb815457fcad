"""What the monitor's page shows: unknown is a gap, alarms make clips, all of it is bounded."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_cli.monitor_page.charts import (
    MOST_LINES,
    alarm_spans,
    chart_of,
    drawn_texts,
    line_of,
)
from brs_cli.monitor_page.model import (
    NODE_GONE,
    CameraView,
    Clip,
    ModelConfig,
    MonitorModel,
    Picture,
    Point,
    SegmentNews,
    TextScore,
)

JPEG = b"\xff\xd8 a picture"
CONFIG = ModelConfig(before=2, after=3, longest_clip_s=1e9)
SEGMENT_S = 2.4
CALM, ALARM, UNKNOWN = "calm", "alarm", "unknown"


def row(text: str, state: str, reason: str = "why", judged: bool = True) -> TextScore:
    score = {CALM: 0.1, ALARM: 0.9, UNKNOWN: None}[state]
    return TextScore(text, score, (score,) * 3, reason, state == ALARM, judged)


def news(number: int, *rows: TextScore, camera: str = "head") -> SegmentNews:
    return SegmentNews(camera, SEGMENT_S * (number - 1), SEGMENT_S * number, rows)


def model_at(now_s: float, config: ModelConfig = CONFIG) -> MonitorModel:
    model = MonitorModel(config, now_s)
    model.diagnosis(0, "watches 1 camera", False, now_s)
    return model


# -- clips ---------------------------------------------------------------------------------

STATES = st.sampled_from([CALM, ALARM, UNKNOWN])
EVENTS = st.lists(st.one_of(st.none(), st.tuples(STATES, STATES)), max_size=40)  # None: a picture


def clips_by_hand(events: Sequence[tuple[str, str] | None]) -> list[tuple[list[str], list[int]]]:
    """Texts and numbers of pictures of each clip: by looking back and ahead from each alarm."""
    pictures = [i for i, event in enumerate(events) if event is None]
    begun: list[tuple[int, list[str]]] = []
    for i, event in enumerate(events):
        new = []
        for k, text in enumerate("ab"):
            known = [e[k] for e in events[:i] if e is not None and e[k] != UNKNOWN]
            if event is not None and event[k] == ALARM and known[-1:] != [ALARM]:
                new.append(text)
        if new:
            begun.append((i, new))
    clips: list[tuple[list[str], list[int]]] = []
    end = -1  # of the clip before
    for i, new in begun:
        if i < end:
            clips[-1][0].extend(text for text in new if text not in clips[-1][0])
            continue
        before = [number for number in pictures if number < i][-CONFIG.before :]
        after = [number for number in pictures if number > i][: CONFIG.after]
        end = after[-1] if len(after) == CONFIG.after else len(events)
        clips.append((new, before + after))
    return clips


@given(EVENTS)
def test_clips_are_what_looking_back_and_ahead_finds(
    events: list[tuple[str, str] | None],
) -> None:
    model = model_at(0.0)
    found: list[Clip] = []
    for i, event in enumerate(events):
        if event is None:
            model.picture("head", "key_frame", Picture(SEGMENT_S * i, JPEG), float(i))
        else:
            rows = [row(text, state) for text, state in zip("ab", event, strict=True)]
            model.segment(news(i, *rows), float(i), 1e9 + i)
        found += model.whole_clips(float(i))
    found += model.whole_clips(99.0, all_now=True)
    seen = [
        (
            [alarm.text for alarm in clip.alarms],
            [round(shot.stamp_s / SEGMENT_S) for shot in clip.pictures],
        )
        for clip in found
    ]
    assert seen == clips_by_hand(events)
    assert not model.whole_clips(99.0, all_now=True)


@pytest.mark.parametrize("scores_first", [True, False])
def test_a_clip_is_the_same_whether_scores_or_their_picture_come_first(
    scores_first: bool,
) -> None:
    model = model_at(0.0)
    for number in range(9):
        scores = news(number, row("a", ALARM if number >= 4 else CALM))
        if scores_first:
            model.segment(scores, 0.0, 1e9)
        model.picture("head", "key_frame", Picture(SEGMENT_S * number, JPEG), 0.0)
        if not scores_first:
            model.segment(scores, 0.0, 1e9)
    (clip,) = model.whole_clips(0.0)
    assert [round(shot.stamp_s / SEGMENT_S) for shot in clip.pictures] == [2, 3, 4, 5, 6]


def test_a_heat_map_of_an_earlier_key_frame_is_not_shown_beside_a_newer_one() -> None:
    model = model_at(0.0)
    for kind in ("key_frame", "heat_map"):
        model.picture("head", kind, Picture(1.0, JPEG), 0.0)
    assert model.view(0.0).cameras[0].pictures == {"key_frame": 1, "heat_map": 1}
    model.picture("head", "key_frame", Picture(2.0, JPEG), 0.0)
    assert model.view(0.0).cameras[0].pictures == {"key_frame": 2}
    assert model.newest("head", "heat_map") is None
    model.picture("head", "heat_map", Picture(2.0, JPEG), 0.0)
    assert model.view(0.0).cameras[0].pictures == {"key_frame": 2, "heat_map": 2}


def test_a_clip_ends_though_the_camera_is_gone() -> None:
    model = model_at(0.0, replace(CONFIG, longest_clip_s=60.0))
    model.segment(news(0, row("a", ALARM)), 0.0, 1e9)
    assert not model.whole_clips(59.0) and len(model.view(59.0).filming) == 1
    (clip,) = model.whole_clips(60.0)
    assert clip.alarms[0].stamp_s == 0.0 and clip.began_s == 1e9 and not clip.pictures
    assert not model.view(60.0).filming


# -- what is wrong -------------------------------------------------------------------------


def test_without_news_the_node_is_gone_and_one_line_says_so() -> None:
    model = MonitorModel(CONFIG, 0.0)
    assert model.view(0.0).problems == (NODE_GONE,)
    model.diagnosis(0, "", False, 0.0)
    assert "no camera" in model.view(0.0).problems[0]
    model.segment(news(0, row("a", CALM)), 1.0, 1e9)
    assert model.view(1.0).problems == ()
    late_s = 1.0 + CONFIG.node_silent_s
    assert model.view(late_s - 0.1).problems == ()
    assert model.view(late_s).problems == (NODE_GONE,)


def test_a_camera_that_is_gone_is_named_and_others_go_on() -> None:
    model = model_at(0.0)
    for name in ("head", "wrist"):
        model.segment(news(0, row("a", CALM), camera=name), 0.0, 1e9)
    now_s = CONFIG.camera_silent_s
    model.segment(news(1, row("a", CALM), camera="wrist"), now_s, 1e9)
    assert model.view(now_s).problems == (f"camera head: no scores for {now_s:.0f} s",)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        # A gate answered for "b": the judge is down nevertheless.
        (
            [row("a", UNKNOWN, "timed out"), row("b", CALM)],
            "the judge does not answer (timed out)",
        ),
        ([row("a", UNKNOWN, "frozen", False)] * 2, "nothing is known (frozen)"),
        ([row("a", UNKNOWN, "new words", False), row("b", CALM, "", False)], ""),
    ],
)
def test_what_is_not_known_says_why(rows: list[TextScore], told: str) -> None:
    model = model_at(0.0)
    model.segment(news(0, *rows), 0.0, 1e9)
    assert model.view(0.0).problems == ((f"camera head: {told}",) if told else ())


def test_a_smoothed_score_does_not_hide_a_judge_that_is_gone() -> None:
    model = model_at(0.0)
    rest = TextScore("a", 0.4, (None, None, None), "refused", judged=True)
    model.segment(news(0, rest), 0.0, 1e9)
    assert model.view(0.0).problems == ("camera head: the judge does not answer (refused)",)


def test_errors_come_before_cameras_and_warnings_after() -> None:
    model = model_at(0.0)
    model.segment(news(0, row("a", UNKNOWN, judged=False)), 0.0, 1e9)
    (camera,) = model.view(0.0).problems
    for level, expected in ((1, (camera, "slow")), (2, ("slow", camera)), (0, (camera,))):
        model.diagnosis(level, "slow", False, 0.0)
        assert model.view(0.0).problems == expected


# -- texts ---------------------------------------------------------------------------------


def test_scores_that_are_older_than_a_change_of_texts_do_not_take_it_back() -> None:
    model = model_at(0.0)
    assert model.view(0.0).queries is None
    model.segment(news(0, row("a", CALM)), 0.0, 1e9)
    model.told(("a", "b"), 1.0)
    model.segment(news(1, row("a", CALM)), 2.0, 1e9)
    model.diagnosis(0, "", True, 2.0)
    assert model.view(2.0).queries == ("a", "b")
    # The node knows best what it watches for.
    model.segment(news(9, row("c", CALM)), 1.0 + CONFIG.settle_s, 1e9)
    assert model.view(20.0).queries == ("c",)


def test_a_node_that_watches_for_nothing_can_be_told_what_to() -> None:
    model = model_at(0.0)
    assert model.view(0.0).queries is None
    model.diagnosis(1, "nothing to watch for", True, 0.0)
    assert model.view(0.0).queries == ()


# -- bounds --------------------------------------------------------------------------------

SMALL = ModelConfig(
    history_s=20.0,
    most_points=5,
    most_cameras=2,
    most_texts=3,
    most_letters=4,
    largest_picture_bytes=20,
    before=2,
    after=2,
)
NAMES = st.sampled_from(["head", "wrist", "../x", "", "<b>"])
SCORES = st.builds(
    TextScore,
    st.text(max_size=9),
    st.one_of(st.none(), st.floats(0.0, 1.0)),
    reason=st.text(max_size=9),
    alarm=st.booleans(),
    judged=st.booleans(),
)
STAMPS = st.floats(0.0, 100.0)
NEWS = st.builds(SegmentNews, NAMES, STAMPS, STAMPS, st.lists(SCORES, max_size=6).map(tuple))
SHOTS = st.tuples(
    NAMES,
    st.sampled_from(["key_frame", "heat_map"]),
    st.builds(Picture, STAMPS, st.sampled_from([JPEG, b"", b"GIF", JPEG * 9])),
)


@settings(max_examples=50)
@given(st.lists(st.one_of(NEWS, SHOTS), max_size=40))
def test_whatever_comes_is_bounded(events: list[SegmentNews | tuple[str, str, Picture]]) -> None:
    model = model_at(0.0, SMALL)
    for i, event in enumerate(events):
        if isinstance(event, SegmentNews):
            model.segment(event, float(i), 1e9)
        else:
            model.picture(*event, float(i))
        view = model.view(float(i))
        assert len(view.cameras) <= 2 and len(view.filming) <= 2 and len(view.queries or ()) <= 3
        for camera in view.cameras:
            assert len(camera.history) <= 5
            assert all(len(point.scores) <= 3 for point in camera.history)
            assert all(point.begin_s <= point.end_s for point in camera.history)
            for text_row in camera.newest.texts if camera.newest else ():
                assert len(text_row.text) <= 4 and len(text_row.reason) <= 4
            for kind in camera.pictures:
                picture = model.newest(camera.name, kind)
                assert picture is not None and picture.jpeg == JPEG
            assert chart_of(camera, view.queries or (), None, 300.0)["series"]
        for clip in [*view.filming, *model.whole_clips(float(i))]:
            assert len(clip.pictures) <= 4 and 1 <= len(clip.alarms) <= 3


def test_a_refused_picture_and_a_camera_too_many_are_told() -> None:
    model = model_at(0.0, SMALL)
    model.picture("head", "key_frame", Picture(0.0, b"GIF"), 0.0)
    assert model.view(0.0).problems == ("camera head: a picture of 3 bytes is refused",)
    model.picture("head", "key_frame", Picture(0.0, JPEG), 0.0)
    assert not model.view(0.0).problems
    for name in ("head", "wrist", "third"):
        model.segment(news(0, row("a", CALM), camera=name), 0.0, 1e9)
    assert "more than 2 cameras" in model.view(0.0).problems[-1]


def test_history_reaches_back_no_farther_and_ends_where_time_is_set_back() -> None:
    model = model_at(0.0, replace(SMALL, most_points=1000))
    for number in range(30):
        model.segment(news(number, row("a", CALM)), 0.0, 1e9)
    history = model.view(0.0).cameras[0].history
    end_s = history[-1].end_s
    assert end_s == SEGMENT_S * 29
    assert end_s - history[0].end_s <= 20.0 < end_s - history[0].end_s + SEGMENT_S
    model.segment(news(0, row("a", CALM)), 0.0, 1e9)
    assert len(model.view(0.0).cameras[0].history) == 1


# -- charts --------------------------------------------------------------------------------

SCORE = st.one_of(st.none(), st.integers(0, 10).map(lambda tenth: tenth / 10))
HISTORIES = st.lists(st.tuples(st.booleans(), SCORE), min_size=1, max_size=20)


def drawn_at(line: list[list[float | None]], time_s: float) -> list[float]:
    """Heights of all that is drawn strictly between two neighbouring points."""
    found = []
    for (t0, y0), (t1, y1) in itertools.pairwise(line):
        assert t0 is not None and t1 is not None
        if y0 is not None and y1 is not None and t0 < time_s < t1:
            found.append(y0 + (y1 - y0) * (time_s - t0) / (t1 - t0))
    return found


@given(HISTORIES)
def test_a_line_is_drawn_where_a_score_is_known_and_nowhere_else(
    rows: list[tuple[bool, float | None]],
) -> None:
    # What is lost leaves a gap of a whole segment.
    points = [
        Point(2.0 * i, 2.0 * i + 2.0, {"a": score}, False)
        for i, (lost, score) in enumerate(rows)
        if not lost
    ]
    if not points:
        return
    line = line_of(points, "a")
    known = {point.begin_s: point.scores["a"] for point in points}
    for i in range(len(rows)):
        score = known.get(2.0 * i)
        heights = drawn_at(line, 2.0 * i + 1.0 - points[-1].end_s)
        assert heights == ([] if score is None else [pytest.approx(score)])


def test_a_text_that_was_not_watched_for_then_has_no_line_there() -> None:
    points = [Point(0.0, 2.0, {"a": 0.5}, False), Point(2.0, 4.0, {"b": 0.5}, False)]
    assert line_of(points, "a") == [[-4.0, None], [-4.0, 0.5], [-2.0, 0.5]]


def test_neighbouring_alarms_are_one_span() -> None:
    flags = [True, True, False, True]
    points = [Point(2.0 * i, 2.0 * i + 2.0, {}, flag) for i, flag in enumerate(flags)]
    assert alarm_spans(points) == [(-8.0, -4.0), (-2.0, 0.0)]


def test_of_many_texts_the_highest_are_drawn_and_one_in_focus_alone() -> None:
    texts = [f"t{i:02d}" for i in range(30)]
    history = (Point(0.0, 2.0, {text: i / 30 for i, text in enumerate(texts)}, False),)
    assert drawn_texts(history, texts, None) == texts[-MOST_LINES:]
    assert drawn_texts(history, texts, "t03") == ["t03"]
    chart = chart_of(CameraView("head", None, history, {}, ""), texts, None, 300.0)
    assert [line["name"] for line in chart["series"][:-1]] == texts[-MOST_LINES:]
    # Nobody's words become HTML.
    assert chart["tooltip"]["renderMode"] == "richText"
