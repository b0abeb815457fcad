"""Random windows of pictures, states and actions, beside LeRobot, from the same episodes.

Both sides end with the same arrays: pictures as (T, 3, h, w) float32 from 0 to 1. The `lerobot`
package needs an environment of its own, whose Python BRS_LEROBOT_PYTHON names; without it, the
same way of reading is measured, written plainly: numbers by row, and for each camera of each
window a seek in its video to the key frame before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from brs_cli.bench import Figure, figure
from brs_cli.dataset_convert import brs_robot
from brs_cli.foreign_python import measured_by
from brs_ml.convert import convert
from brs_ml.dataset import Dataset, WindowReader, WindowSpec

PYTHON = "BRS_LEROBOT_PYTHON"
_READING = Path(__file__).with_name("lerobot_reading.py")


def rgb_windows(dataset: Dataset, folder: Path, seconds: float) -> list[Figure]:
    """Our rate, and how many times LeRobot's it is.

    Args:
        dataset: with pictures; all of its episodes are for training.
        folder: for LeRobot's copy.
        seconds: of one core, for each side.

    Raises:
        ConfigError: the named Python has no lerobot that reads the set.
    """
    spec = WindowSpec()
    images = [key for key, f in dataset.index.features.items() if f.encoding == "jpeg"]
    reader = WindowReader(dataset, spec, "train", features=images)

    def ours(window: int) -> dict[str, np.ndarray]:
        sample = reader.sample(window)
        return sample | {key: _as_float(sample[key]) for key in images}

    for path in dataset.index.files:
        (dataset.root / path).read_bytes()  # into memory, where LeRobot's was just written to
    our_rate = _rate(ours, len(reader), seconds)
    root = folder / "lerobot"
    convert(dataset.root, root, "lerobot", brs_robot)
    now = reader.windows.now
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    sizes = (seconds, spec.observations, spec.actions)
    told = measured_by(PYTHON, _READING, root, *sizes, *now, environment=offline)
    if told:
        version, theirs = told
        against = f"lerobot {version}"
    else:
        plain = _PlainLeRobot(root, spec)
        theirs = _rate(lambda window: plain.item(int(now[window])), len(reader), seconds)
        against = "LeRobot's way with PyAV; the package is not installed"
    return [
        figure("rgb_windows_per_s", our_rate, "1/s"),
        figure("rgb_windows_ratio_lerobot", our_rate / theirs, "x", ">= 2", against=against),
    ]


def _rate(draw: Callable[[int], Any], count: int, seconds: float) -> float:
    """Windows at random in a second of one core, with the files in memory."""
    random = np.random.default_rng(0)
    draw(0)  # what opens files once is not counted
    drawn, begun_s = 0, time.process_time()
    while time.process_time() - begun_s < seconds:
        draw(int(random.integers(count)))
        drawn += 1
    return drawn / (time.process_time() - begun_s)


def _as_float(pictures: np.ndarray) -> np.ndarray:
    """(T, 3, h, w) float32 from 0 to 1 of (T, h, w, 3) uint8."""
    return np.multiply(pictures.transpose(0, 3, 1, 2), np.float32(1 / 255), order="C")


class _PlainLeRobot:
    """What LeRobotDataset does for an item, without the package.

    Args:
        root: a LeRobot set of one file of rows and one video a camera.
        spec: the window.
    """

    def __init__(self, root: Path, spec: WindowSpec) -> None:
        import av
        import pyarrow.parquet as pq

        self._spec = spec
        columns = ["observation.state", "action", "episode_index", "timestamp"]
        (path,) = root.glob("data/*/*.parquet")
        self._table = pq.read_table(path, columns=columns)
        self._episodes = self._table["episode_index"].to_numpy()
        self._videos = [av.open(str(file)) for file in sorted(root.glob("videos/*/*/*.mp4"))]

    def item(self, now: int) -> dict[str, np.ndarray]:
        """The window whose newest observation is at a step."""
        episode = np.flatnonzero(self._episodes == self._episodes[now])
        seen = np.arange(now - self._spec.observations + 1, now + 1)
        told = np.arange(now, now + self._spec.actions)
        found = {
            name: np.array(
                self._table[name].take(np.clip(rows, episode[0], episode[-1])).to_pylist()
            )
            for name, rows in (("observation.state", seen), ("action", told))
        }
        for number, video in enumerate(self._videos):
            found[f"image {number}"] = _as_float(np.stack(self._frames(video, seen)))
        return found

    def _frames(self, video: Any, rows: np.ndarray) -> list[np.ndarray]:
        """Frames of a video by their rows, decoded from the key frame before on."""
        stream = video.streams.video[0]
        ticks = [int(row / (stream.average_rate * stream.time_base)) for row in rows]
        video.seek(ticks[0], stream=stream)
        frames = []
        for frame in video.decode(stream):
            if frame.pts >= ticks[0]:
                frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == len(rows):
                break
        return frames
