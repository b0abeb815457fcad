"""Rules on all episodes together: what does not fit the others."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from brs_ml.quality.config import QualityConfig, SetLimits
from brs_ml.quality.findings import Finding, Findings
from brs_ml.quality.report import EpisodeReport

_Collected = Mapping[str, Findings]  # by the episode's name; "" for all
# No robot recorded in 1970 to 2000: earlier stamps are simulated time, which begins near zero.
_SIMULATED_NS = 30 * 365 * 24 * 3600 * 1_000_000_000


def check_together(
    episodes: Sequence[EpisodeReport], config: QualityConfig
) -> tuple[Finding, ...]:
    """All rules of this module; episodes that could not be read take no part."""
    read = [episode for episode in episodes if episode.digest]
    found = {name: Findings(name, config.severity) for name in ("", *(e.name for e in read))}
    check_balance(read, config.set, found[""])
    _duplicates(read, found)
    _overlaps(read, config.set, found)
    _outliers(read, config.set, found)
    _odd_ones(read, "mixed_robots", lambda episode: episode.info.robot, found)
    _odd_ones(read, "mixed_cameras", _camera_sizes, found)
    _odd_ones(read, "mixed_calibration", _calibration_files, found)
    _calibrations(read, config.set, found)
    _rates(read, config.set, found)
    return tuple(finding for findings in found.values() for finding in findings.all)


def robust_z(values: Sequence[float]) -> np.ndarray:
    """(n,) how many standard deviations each is from the median, were the rest normal.

    Of Iglewicz and Hoaglin, "How to detect and handle outliers" (1993): by the median of the
    absolute deviations, or by their mean where more than half are the same; 0 where all are.
    """
    away = np.asarray(values, dtype=np.float64) - np.median(values)
    for scale in (1.4826 * np.median(np.abs(away)), 1.2533 * np.mean(np.abs(away))):
        if scale > 0.0:
            return np.asarray(away / scale)
    return np.zeros(len(away))


def check_balance(
    episodes: Sequence[EpisodeReport], limits: SetLimits, findings: Findings
) -> None:
    """Successes of each task among those that were judged."""
    judged: dict[str, list[bool]] = defaultdict(list)
    for episode in episodes:
        if episode.info.success is not None:
            judged[episode.info.task].append(episode.info.success)
    for task, successes in judged.items():
        share = sum(successes) / len(successes)
        if share < limits.least_success:
            text = f"{sum(successes)} of {len(successes)} succeeded"
            findings.add("balance", task, text, share, limits.least_success)


def _duplicates(episodes: Sequence[EpisodeReport], found: _Collected) -> None:
    first: dict[str, str] = {}
    for episode in episodes:
        other = first.setdefault(episode.digest, episode.name)
        if other != episode.name:
            found[episode.name].add("duplicate", "", f"has the same content as {other}")


def _overlaps(episodes: Sequence[EpisodeReport], limits: SetLimits, found: _Collected) -> None:
    latest: dict[tuple[Any, ...], EpisodeReport] = {}  # by clock, the one that ends last so far
    for episode in sorted(episodes, key=lambda each: each.start_ns):
        clock = _clock(episode)
        before = latest.get(clock)
        if before is not None and before.digest != episode.digest:
            both_s = (min(before.end_ns, episode.end_ns) - episode.start_ns) * 1e-9
            if both_s > limits.overlap_s:
                text = f"{both_s:.1f} s of it are in {before.name}, too"
                found[episode.name].add("overlap", "", text, both_s, limits.overlap_s)
        if before is None or episode.end_ns > before.end_ns:
            latest[clock] = episode


def _clock(episode: EpisodeReport) -> tuple[Any, ...]:
    """Robot, and scene where time is simulated: it begins anew in each."""
    info = episode.info
    if episode.start_ns > _SIMULATED_NS:
        return (info.robot,)
    return info.robot, info.task, info.seed


def _outliers(episodes: Sequence[EpisodeReport], limits: SetLimits, found: _Collected) -> None:
    tasks: dict[tuple[str, str], list[EpisodeReport]] = defaultdict(list)
    for episode in episodes:
        for figure in episode.figures:
            tasks[episode.info.task, figure].append(episode)
    for (_, figure), members in tasks.items():
        if len(members) < limits.outlier_of:
            continue
        values = [member.figures[figure] for member in members]
        usual = statistics.median(values)
        least = limits.outlier_share * abs(usual)
        for member, z in zip(members, robust_z(values), strict=True):
            if abs(z) > limits.outlier_z and abs(member.figures[figure] - usual) > least:
                text = (
                    f"{figure} is {member.figures[figure]:.1f}, "
                    f"usual for this task is {usual:.1f} (z {z:+.1f})"
                )
                found[member.name].add("outlier", figure, text, abs(z), limits.outlier_z)


def _odd_ones(
    episodes: Sequence[EpisodeReport],
    rule: str,
    of: Callable[[EpisodeReport], str],
    found: _Collected,
) -> None:
    """Those that differ from what most have."""
    values = {episode.name: of(episode) for episode in episodes}
    if len(set(values.values())) < 2:
        return
    (usual, count), *_ = Counter(values.values()).most_common(1)
    for name, value in values.items():
        if value != usual:
            text = f"{value or 'none told'}, {count} of {len(values)} have {usual or 'none told'}"
            found[name].add(rule, "", text)


def _camera_sizes(episode: EpisodeReport) -> str:
    return ", ".join(
        f"{name} {camera['width']}x{camera['height']}"
        for name, camera in sorted(episode.cameras.items())
    )


def _calibration_files(episode: EpisodeReport) -> str:
    files = episode.info.calibration
    text = json.dumps(files, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8] if files else ""


def _calibrations(episodes: Sequence[EpisodeReport], limits: SetLimits, found: _Collected) -> None:
    """Each camera's numbers against their medians."""
    cameras: dict[tuple[str, tuple[int, int]], list[EpisodeReport]] = defaultdict(list)
    for episode in episodes:
        for name, camera in episode.cameras.items():
            shape = (len(camera["matrix"]), len(camera["distortion"]))
            cameras[name, shape].append(episode)
    for (name, _), members in cameras.items():
        for part, most, unit in (
            ("matrix", limits.calibration_px, " px"),
            ("distortion", limits.calibration_distortion, ""),
        ):
            values = np.array([member.cameras[name][part] for member in members])
            if not values.size:
                continue
            away = np.abs(values - np.median(values, axis=0)).max(axis=1)
            for member, difference in zip(members, away, strict=True):
                if not difference <= most:
                    text = f"{part} is {difference:.3g}{unit} from the usual one"
                    found[member.name].add("mixed_calibration", name, text, difference, most)


def _rates(episodes: Sequence[EpisodeReport], limits: SetLimits, found: _Collected) -> None:
    streams: dict[str, list[EpisodeReport]] = defaultdict(list)
    for episode in episodes:
        for stream in episode.rates_hz:
            streams[stream].append(episode)
    for stream, members in streams.items():
        usual_hz = statistics.median(member.rates_hz[stream] for member in members)
        for member in members:
            rate_hz = member.rates_hz[stream]
            if not usual_hz / limits.rate_factor <= rate_hz <= usual_hz * limits.rate_factor:
                text = f"{rate_hz:.1f} Hz, usual here are {usual_hz:.1f} Hz"
                found[member.name].add("mixed_rates", stream, text, rate_hz, usual_hz)
