"""`brs monitor soak`: scores as many frames as hours bring, and tells whether memory grows.

In accelerated time: segments follow each other as fast as they are scored, through the node's own
queue, worker, gates and blurred pictures, with texts that change and frames that cannot be judged.
That counts what is kept for each frame, segment, text and picture. It is not hours of running:
what grows with the clock alone, as the middleware might, is not seen. The networks are untrained,
which costs and keeps the same. With --node it is hours of running instead: the node itself with
the models that come with brs, over the middleware, in front of made-up cameras.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import psutil
from rich.console import Console
from scipy.stats import theilslopes

from brs_cli.anomaly_train import Phrases
from brs_hardware.config import load_named
from brs_ml.anomaly import AnomalyError, MonitorConfig
from brs_ml.anomaly.live import SegmentQueue
from brs_ml.anomaly.privacy import FaceBlur, LibFaceDetection
from brs_ml.anomaly.watcher import Equipment, WatchConfig, Watcher

WARM_UP = 0.2  # share at the beginning, which fills caches and pools
SAMPLES = 200  # of memory over the whole run
SWAP = 37  # segments after which other texts are watched for
BAD = 11  # segments of which one cannot be judged
PATIENCE_S = 600.0  # for one segment; the first waits for models, too


@dataclass(frozen=True)
class Growth:
    """What became of the memory."""

    segments: int
    hours: float  # that they last in front of a camera
    begin_mb: float  # resident, after warming up
    end_mb: float
    mb_per_hour: float  # of footage: the median slope


def growth(samples_mb: Sequence[float], segments: int, hours: float) -> Growth:
    """From memory sampled at equal distances over the whole run.

    Raises:
        ValueError: fewer than two samples are left after warming up.
    """
    begin = round(WARM_UP * len(samples_mb))
    kept = samples_mb[begin:]
    if len(kept) < 2:
        raise ValueError(f"{len(samples_mb)} samples are too few")
    times_h = np.linspace(0.0, hours, len(samples_mb))[begin:]
    slope = float(theilslopes(kept, times_h)[0])
    return Growth(segments, hours, kept[0], kept[-1], slope)


class Soak:
    """A watcher that is fed with made-up frames.

    Args:
        load: what scores, see Watcher.
        config: of the monitor.
        cameras: by name.
        texts: of which all but one, in turns, are watched for.
        size: height and width of the frames.
        hide: see Watcher.
    """

    def __init__(
        self,
        load: Callable[[], Equipment],
        config: MonitorConfig,
        cameras: Sequence[str],
        texts: Sequence[str],
        size: tuple[int, int] = (480, 640),
        hide: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self._config, self._cameras, self._texts = config, cameras, texts
        self._queue = SegmentQueue(cameras, config)
        self._watcher = Watcher(config, WatchConfig(), self._queue, load, hide)
        self._watcher.looked_at = frozenset(cameras)
        random = np.random.default_rng(0)
        self._room = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        self._pushed = 0

    def run(self, segments: int, frame_hz: float) -> Growth:
        """Score so many segments of all cameras together.

        Raises:
            AnomalyError: models cannot be loaded, or a segment is not scored.
        """
        process = psutil.Process()
        samples_mb: list[float] = []
        every = max(segments // SAMPLES, 1)
        self._watcher.start()
        try:
            for number in range(segments):
                self._one(number, frame_hz)
                if number % every == 0:
                    samples_mb.append(process.memory_info().rss / 1e6)
        finally:
            self._watcher.close()
        frames = segments * self._config.segment.frames
        return growth(samples_mb, segments, frames / frame_hz / len(self._cameras) / 3600.0)

    def _one(self, number: int, frame_hz: float) -> None:
        """Bring a segment of the camera whose turn it is, and wait for its scores."""
        if number % SWAP == 0:
            without = number // SWAP % len(self._texts)
            self._watcher.watch([t for i, t in enumerate(self._texts) if i != without])
        camera = self._cameras[number % len(self._cameras)]
        bad = number % BAD == BAD - 1
        count = self._config.segment.frames
        for i in range(count):
            stamp_s = (number // len(self._cameras) * count + i) / frame_hz
            self._queue.push(camera, None if bad else self._frame(), stamp_s)
        end_s = time.monotonic() + PATIENCE_S
        while not self._watcher.take():
            if time.monotonic() > end_s:
                why = self._watcher.problem or "nothing came of the worker"
                raise AnomalyError(f"segment {number} was not scored: {why}")
            time.sleep(0.001)

    def _frame(self) -> np.ndarray:
        """A room in which a box goes around; new memory each, as of a camera."""
        frame, self._pushed = self._room.copy(), self._pushed + 1
        side = frame.shape[0] // 4
        left = self._pushed * 7 % (frame.shape[1] - side)
        frame[side : 2 * side, left : left + side] = self._pushed * 31 % 256
        return frame


def main(arguments: list[str] | None = None) -> None:
    """Entry point; ends with status 1 where memory grows too fast. Raises EpisodeError."""
    parser = argparse.ArgumentParser(
        prog="brs monitor soak", description=(__doc__ or "").split("`: ")[1]
    )
    parser.add_argument("--hours", type=float, default=2.0, help="of footage of each camera")
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--frame-hz", type=float, default=10.0, help="the monitor's parameter")
    parser.add_argument("--most-mb", type=float, default=5.0, help="growth an hour [MB]")
    parser.add_argument(
        "--node", action="store_true", help="of the node, by the clock; two cameras"
    )
    options = parser.parse_args(arguments)
    if min(options.hours, options.frame_hz) <= 0.0 or options.cameras < 1:
        parser.error("--hours, --frame-hz and --cameras must be positive")
    config = load_named(MonitorConfig, "anomaly", "default", "monitor")
    phrases = load_named(Phrases, "anomaly", "household", "list of phrases").phrases
    texts = [several[0] for several in phrases.values()]
    if options.node:
        from brs_cli.anomaly_node_soak import soak_node

        _tell(soak_node(options.hours, options.frame_hz, texts), options.most_mb)
        return
    per_camera = options.hours * 3600.0 * options.frame_hz / config.segment.frames
    soak = Soak(
        lambda: _untrained(phrases),
        config,
        [f"camera{i}" for i in range(options.cameras)],
        texts,
        hide=_faces_hidden(),
    )
    _tell(soak.run(round(per_camera) * options.cameras, options.frame_hz), options.most_mb)


def _tell(found: Growth, most_mb: float) -> None:
    Console().print(
        f"{found.segments} segments, {found.hours:.2f} h of footage: "
        f"{found.begin_mb:.0f} MB after warming up, "
        f"{found.end_mb:.0f} MB at the end, {found.mb_per_hour:+.2f} MB an hour of footage"
    )
    if found.mb_per_hour > most_mb:
        raise SystemExit(f"brs monitor soak: more than {most_mb:g} MB an hour")


def _untrained(phrases: dict[str, tuple[str, ...]]) -> Equipment:
    from brs_ml.anomaly.small import SmallConfig, SmallEncoder, SmallJudge, SmallModels
    from brs_ml.anomaly.training import vocabulary_of

    models = SmallModels.fresh(SmallConfig(vocabulary_of(phrases)))
    return Equipment(SmallEncoder(models), SmallJudge(models))


def _faces_hidden() -> FaceBlur | None:
    """What hides faces; without it there are no pictures, as in the node."""
    try:
        return FaceBlur(LibFaceDetection())
    except AnomalyError as error:
        Console(stderr=True).print(f"no pictures: {error}")
        return None
