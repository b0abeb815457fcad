"""What is known of each episode after the check, and of all together; as JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.dataset.layout import PARTS
from brs_ml.episode.metadata import EpisodeInfo, write_atomically
from brs_ml.quality.findings import SEVERITIES, Finding
from brs_ml.quality.motion import Motion

VERSION = 1
_POINTS = 400  # of a plotted curve


@dataclass(frozen=True)
class Curves:
    """How fast each part moved, for a plot."""

    times_s: np.ndarray  # (k,)
    speeds: Mapping[str, np.ndarray]  # part -> (k,) share of the allowed speed


@dataclass(frozen=True)
class EpisodeReport:
    """One episode, or what claims to be one."""

    name: str
    findings: tuple[Finding, ...]
    info: EpisodeInfo = field(default_factory=EpisodeInfo)
    start_ns: int = 0
    end_ns: int = 0
    messages: int = 0
    rates_hz: Mapping[str, float] = field(default_factory=dict)  # by stream
    # By camera: height and width [px], matrix, distortion
    cameras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # What outliers are looked for in: seconds, path_rad, smoothness
    figures: Mapping[str, float] = field(default_factory=dict)
    digest: str = ""  # of the content; empty if it could not be read
    curves: Curves | None = None

    @property
    def seconds(self) -> float:
        """Length."""
        return (self.end_ns - self.start_ns) * 1e-9


@dataclass(frozen=True)
class Report:
    """All episodes of a folder or data set."""

    source: str
    episodes: tuple[EpisodeReport, ...]
    together: tuple[Finding, ...]  # of episodes compared with each other

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, those of each episode first."""
        return (*(f for episode in self.episodes for f in episode.findings), *self.together)

    def of(self, episode: EpisodeReport) -> tuple[Finding, ...]:
        """Findings of an episode, alone and among the others; the worst first."""
        found = [*episode.findings, *(f for f in self.together if f.episode == episode.name)]
        return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))

    @property
    def counts(self) -> Counter[str]:
        """Findings by severity."""
        return Counter(finding.severity for finding in self.findings)

    def summary(self) -> str:
        """One line."""
        judged = [e.info.success for e in self.episodes if e.info.success is not None]
        counts, seconds = self.counts, sum(episode.seconds for episode in self.episodes)
        return (
            f"{len(self.episodes)} episodes, {seconds / 60:.1f} min, "
            f"{sum(judged)} of {len(judged)} judged ones succeeded; "
            f"{counts['error']} errors, {counts['warning']} warnings, {counts['note']} notes"
        )


def write_json(report: Report, path: Path) -> None:
    """The report as JSON, without curves; numbers that are none become null.

    Raises:
        OSError: it cannot be written.
    """
    values = {
        "version": VERSION,
        "source": report.source,
        "summary": report.summary(),
        "counts": dict(report.counts),
        "episodes": [_episode(episode) for episode in report.episodes],
        "together": [asdict(finding) for finding in report.together],
    }
    text = json.dumps(_plain(values), indent=1, allow_nan=False)
    write_atomically(path, text + "\n")


def curves_of(motion: Motion) -> Curves:
    """The fastest number of each part over time, thinned to what a plot shows."""
    speed = np.abs(motion.speed) / np.array(motion.robot.speeds)
    firsts = np.arange(0, len(speed), max(len(speed) // _POINTS, 1))
    highest = np.maximum.reduceat(speed, firsts, axis=0)
    layout = motion.robot.layout
    speeds = {part: highest[:, layout.slice_of(part)].max(axis=1) for part in PARTS}
    return Curves(motion.even_s[firsts], speeds)


def _episode(episode: EpisodeReport) -> dict[str, Any]:
    values = {
        name: getattr(episode, name)
        for name in ("name", "messages", "rates_hz", "cameras", "figures", "digest", "seconds")
    }
    info = {name: getattr(episode.info, name) for name in ("task", "success", "robot", "operator")}
    return {**values, **info, "findings": [asdict(finding) for finding in episode.findings]}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
