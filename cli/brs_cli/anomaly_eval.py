"""`brs monitor eval`: how well anomalies are found, on generated clips or a benchmark.

Without --dataset, clips of simulated homes that no model was trained on. Weights and smoothing
are those of config/anomaly/default.yaml; nothing is tuned on what is measured.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from brs_cli.anomaly_train import TEST_SEEDS, Phrases, weights_file
from brs_cli.environment import ROOT
from brs_hardware.config import load_named
from brs_hardware.embodiment import load_embodiment
from brs_ml.anomaly import MonitorConfig, SegmentScore, SegmentScorer, score_video, watch_texts
from brs_ml.anomaly.backends import BackendConfig, Backends
from brs_ml.anomaly.calibration import Calibration, Setting
from brs_ml.anomaly.datasets import load_cvad, load_dataset
from brs_ml.anomaly.evaluation import (
    AlarmFigures,
    ScoredVideo,
    alarms_at,
    alarms_at_recall,
    micro_auroc,
)
from brs_ml.anomaly.monitor import frame_scores, live_scores
from brs_ml.anomaly.pasted import pasted_clips, rate_of, texts_of
from brs_ml.anomaly.scores import Parts, most

RECALL = 0.8
KEY_FRAME_ONLY = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Scored:
    """A video's segments, and when which text is true."""

    name: str
    segments: tuple[SegmentScore, ...]
    truth: dict[str, np.ndarray]  # keyword -> (n,) bool; texts that are never true may be missing


@dataclass(frozen=True)
class Evaluation:
    """What one set of weights gives."""

    each: dict[str, float]  # keyword -> micro AUROC of that text alone
    mean: float  # of those
    together: float  # micro AUROC of all texts at once
    known: float  # share of frames with a score
    alarms: AlarmFigures  # live, all texts at once, at 80 % recall


def main(arguments: list[str]) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="brs monitor eval", description=__doc__.split(": ")[1])
    parser.add_argument("--rooms", type=int, default=6, help="of eight clips each")
    parser.add_argument("--robot", default="r1")
    parser.add_argument(
        "--dataset", choices=("avenue", "shanghaitech", "ubnormal", "cvad", "pasted")
    )
    parser.add_argument("--root", type=Path, help="folder of that benchmark")
    parser.add_argument("--text", action="append", help="what to watch for in a benchmark")
    parser.add_argument("--encoder", default="small", help="small, conse or clip:NAME")
    parser.add_argument(
        "--judge", default="small", help="small, likeness, vlm:NAME or server:URL#MODEL"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--weights", type=Path, default=weights_file(), help="of the small models")
    parser.add_argument("--calibration", type=Path, help="file of `brs monitor calibrate`")
    parser.add_argument("--camera", default="head", help="whose calibration counts")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "anomaly_eval.json")
    options = parser.parse_args(arguments)
    config = load_named(MonitorConfig, "anomaly", "default", "monitor")
    config = replace(config, judged_texts=0)  # the measure is of every text, not of the best
    backends = Backends(
        BackendConfig(options.encoder, options.judge, options.device), options.weights
    )
    encoder, judge = backends.make()
    rate_hz = _rate_hz(options)
    calibration: Calibration | None = None
    if options.calibration is not None:
        setting = Setting(backends.described, config.segment, rate_hz)
        calibration = Calibration.load(options.calibration, setting)

    def scorer(texts: Sequence[str]) -> SegmentScorer:
        watched = watch_texts(texts, encoder, config)
        gates = {}
        if calibration is not None:
            calibration.require(options.camera, watched.keywords, str(options.calibration))
            gates = calibration.gates(options.camera)
        return SegmentScorer(encoder, judge, watched, config, gates)

    videos = (_generated if options.dataset is None else _benchmark)(options, scorer)
    scored = list(videos)
    full = evaluate(scored, config, rate_hz)
    still = evaluate(scored, with_weights(config, KEY_FRAME_ONLY), rate_hz)
    told = {"full": asdict(full), "key_frame_only": asdict(still)}
    _show(full, still)
    if calibration is not None:
        alarms = alarms_above(scored, config, calibration.thresholds(options.camera), rate_hz)
        told["calibrated"] = asdict(alarms)
        _show_alarms("calibrated", alarms)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(told, indent=2) + "\n")


def _rate_hz(options: argparse.Namespace) -> float:
    """Frames a second of what is measured."""
    if options.dataset == "pasted":
        return rate_of(options.root)
    if options.dataset is not None:
        return 25.0
    from brs_sim.anomalies import RATE_HZ

    return RATE_HZ


def with_weights(config: MonitorConfig, weights: tuple[float, float, float]) -> MonitorConfig:
    """The same monitor with another fusion."""
    return replace(config, segment=replace(config.segment, weights=weights))


def evaluate(scored: Sequence[Scored], config: MonitorConfig, rate_hz: float) -> Evaluation:
    """Figures of scores.

    Args:
        scored: videos.
        config: whose weights and smoothing count; the verdicts are those at hand.
        rate_hz: of the frames.
    """
    keywords = list(dict.fromkeys(key for video in scored for key in video.truth))
    each = {key: micro_auroc(_videos(scored, config, (key,)))[0] for key in keywords}
    together, known = micro_auroc(_videos(scored, config, keywords))
    alarms = alarms_at_recall(_videos(scored, config, keywords, live=True), RECALL, rate_hz)
    return Evaluation(each, float(np.mean(list(each.values()))), together, known, alarms)


def alarms_above(
    scored: Sequence[Scored],
    config: MonitorConfig,
    thresholds: Mapping[str, float],
    rate_hz: float,
) -> AlarmFigures:
    """Live alarms of scores above thresholds of each text's own, over all texts as one.

    Args:
        scored: videos, whose segments were scored with the gates that belong to the thresholds.
        config: whose weights and smoothing count.
        thresholds: text -> score above which is alarm.
        rate_hz: of the frames.
    """
    keywords = list(thresholds)
    truths = _videos(scored, config, keywords, live=True)
    videos = []
    for video, truth in zip(scored, truths, strict=True):
        excess = [
            live_scores([_fused(row, config, (key,)) for row in video.segments], config) - limit
            for key, limit in thresholds.items()
        ]
        videos.append(replace(truth, scores=np.fmax.reduce(excess)))
    above = float(np.nextafter(0.0, 1.0))
    return replace(alarms_at(videos, above, rate_hz), threshold=float("nan"))


def _videos(
    scored: Sequence[Scored], config: MonitorConfig, keywords: Sequence[str], live: bool = False
) -> list[ScoredVideo]:
    """Scores of the frames for some of the texts, and whether any of those is true."""
    found = []
    for video in scored:
        rows = [_fused(segment, config, keywords) for segment in video.segments]
        frames = (live_scores if live else frame_scores)(rows, config)
        truth = np.zeros(len(frames), bool)
        for key in keywords:
            if key in video.truth:
                truth |= video.truth[key][: len(frames)]
        found.append(ScoredVideo(video.name, frames, truth))
    return found


def _fused(segment: SegmentScore, config: MonitorConfig, keywords: Sequence[str]) -> float | None:
    rows: list[Parts] = [
        row.parts
        for row in segment.keywords
        if row.keyword in keywords and row.parts.fused(config.segment.weights) is not None
    ]
    return most(rows).fused(config.segment.weights)


def _generated(options: argparse.Namespace, scorer: object) -> Iterator[Scored]:
    """Test clips of simulated homes, each scored as it is drawn."""
    from brs_sim.anomalies import KINDS, Clip
    from brs_sim.cameras import CameraRenderer

    assert callable(scorer)
    phrases = load_named(Phrases, "anomaly", "household", "list of phrases").phrases
    keywords: Mapping[str, str] = {kind: several[0] for kind, several in phrases.items()}
    scores: SegmentScorer = scorer([keywords[kind] for kind in KINDS])
    robot, renderer = load_embodiment(options.robot), None
    for room in range(options.rooms):
        for kind in (*KINDS, None):
            clip = Clip(robot, kind, TEST_SEEDS + room)
            renderer = renderer or CameraRenderer(clip)
            frames = (clip.draw(renderer, i) for i in range(clip.frames))
            found = score_video(scores, frames)
            truth = {} if kind is None else {keywords[kind]: clip.truth()}
            yield Scored(f"{room}-{kind}", found.segments, truth)
    if renderer is not None:
        renderer.close()


def _benchmark(options: argparse.Namespace, scorer: object) -> Iterator[Scored]:
    """A benchmark's videos; texts are the types of a customizable split, or those given."""
    assert callable(scorer)
    if options.root is None:
        raise SystemExit("brs monitor eval: --dataset needs --root")
    if options.dataset == "cvad":
        for text, videos in load_cvad(options.root).items():
            scores = scorer([text])
            for video in videos:
                found = score_video(scores, video.frames())
                yield Scored(f"{text}/{video.name}", found.segments, {text: video.truth})
        return
    if options.dataset == "pasted":
        scores = scorer(texts_of(options.root))
        for clip in pasted_clips(options.root):
            found = score_video(scores, clip.frames)
            yield Scored(clip.name, found.segments, {clip.text: clip.truth} if clip.text else {})
        return
    texts = options.text or []
    scores = scorer(texts)
    for video in load_dataset(options.dataset, options.root):
        found = score_video(scores, video.frames())
        yield Scored(video.name, found.segments, dict.fromkeys(texts, video.truth))


def _show(full: Evaluation, still: Evaluation) -> None:
    table = Table("text", "AUROC", "key frame only")
    for key, value in full.each.items():
        table.add_row(key, f"{value:.3f}", f"{still.each[key]:.3f}")
    table.add_row("mean", f"{full.mean:.3f}", f"{still.mean:.3f}")
    table.add_row("all texts at once", f"{full.together:.3f}", f"{still.together:.3f}")
    Console().print(table)
    Console().print(f"{full.known:.1%} of the frames have a score")
    _show_alarms("one threshold", full.alarms)


def _show_alarms(what: str, alarms: AlarmFigures) -> None:
    Console().print(
        f"{what}: {alarms.recall:.0%} recall, {alarms.false_alarms_per_hour:.1f} false alarms an "
        f"hour, {alarms.seconds_to_alarm:.1f} s to an alarm"
    )
