"""Rules on when messages were stamped, sent and received."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from brs_ml.quality.config import TimeLimits
from brs_ml.quality.findings import Findings
from brs_ml.quality.record import Record, Times
from brs_ml.quality.spans import overlap_s

_FEW = 20  # of fewer messages no rate is told
_MOMENTS = 100  # that are listed, of one finding
_RESTARTS = 2  # more steps back of a sequence are several publishers


def check_times(record: Record, limits: TimeLimits, findings: Findings) -> None:
    """All rules of this module, for every topic."""
    needed = {
        topic
        for plain, topic in record.streams.items()
        if plain in (limits.state_topic, limits.command_topic) or plain.startswith("camera/")
    }
    for topic, times in record.times.items():
        check_sequence(topic, np.array(times.sequence), limits, findings)
        is_needed = topic in needed
        check_clock(topic, times, record.start_ns, is_needed, limits, findings)
    for plain, least_hz, gap_s in _streams(record, limits):
        topic = record.streams[plain]
        stamps_s = _seconds(record, _best(record.times[topic]))
        check_rate(topic, stamps_s, least_hz, limits.jitter, findings)
        check_gaps(topic, stamps_s, gap_s, _pauses(record), findings)
    check_silence(record, limits, findings)
    check_skew(record, limits, findings)
    for camera, track in record.cameras.items():
        count = len(track.stamps_ns)
        share = track.unpaired / max(count, 1)
        if track.has_depth and share > limits.unpaired_share:
            findings.add(
                "unpaired",
                camera,
                f"{track.unpaired} of {count} pictures have no depth of their stamp",
                share,
                limits.unpaired_share,
            )


def check_sequence(
    topic: str, sequence: np.ndarray, limits: TimeLimits, findings: Findings
) -> None:
    """Losses that show as gaps in the publisher's count. A 0 is not known, opens no gap.

    Args:
        topic: name for the finding.
        sequence: (n,) int64 counts in the order of reception.
        limits: the share that may be lost.
        findings: takes what is found.
    """
    steps = np.diff(sequence)
    known = (sequence[:-1] > 0) & (sequence[1:] > 0) if len(sequence) else np.zeros(0, bool)
    back = int((steps[known] < 0).sum())
    if back > _RESTARTS:
        findings.add("publishers", topic, f"sequence numbers step back {back} times", back, 0)
        return
    lost = int((steps[known & (steps > 1)] - 1).sum())
    share = lost / max(lost + len(sequence), 1)
    if share > limits.dropped_share:
        text = f"{lost} of {lost + len(sequence)} messages were lost ({share:.1%})"
        findings.add("dropped", topic, text, share, limits.dropped_share)


def check_clock(
    topic: str,
    times: Times,
    start_ns: int,
    is_needed: bool,
    limits: TimeLimits,
    findings: Findings,
) -> None:
    """Stamps against each other and against the time of reception.

    Args:
        topic: name for the finding.
        times: of its messages.
        start_ns: of the episode.
        is_needed: data sets are made of it; its stamps never run backwards, not even a little.
        limits: what is allowed.
        findings: takes what is found.
    """
    stamps, log = np.array(times.stamp_ns), np.array(times.log_ns)
    known = stamps > 0
    stamps, log = stamps[known], log[known]
    if len(stamps) < 2:
        return
    at_s = (log - start_ns) * 1e-9

    def add(rule: str, text: str, value: float, limit: float, moments_s: np.ndarray) -> None:
        spans = [(float(moment), float(moment)) for moment in moments_s[:_MOMENTS]]
        findings.add(rule, topic, text, value, limit, spans)

    back_s = -np.diff(stamps) * 1e-9
    limit_s = limits.clock_back_s if is_needed else limits.other_back_s
    if (wrong := back_s > limit_s).any():
        text = f"{wrong.sum()} stamps run backwards, by up to {back_s.max():.3f} s"
        add("clock_back", text, back_s.max(), limit_s, at_s[1:][wrong])
    late_s = (log - stamps) * 1e-9
    if (wrong := late_s < -limits.future_s).any():
        text = f"{wrong.sum()} stamps lie in the future, by up to {-late_s.min():.3f} s"
        add("future", text, -late_s.min(), limits.future_s, at_s[wrong])
    if (usual_s := float(np.quantile(late_s, 0.99))) > limits.late_s:
        text = f"messages arrive {usual_s:.2f} s after their stamp (99th percentile)"
        findings.add("late", topic, text, usual_s, limits.late_s)
    jump_s = np.abs(np.diff(late_s))
    if (wrong := jump_s > limits.clock_jump_s).any():
        text = f"stamps jump {wrong.sum()} times against reception, by up to {jump_s.max():.2f} s"
        add("clock_jump", text, jump_s.max(), limits.clock_jump_s, at_s[1:][wrong])


def check_rate(
    topic: str, times_s: np.ndarray, least_hz: float, jitter: float, findings: Findings
) -> None:
    """Mean rate, and how even the intervals are.

    Args:
        topic: name for the finding.
        times_s: (n,) of its samples.
        least_hz: slowest mean rate.
        jitter: most uneven, see TimeLimits.
        findings: takes what is found.
    """
    if len(times_s) < 2:
        findings.add("rate", topic, f"{len(times_s)} messages", 0.0, least_hz)
        return
    intervals_s = np.diff(np.sort(times_s))
    mean_s = max(float(intervals_s.mean()), 1e-9)
    rate_hz = 1.0 / mean_s
    if rate_hz < least_hz:
        findings.add("rate", topic, f"{rate_hz:.1f} Hz", rate_hz, least_hz)
    uneven = float(np.quantile(np.abs(intervals_s - mean_s), 0.95)) / mean_s
    if len(times_s) >= _FEW and uneven > jitter:
        text = f"intervals of {mean_s * 1e3:.1f} ms are off by {uneven:.0%} (95th percentile)"
        findings.add("jitter", topic, text, uneven, jitter)


def check_gaps(
    topic: str,
    times_s: np.ndarray,
    longest_s: float,
    pauses: list[tuple[float, float]],
    findings: Findings,
    rule: str = "gap",
) -> None:
    """Intervals without a sample that are no pause of the recording."""
    times_s = np.sort(times_s)
    long = np.flatnonzero(np.diff(times_s) > longest_s)
    gaps = [(float(times_s[i]), float(times_s[i + 1])) for i in long]
    gaps = [
        gap
        for gap in gaps
        if gap[1] - gap[0] - sum(overlap_s(gap, pause) for pause in pauses) > longest_s
    ]
    if gaps:
        longest = max(gaps, key=lambda gap: gap[1] - gap[0])
        found_s = longest[1] - longest[0]
        text = f"{len(gaps)} times nothing, for up to {found_s:.2f} s (at {longest[0]:.1f} s)"
        findings.add(rule, topic, text, found_s, longest_s, gaps)


def check_silence(record: Record, limits: TimeLimits, findings: Findings) -> None:
    """Nothing on any topic: the recorder stood still, or its clock jumped."""
    every = [np.array(times.log_ns) for times in record.times.values()]
    log_s = _seconds(record, np.concatenate(every)) if every else np.zeros(0)
    check_gaps("", log_s, limits.silence_s, _pauses(record), findings, "silence")


def check_skew(record: Record, limits: TimeLimits, findings: Findings) -> None:
    """Each camera against the robot's state and against the first camera."""
    stamps = {f"camera {name}": track.stamps_ns for name, track in record.cameras.items()}
    others = {"state": record.state.stamps_ns, **dict(list(stamps.items())[:1])}
    for name, of in stamps.items():
        for other, against in others.items():
            if name == other or not of or not against:
                continue
            skew_s = float(np.quantile(nearest_s(np.sort(of), np.sort(against)), 0.95))
            if skew_s > limits.skew_s:
                text = f"nearest sample of {other} is {skew_s * 1e3:.0f} ms away (95th percentile)"
                findings.add("skew", name, text, skew_s, limits.skew_s)


def nearest_s(stamps_ns: np.ndarray, others_ns: np.ndarray) -> np.ndarray:
    """(n,) distance of each stamp to the nearest of the others [s]; both sorted, none empty."""
    after = np.searchsorted(others_ns, stamps_ns).clip(1, max(len(others_ns) - 1, 1))
    before_ns = np.abs(stamps_ns - others_ns[after - 1])
    after_ns = np.abs(stamps_ns - others_ns[np.minimum(after, len(others_ns) - 1)])
    return np.minimum(before_ns, after_ns) * 1e-9


def rates_hz(record: Record, limits: TimeLimits) -> Mapping[str, float]:
    """Mean rate of each stream that has one, by its plain name."""
    rates = {}
    for plain, _, _ in _streams(record, limits):
        log = record.times[record.streams[plain]].log_ns
        seconds = (max(log) - min(log)) * 1e-9 if len(log) > 1 else 0.0
        rates[plain] = (len(log) - 1) / seconds if seconds > 0.0 else 0.0
    return rates


def _streams(record: Record, limits: TimeLimits) -> Iterator[tuple[str, float, float]]:
    """Plain name, least rate [Hz] and longest gap [s] of each stream that must keep a rate."""
    for plain, least_hz in limits.least_hz.items():
        if plain in record.streams:
            yield plain, least_hz, limits.gap_s
    for camera in record.cameras:
        yield f"camera/{camera}/color/image_raw", limits.least_camera_hz, limits.camera_gap_s


def _best(times: Times) -> np.ndarray:
    """Stamps where there are any, else times of reception [ns]."""
    stamps = np.array(times.stamp_ns, dtype=np.int64)
    return stamps if len(stamps) and (stamps > 0).all() else np.array(times.log_ns, np.int64)


def _seconds(record: Record, times_ns: np.ndarray) -> np.ndarray:
    return (times_ns - record.start_ns) * 1e-9


def _pauses(record: Record) -> list[tuple[float, float]]:
    return [
        ((p["start_ns"] - record.start_ns) * 1e-9, (p["stop_ns"] - record.start_ns) * 1e-9)
        for p in record.info.pauses
    ]
