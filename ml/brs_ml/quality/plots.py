"""Pictures of the report: PNG bytes, drawn without a display."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from brs_ml.dataset.layout import PARTS
from brs_ml.episode.errors import EpisodeError
from brs_ml.quality.findings import ERROR, NOTE, WARNING, Finding
from brs_ml.quality.report import EpisodeReport

_COLORS = {ERROR: "#c62828", WARNING: "#ef8c00", NOTE: "#607d8b"}
_SPANS = 40  # that are drawn, of one finding
_LABELLED = 40  # more episodes than that are not named below their bars


def overview(episodes: Sequence[EpisodeReport]) -> bytes:
    """Lengths and successes, path lengths, and rates of the streams over the episodes.

    Raises:
        EpisodeError: Matplotlib is not installed.
    """
    figure = _figure(11.0, 5.4)
    lengths, paths, rates = figure.subplots(3, 1, sharex=True)
    numbers = range(len(episodes))
    colors = {True: "#2e7d32", False: _COLORS[ERROR], None: "#9e9e9e"}
    lengths.bar(
        numbers,
        [episode.seconds for episode in episodes],
        color=[colors[episode.info.success] for episode in episodes],
    )
    lengths.set_ylabel("length [s]")
    for success, text in ((True, "success"), (False, "failure"), (None, "not judged")):
        lengths.bar([0], [0], color=colors[success], label=text)
    _legend(lengths)
    paths.bar(numbers, [episode.figures.get("path_rad", 0.0) for episode in episodes])
    paths.set_ylabel("path [rad]")
    streams = defaultdict(list)
    for number, episode in enumerate(episodes):
        for stream, rate_hz in episode.rates_hz.items():
            streams[_short(stream)].append((number, rate_hz))
    for stream, points in streams.items():
        rates.plot(*zip(*points, strict=True), ".-", label=_plain(stream), linewidth=0.8)
    rates.set_ylabel("rate [Hz]")
    rates.set_ylim(bottom=0.0)
    if streams:
        _legend(rates)
    if len(episodes) <= _LABELLED:
        names = [_plain(episode.name) for episode in episodes]
        rates.set_xticks(list(numbers), names, rotation=30, ha="right", fontsize=7)
    else:
        rates.set_xlabel("episode")
    return _png(figure)


def timeline(episode: EpisodeReport, findings: Sequence[Finding]) -> bytes:
    """How fast each part moved, and below it when each finding happened.

    Raises:
        EpisodeError: Matplotlib is not installed.
    """
    timed = [finding for finding in findings if finding.spans_s]
    figure = _figure(11.0, 2.0 + 0.2 * len(timed))
    heights = (7, len(timed) + 0.5) if timed else (1,)
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
    speed, when = axes[0, 0], axes[-1, 0]
    if episode.curves is not None:
        times_s, speeds = episode.curves.times_s, episode.curves.speeds
        for part in PARTS:
            speed.plot(times_s, speeds[part], label=part, linewidth=0.8)
        _legend(speed)
    speed.set_ylabel("of allowed speed", fontsize=8)
    speed.set_ylim(bottom=0.0)
    for row, finding in enumerate(timed):
        for begin_s, end_s in finding.spans_s[:_SPANS]:
            width_s = max(end_s - begin_s, episode.seconds / 400)
            when.barh(-row, width_s, left=begin_s, height=0.7, color=_COLORS[finding.severity])
    labels = [_plain(f"{finding.rule} {finding.where}"[-44:]) for finding in timed]
    if timed:
        when.set_yticks([-row for row in range(len(timed))], labels, fontsize=7)
    when.set_xlim(0.0, max(episode.seconds, 1e-3))
    when.set_xlabel("time [s]", fontsize=8)
    return _png(figure)


def _legend(axes: Any) -> None:
    """Beside the plot, so that it hides nothing."""
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _short(stream: str) -> str:
    return stream.removeprefix("camera/").removesuffix("/color/image_raw")


def _plain(text: str) -> str:
    """A text that Matplotlib takes for no formula."""
    return text.replace("$", r"\$")


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise EpisodeError(
            "plots need Matplotlib, which is not installed", remedy="pip install brs[sim]"
        ) from None
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
