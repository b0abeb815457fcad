"""`brs monitor calibrate`: learns from normal footage of one's own home when to alarm.

The start of each video is what limits are made of, for each text the judge's gate and a threshold
above every score that was seen; false alarms are counted, before and after, on its end. Nothing is
trained. The file may hold several cameras, one after the other; the node loads it with its
parameter `calibration`, `brs monitor eval` with --calibration.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scipy.stats import chi2

from brs_cli.anomaly_train import weights_file
from brs_hardware.config import load_named
from brs_hardware.user_data import data_folder
from brs_ml.anomaly import MonitorConfig, SegmentBuffer, SegmentScore, SegmentScorer, watch_texts
from brs_ml.anomaly.backends import BackendConfig, Backends
from brs_ml.anomaly.calibration import (
    Calibration,
    Limits,
    Setting,
    calibrate,
    check_footage,
    count_alarms,
    gated,
)
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.footage import at_rate, footage_of
from brs_ml.anomaly.texts import load_texts
from brs_ml.anomaly.windows import shrunk
from brs_ml.dataset.probe import find_episodes

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trial:
    """False alarms on normal footage that no limit was made of."""

    hours: float
    before: int  # with the same threshold for every text, and no gates
    after: int

    def told(self, alarms: int) -> str:
        """So many alarms an hour, and what that says of hours to come."""
        most = float(chi2.ppf(CONFIDENCE, 2 * (alarms + 1))) / 2.0
        return (
            f"{alarms} ({alarms / self.hours:.1f} an hour; at {CONFIDENCE:.0%} confidence "
            f"at most {most / self.hours:.1f})"
        )


@dataclass(frozen=True)
class Scored:
    """A video of one camera, segment by segment."""

    segments: tuple[SegmentScore, ...]
    levels: tuple[float, ...]  # mean brightness of each segment, 0 to 255
    sizes: frozenset[tuple[int, int]]  # heights and widths of its pictures


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(
        prog="brs monitor calibrate", description=(__doc__ or "").split("`: ")[1]
    )
    parser.add_argument(
        "footage",
        nargs="+",
        type=Path,
        help="on which nothing is wrong: episodes, videos, folders of episodes or of pictures",
    )
    parser.add_argument("--camera", default="head", help="as the monitor calls it")
    parser.add_argument("--text", action="append", help="watched for; default: that of last time")
    parser.add_argument("--frame-hz", type=float, default=10.0, help="the monitor's parameter")
    parser.add_argument("--largest-px", type=int, default=640, help="the monitor's parameter")
    parser.add_argument("--threshold", type=float, default=0.5, help="the monitor's parameter")
    parser.add_argument("--pictures-hz", type=float, default=10.0, help="of folders of pictures")
    parser.add_argument("--config", default="default", help="how segments are scored")
    parser.add_argument("--encoder", default="small", help="small or clip:NAME")
    parser.add_argument("--judge", default="small", help="small, vlm:NAME or server:URL#MODEL")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--weights", type=Path, default=weights_file(), help="of the small models")
    parser.add_argument("--out", type=Path, default=data_folder() / "anomaly" / "calibration.json")
    options = parser.parse_args(arguments)
    if min(options.frame_hz, options.pictures_hz) <= 0.0 or options.largest_px < 1:
        parser.error("--frame-hz, --pictures-hz and --largest-px must be positive")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Raises EpisodeError."""
    options = parse(arguments)
    config = load_named(MonitorConfig, "anomaly", options.config, "monitor")
    config = replace(config, judged_texts=0)  # limits are wanted of every text
    texts = options.text or load_texts(data_folder() / "anomaly" / "anomaly_monitor.json", config)
    backends = Backends(
        BackendConfig(options.encoder, options.judge, options.device), options.weights
    )
    setting = Setting(backends.described, config.segment, options.frame_hz)
    # Before hours of scoring: a file that cannot be added to.
    before = Calibration(setting, ())
    if options.out.exists():
        before = Calibration.load(options.out, setting)
    encoder, judge = backends.make()
    scorer = SegmentScorer(encoder, judge, watch_texts(texts, encoder, config), config)
    videos = [score_footage(scorer, source, options) for source in _sources(options.footage)]
    limits, trial = calibrate_camera(options.camera, videos, config, options.threshold)
    before.with_camera(limits).save(options.out)
    _show(limits, trial)
    Console().print(
        f"wrote {options.out}; brs launch monitor.launch.py calibration:={options.out}"
    )


def score_footage(scorer: SegmentScorer, source: Path, options: argparse.Namespace) -> Scored:
    """Scores of a video as the node would make them; frames are held for a segment at a time."""
    buffer = SegmentBuffer(scorer.config)
    sizes: set[tuple[int, int]] = set()
    segments: list[SegmentScore] = []
    levels: list[float] = []
    frames = footage_of(source, options.camera, options.pictures_hz)
    for frame, stamp_s in at_rate(frames, options.frame_hz):
        if frame is not None:
            sizes.add((frame.shape[0], frame.shape[1]))
            frame = shrunk(frame, options.largest_px)
        segment = buffer.push(frame, stamp_s)
        if segment is not None:
            segments.append(scorer.score(segment).without_pictures())
            levels.append(float(segment.frames[0][::8, ::8].mean()))
    return Scored(tuple(segments), tuple(levels), frozenset(sizes))


def calibrate_camera(
    camera: str, videos: Sequence[Scored], config: MonitorConfig, threshold: float
) -> tuple[tuple[Limits, ...], Trial]:
    """Limits of the videos' starts, tried on their ends.

    Args:
        camera: its name.
        videos: of that camera.
        config: whose `calibration` counts.
        threshold: that holds for all texts where nothing is calibrated.

    Raises:
        AnomalyError: the footage is too short, dark or of several cameras, or cannot be judged.
    """
    chosen = config.calibration
    sizes = {size for video in videos for size in video.sizes}
    if len(sizes) > 1:
        told = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
        raise AnomalyError(f"the footage is of several cameras: {told}", remedy="one at a time")
    everything = [segment for video in videos for segment in video.segments]
    check_footage(everything, [level for video in videos for level in video.levels], chosen)
    starts: list[SegmentScore] = []
    ends: list[tuple[SegmentScore, ...]] = []
    for video in videos:
        cut = round(len(video.segments) * (1.0 - chosen.held_out))
        starts += video.segments[:cut]
        ends.append(video.segments[cut:])
    limits = calibrate(camera, starts, chosen)
    gates = {row.text: row.gate for row in limits}
    thresholds = {row.text: row.threshold for row in limits}
    trial = Trial(
        sum(segment.end_s - segment.begin_s for end in ends for segment in end) / 3600.0,
        sum(count_alarms(end, config, {}, threshold) for end in ends),
        sum(
            count_alarms([gated(row, gates) for row in end], config, thresholds, threshold)
            for end in ends
        ),
    )
    return limits, trial


def _sources(paths: Sequence[Path]) -> Iterator[Path]:
    """Episodes of folders of episodes; other paths as they are."""
    for path in paths:
        if path.is_dir() and any(path.glob("*/*.mcap")):
            yield from find_episodes([path])
        else:
            yield path


def _show(limits: Sequence[Limits], trial: Trial) -> None:
    table = Table("text", "segments", "gate", "threshold")
    for row in limits:
        never = " (never exceeded: no alarm)" if row.threshold >= 1.0 else ""
        table.add_row(
            row.text, str(row.segments), f"{row.gate:.3f}", f"{row.threshold:.2f}{never}"
        )
    Console().print(table)
    Console().print(
        f"false alarms in {60.0 * trial.hours:.1f} minutes held out: before "
        f"{trial.told(trial.before)}, after {trial.told(trial.after)}"
    )
