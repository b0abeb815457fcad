"""Scores segments in a thread of its own, so that nobody waits for a judge."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brs_ml.anomaly.backends import Backends
from brs_ml.anomaly.calibration import Calibration, Setting
from brs_ml.anomaly.config import MonitorConfig, SegmentConfig
from brs_ml.anomaly.encoder import ImageTextEncoder
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.frames import Segment
from brs_ml.anomaly.judge import Judge
from brs_ml.anomaly.live import CameraHistory, CameraScores, SegmentQueue, StillGate, unknown
from brs_ml.anomaly.segment import SegmentScore, SegmentScorer
from brs_ml.anomaly.shown import Shown, show
from brs_ml.anomaly.texts import watch_texts

_POLL_S = 0.2


@dataclass(frozen=True)
class WatchConfig:
    """How cameras are watched, beside how segments are scored."""

    threshold: float = 0.5  # score above which is alarm, of texts that are not calibrated
    still_levels: float = 3.0  # see StillGate
    still_at_most: int = 25
    retry_s: float = 10.0  # between two attempts to load models


@dataclass(frozen=True)
class Equipment:
    """What is loaded before anything can be scored."""

    encoder: ImageTextEncoder
    judge: Judge
    calibration: Calibration | None = None


def load_equipment(
    backends: Backends,
    calibration: Path | None,
    segment: SegmentConfig,
    frame_hz: float,
    cameras: Sequence[str],
) -> Equipment:
    """Models, and what normal footage looks like to them, if that was measured.

    Args:
        backends: make the models.
        calibration: file of a `Calibration`, if there is one.
        segment, frame_hz: by which segments are made and scored.
        cameras: that are watched; one of them must be calibrated, or it is the wrong file.

    Raises:
        AnomalyError: see `Backends` and `Calibration`.
    """
    encoder, judge = backends.make()
    import torch

    torch.set_num_threads(1)  # the other cores are for those who are in a hurry
    if calibration is None:
        return Equipment(encoder, judge)
    loaded = Calibration.load(calibration, Setting(backends.described, segment, frame_hz))
    if not loaded.cameras.intersection(cameras):
        raise AnomalyError(
            f"is of {', '.join(sorted(loaded.cameras))}, not of {', '.join(cameras)}",
            where=str(calibration),
            remedy="brs monitor calibrate --camera NAME",
        )
    return Equipment(encoder, judge, loaded)


class Watcher:
    """Takes segments from a queue, hands over scores.

    Args:
        monitor: how segments are scored.
        config: see WatchConfig.
        segments: where they come from.
        load: called in the thread until it gives what is needed.
        hide: what nobody shall see in pictures, such as faces; None: there are no pictures.
        on_found: called in the thread when there are scores to take.

    Attributes:
        problem: why nothing is scored, or was not lately; empty if all is well.
        looked_at: cameras whose pictures somebody wants; may be set at any time.
    """

    def __init__(
        self,
        monitor: MonitorConfig,
        config: WatchConfig,
        segments: SegmentQueue,
        load: Callable[[], Equipment],
        hide: Callable[[np.ndarray], np.ndarray] | None,
        on_found: Callable[[], object] = lambda: None,
    ) -> None:
        self._monitor, self._config, self._segments = monitor, config, segments
        self._load, self._hide, self._on_found = load, hide, on_found
        self.problem = "models are being loaded"
        self.looked_at: Collection[str] = ()
        self._texts: tuple[str, ...] = ()
        self._scorer: SegmentScorer | None = None
        self._calibration: Calibration | None = None
        self._histories: dict[str, CameraHistory] = {}
        self._gates: dict[str, StillGate] = {}
        self._found: queue.SimpleQueue[CameraScores] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to load and to score."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether anything may still be scored."""
        return self._thread.is_alive()

    @property
    def described(self) -> str:
        """What scores, for people; empty until it is loaded."""
        scorer = self._scorer
        return f"{scorer.encoder.name}, {scorer.judge.name}" if scorer is not None else ""

    def uncalibrated(self, camera: str) -> tuple[str, ...]:
        """Texts that were not calibrated for a camera; none where there is no calibration."""
        known = self._calibration
        if known is None:
            return ()
        thresholds = known.thresholds(camera)
        return tuple(text for text in self._texts if text not in thresholds)

    def watch(self, texts: Sequence[str]) -> None:
        """Texts to watch for from the next segment on, tidy; none: nothing is scored."""
        self._texts = tuple(texts)

    def take(self) -> list[CameraScores]:
        """Scores that have come since the last call, the oldest first."""
        return [self._found.get() for _ in range(self._found.qsize())]

    def close(self, patience_s: float = 5.0) -> None:
        """End the thread after the segment at hand; a daemon, it ends with the process else."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)

    def _run(self) -> None:
        equipment = self._loaded()
        while equipment is not None and not self._closing.is_set():
            taken = self._segments.take(_POLL_S)
            texts = self._texts
            if taken is None or not texts:
                continue
            camera, segment = taken
            try:
                found = self._watch(camera, segment, texts, equipment)
                self.problem = ""
            except Exception as error:  # noqa: BLE001  whatever a model does, we go on and tell
                self.problem = f"scoring failed: {type(error).__name__}: {error}"
                dropped = self._segments.dropped(camera)
                found = unknown(camera, texts, segment.end_s, self.problem, dropped)
            self._found.put(found)
            self._on_found()
        if equipment is not None and hasattr(equipment.judge, "close"):
            equipment.judge.close()  # one with a server and threads of its own

    def _loaded(self) -> Equipment | None:
        """Models, once they can be loaded; None if we are to end before."""
        while not self._closing.is_set():
            try:
                equipment = self._load()
            except AnomalyError as error:
                self.problem = str(error)
            except Exception as error:  # noqa: BLE001  a broken file or package, told as it is
                self.problem = f"models cannot be loaded: {type(error).__name__}: {error}"
            else:
                self.problem = ""
                return equipment
            self._closing.wait(self._config.retry_s)
        return None

    def _watch(
        self, camera: str, segment: Segment, texts: tuple[str, ...], equipment: Equipment
    ) -> CameraScores:
        scorer = self._scorer_of(texts, equipment)
        if camera not in self._histories:
            limits = self._calibration
            self._histories[camera] = CameraHistory(
                self._monitor,
                limits.thresholds(camera) if limits is not None else {},
                self._config.threshold,
            )
            self._gates[camera] = StillGate(self._config.still_levels, self._config.still_at_most)
        gate = self._gates[camera]
        scores = gate.unchanged(segment, texts)
        if scores is None:
            scorer.gates = self._calibration.gates(camera) if self._calibration is not None else {}
            scores = scorer.score(segment)
            gate.remember(segment, scores)
        rows, begun = self._histories[camera].follow(scores)
        dropped = self._segments.dropped(camera)
        shown = self._shown(camera, segment, scores)
        return CameraScores(camera, segment.begin_s, segment.end_s, rows, begun, dropped, shown)

    def _scorer_of(self, texts: tuple[str, ...], equipment: Equipment) -> SegmentScorer:
        """The scorer, with embeddings of texts that it has not had yet."""
        scorer = self._scorer
        if scorer is None:
            self._calibration = equipment.calibration
            watched = watch_texts(texts, equipment.encoder, self._monitor)
            scorer = SegmentScorer(equipment.encoder, equipment.judge, watched, self._monitor)
            self._scorer = scorer
        elif scorer.texts.keywords != texts:
            scorer.texts = watch_texts(texts, scorer.encoder, self._monitor, scorer.texts)
        return scorer

    def _shown(self, camera: str, segment: Segment, scores: SegmentScore) -> Shown | None:
        if self._hide is None or camera not in self.looked_at or segment.problem is not None:
            return None
        return show(segment, scores, self._hide)
