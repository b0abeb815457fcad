"""Rules on the pictures of one camera, with the motion of what carries it."""

from __future__ import annotations

import numpy as np

from brs_ml.dataset import align
from brs_ml.dataset.layout import PARTS
from brs_ml.quality.config import PictureLimits
from brs_ml.quality.findings import Findings
from brs_ml.quality.motion import Motion
from brs_ml.quality.pictures import CameraTrack
from brs_ml.quality.smoothness import RATE_HZ
from brs_ml.quality.spans import spans_of


def check_pictures(
    camera: str,
    track: CameraTrack,
    start_ns: int,
    motion: Motion | None,
    limits: PictureLimits,
    findings: Findings,
) -> None:
    """All rules of this module.

    Args:
        camera: name for the findings.
        track: its pictures.
        start_ns: of the episode.
        motion: of the robot; None: frozen pictures cannot be told from still ones.
        limits: what is allowed.
        findings: takes what is found.
    """
    _check_judged(camera, track, start_ns, limits, findings)
    if track.has_depth and track.depth_shares:
        share = float(np.mean(track.depth_shares))
        if share < limits.least_depth_share:
            text = f"{share:.0%} of the pixels have depth"
            findings.add("no_depth", camera, text, share, limits.least_depth_share)
    if motion is not None:
        stamps_s = (np.array(track.stamps_ns, dtype=np.int64) - start_ns) * 1e-9
        check_frozen_pictures(camera, stamps_s, track.digests, motion, limits, findings)


def check_frozen_pictures(
    camera: str,
    stamps_s: np.ndarray,
    digests: list[int],
    motion: Motion,
    limits: PictureLimits,
    findings: Findings,
) -> None:
    """The same pixels again and again while the parts that carry the camera moved.

    Args:
        camera: its name.
        stamps_s: (n,) of its pictures, from the episode's start.
        digests: (n,) of their pixels.
        motion: of the robot.
        limits: for how long, and how far.
        findings: takes what is found.
    """
    same = np.append(np.diff(np.array(digests, dtype=np.int64)) == 0, False)
    carriers = limits.carried_by.get(camera, PARTS)
    spans = []
    for first, last in align.segments(same):
        begin_s, end_s = float(stamps_s[first]), float(stamps_s[min(last, len(stamps_s) - 1)])
        if end_s - begin_s <= limits.frozen_s:
            continue
        if _moved(motion, carriers, begin_s, end_s) > limits.frozen_motion:
            spans.append((begin_s, end_s))
    if spans:
        longest_s = max(end - begin for begin, end in spans)
        text = f"the same picture for up to {longest_s:.2f} s while the robot moved it"
        findings.add("frozen_picture", camera, text, longest_s, limits.frozen_s, spans)


def _moved(motion: Motion, parts: tuple[str, ...], begin_s: float, end_s: float) -> float:
    """How far the parts that carry a camera went at most [rad or m]."""
    inside = (motion.even_s >= begin_s) & (motion.even_s <= end_s)
    if not inside.any():
        return 0.0
    layout, ways = motion.robot.layout, [0.0]
    for part in parts:
        values = motion.even[inside][:, layout.slice_of(part)]
        # The base tells a velocity.
        way = np.cumsum(values, axis=0) / RATE_HZ if part == "base" else values
        ways.append(float(np.ptp(way, axis=0).max()))
    return max(ways)


def _check_judged(
    camera: str, track: CameraTrack, start_ns: int, limits: PictureLimits, findings: Findings
) -> None:
    judged_s = (np.array(track.judged_ns, dtype=np.int64) - start_ns) * 1e-9
    for rule, told in track.problems.items():
        share = len(told) / len(judged_s)
        # A pinhole that is wrong once is wrong.
        limit = 0.0 if rule == "intrinsics" else limits.bad_share
        if share > limit:
            bad = np.isin(track.judged_ns, [stamp for stamp, _ in told])
            text = f"{told[0][1]} ({share:.0%} of the pictures)"
            findings.add(rule, camera, text, share, limit, spans_of(bad, judged_s))
