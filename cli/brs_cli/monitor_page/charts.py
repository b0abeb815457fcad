"""Score timelines as charts: one of each camera, a line for each text, gaps where unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brs_cli.monitor_page.model import CameraView, Point

# For people of any colour vision (Okabe and Ito).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7280", "#7b5cc4")
ALARM = "rgba(198, 40, 40, 0.13)"
MOST_LINES = len(COLORS)
# Farther apart, in shares of a segment, segments were lost between.
GAP_SHARE = 0.5
STEPS_S = (10.0, 30.0, 60.0, 120.0, 300.0)  # between ticks; the smallest that gives few enough
MOST_TICKS = 6


def line_of(history: Sequence[Point], text: str) -> list[list[float | None]]:
    """A text's line: [time before now, score] in order; a score of None breaks it.

    A segment's score holds from its beginning to its end. Where it is unknown, or no segment is,
    there is no line.

    Args:
        history: of a camera, oldest first.
        text: watched for.

    Returns:
        Times are in seconds from the newest segment's end, so 0 or less.
    """
    line: list[list[float | None]] = []
    known_until_s: float | None = None  # where the line could go on
    for point in history:
        score = point.scores.get(text)
        if score is None:
            known_until_s = None
            continue
        begin_s, end_s = point.begin_s - history[-1].end_s, point.end_s - history[-1].end_s
        if known_until_s is None or begin_s - known_until_s > GAP_SHARE * (end_s - begin_s):
            line.append([round(begin_s, 3), None])
        line += [[round(begin_s, 3), round(score, 3)], [round(end_s, 3), round(score, 3)]]
        known_until_s = end_s
    return line


def drawn_texts(history: Sequence[Point], texts: Sequence[str], focus: str | None) -> list[str]:
    """The texts that are drawn: the one in focus, else those that were highest, in their order.

    Args:
        history: of a camera.
        texts: watched for.
        focus: drawn alone; None: none is.
    """
    if focus is not None:
        return [focus]

    def peak(text: str) -> float:
        return max((s for p in history if (s := p.scores.get(text)) is not None), default=-1.0)

    highest = sorted(texts, key=peak, reverse=True)[:MOST_LINES]
    return [text for text in texts if text in highest]


def alarm_spans(history: Sequence[Point]) -> list[tuple[float, float]]:
    """Times of alarms, each from begin to end, neighbours made one; from the newest's end on."""
    spans: list[tuple[float, float]] = []
    for point in history:
        if not point.alarm:
            continue
        begin_s, end_s = point.begin_s - history[-1].end_s, point.end_s - history[-1].end_s
        if spans and begin_s - spans[-1][1] <= GAP_SHARE * (end_s - begin_s):
            begin_s = spans.pop()[0]
        spans.append((round(begin_s, 3), round(end_s, 3)))
    return spans


def chart_of(
    camera: CameraView, texts: Sequence[str], focus: str | None, window_s: float
) -> dict[str, Any]:
    """Options of an ECharts chart.

    Args:
        camera: whose scores are drawn.
        texts: watched for; a text's place gives its colour.
        focus: drawn alone; None: the highest are.
        window_s: how far back it reaches at most.
    """
    history = camera.history
    length_s = history[-1].end_s - history[0].begin_s if history else 0.0
    step_s = next(
        (step for step in STEPS_S if min(length_s, window_s) / step <= MOST_TICKS), STEPS_S[-1]
    )
    reach_s = min(window_s, step_s * max(1.0, -(-length_s // step_s)))
    lines = [
        {
            "name": text,
            "type": "line",
            "color": color_of(texts, text),
            "showSymbol": False,
            "symbolSize": 5,
            "lineStyle": {"width": 1.8},
            "connectNulls": False,
            "data": line_of(history, text),
        }
        for text in drawn_texts(history, texts, focus)
    ]
    areas = [[{"xAxis": begin_s}, {"xAxis": end_s}] for begin_s, end_s in alarm_spans(history)]
    area = {"silent": True, "data": areas, "itemStyle": {"color": ALARM}}
    # A series of its own, so that it stays whatever lines there are.
    shade = {"type": "line", "data": [], "markArea": area}
    return {
        "animation": False,
        "grid": {"left": 34, "right": 14, "top": 10, "bottom": 22},
        # Rich text is drawn; HTML could be made of somebody's words.
        "tooltip": {"trigger": "axis", "renderMode": "richText", "confine": True},
        "xAxis": {
            "type": "value",
            "min": -reach_s,
            "max": 0,
            "interval": step_s,
            "axisLabel": {"fontSize": 11, ":formatter": "t => t ? `${-t} s ago` : 'newest'"},
            "splitLine": {"lineStyle": {"color": "#eef1f4"}},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "max": 1,
            "interval": 0.5,
            "axisLine": {"onZero": False},
            "axisTick": {"show": False},
            "axisLabel": {"fontSize": 11},
            "splitLine": {"lineStyle": {"color": "#eef1f4"}},
        },
        "series": [*lines, shade],
    }


def color_of(texts: Sequence[str], text: str) -> str:
    """A text's colour in lines and lists."""
    return COLORS[texts.index(text) % len(COLORS)] if text in texts else COLORS[-2]
