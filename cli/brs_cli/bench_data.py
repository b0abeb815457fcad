"""Building and reading data sets, beside BRS's HDF5 and LeRobot with the same content.

BRS keeps each array of an episode whole and uncompressed. Windows are drawn at random with the
files' pages dropped from memory before each: as if there were far more data than memory. Both
sides end with the same arrays.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from brs_cli.bench import Figure, figure
from brs_cli.bench_lerobot import rgb_windows
from brs_cli.bench_recorded import with_clouds
from brs_cli.dataset_build import parse, settings
from brs_cli.dataset_clouds import CloudFactory, layout_of
from brs_cli.environment import ROOT
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_ml.dataset import Dataset, WindowReader, WindowSpec, build, find_episodes
from brs_ml.episode import EpisodeReader

TASK = "shelves"
EPISODES = ROOT / "out" / "bench" / "episodes"
_SPEC = WindowSpec()
Draw = Callable[[int], Any]


def measure_data(seconds: float) -> list[Figure]:
    """Build speed, size, and windows a second, warm and cold."""
    episodes = find_episodes([_episodes()])
    robot = load_embodiment("r1")
    with tempfile.TemporaryDirectory(prefix="brs") as name:
        folder = Path(name)
        factors = [
            figure(
                "build_made_clouds_realtime_factor", _built(robot, episodes, folder / "set"), "x"
            ),
            figure(
                "build_without_clouds_realtime_factor",
                _built(robot, episodes, folder / "plain", "--no-clouds"),
                "x",
            ),
        ]
        dataset = Dataset(folder / "set")
        factors += _recorded(robot, episodes[0], dataset, folder)
        rival = _BrsFile(dataset, folder / "brs.hdf5")
        share_s = seconds / 7.0
        try:
            figures = [*factors, *_windows(dataset, rival, share_s), *_sizes(dataset, rival)]
        finally:
            rival.close()
        return figures + rgb_windows(dataset, folder, share_s)


def _episodes() -> Path:
    """Recorded episodes; one is driven by the scripted operator if there is none."""
    from brs_cli.demo import EpisodeResult, record

    if not any(EPISODES.glob("*/*.mcap")):
        record(TASK, 0, EPISODES, EpisodeResult(0))
    return EPISODES


def _built(robot: Embodiment, episodes: list[Path], out: Path, *options: str) -> float:
    """Seconds of episodes built in a second of one core; kernels are compiled before."""
    arguments = [str(EPISODES), "--out", str(out), "--validation", "0", "--cloud", TASK]
    config = settings(parse([*arguments, *options]), tuple(robot.cameras))
    factory = CloudFactory(robot.name, TASK)
    if config.fuses:
        factory.warm_up()
    begun_s = time.process_time()
    index = build(episodes, out, layout_of(robot), config, clouds=factory)
    return index.steps / index.rate_hz / (time.process_time() - begun_s)


def _recorded(robot: Embodiment, episode: Path, dataset: Dataset, folder: Path) -> list[Figure]:
    """Build speed where clouds were recorded live, and what recording them takes on disk."""
    copy = with_clouds(episode, dataset, folder / "recorded" / episode.name)
    factor = _built(robot, [copy], folder / "live")
    more = sum(file.stat().st_size for file in copy.glob("*.mcap"))
    more -= sum(file.stat().st_size for file in episode.glob("*.mcap"))
    start_ns, end_ns = EpisodeReader(copy).span_ns
    minutes = (end_ns - start_ns) / 60e9
    return [
        figure("build_realtime_factor", factor, "x", ">= 20"),
        figure("recorded_clouds_mb_per_minute", more / minutes / 1e6, "MB"),
    ]


def _windows(dataset: Dataset, rival: _BrsFile, seconds: float) -> list[Figure]:
    reader = WindowReader(dataset, _SPEC, "train", features=["cloud"])
    files = [dataset.root / path for path in dataset.index.files]
    now = reader.windows.now
    np.testing.assert_allclose(
        reader.sample(0)["cloud"], rival.slices(int(now[0]))["cloud"], rtol=0, atol=1e-6
    )

    def ours(window: int) -> Any:
        return reader.sample(window)

    def slices(window: int) -> Any:
        return rival.slices(int(now[window]))

    def whole(window: int) -> Any:
        return rival.whole(int(now[window]))

    count = len(reader)
    warm = _rate(ours, count, (), seconds)
    cold = _rate(ours, count, files, seconds)
    cold_slices = _rate(slices, count, [rival.path], seconds)
    cold_whole = _rate(whole, count, [rival.path], seconds)
    return [
        figure("windows_per_s", cold, "1/s"),
        figure("windows_warm_per_s", warm, "1/s"),
        figure("windows_ratio_brs_hdf5", cold / cold_whole, "x", ">= 5", against=_WHOLE),
        figure("windows_ratio_hdf5_slices", cold / cold_slices, "x", against=_SLICES),
    ]


_WHOLE = "h5py, an episode's arrays loaded whole"
_SLICES = "h5py, slices of the same arrays"


def _rate(draw: Draw, count: int, drop: Iterable[Path], seconds: float) -> float:
    """Windows a second at random; dropping pages is not counted."""
    random = np.random.default_rng(0)
    spent_s, drawn = 0.0, 0
    while spent_s < seconds:
        window = int(random.integers(count))
        for path in drop:
            _forget(path)
        begun_s = time.perf_counter()
        draw(window)
        spent_s += time.perf_counter() - begun_s
        drawn += 1
    return drawn / spent_s


def _forget(path: Path) -> None:
    """Drop a file's pages from memory; those not yet on disk are written first."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _sizes(dataset: Dataset, rival: _BrsFile) -> list[Figure]:
    """Both hold clouds, pictures, proprioception and actions; depth is left out of both."""
    ours = sum(file.bytes for file in dataset.index.files.values())
    minutes = len(dataset) / dataset.index.rate_hz / 60.0
    ratio = ours / rival.path.stat().st_size
    return [
        figure("dataset_mb_per_minute", ours / minutes / 1e6, "MB"),
        figure("bytes_ratio_brs_hdf5", ratio, "x", "<= 0.2", against="BRS HDF5, no depth"),
    ]


class _BrsFile:
    """A data set's content in BRS's layout: one group, whole arrays, no compression.

    Args:
        dataset: what to write.
        path: the file.

    Raises:
        ConfigError: h5py is not installed.
    """

    def __init__(self, dataset: Dataset, path: Path) -> None:
        try:
            import h5py
        except ImportError:
            raise ConfigError(
                "this comparison needs h5py, which is not installed", remedy="pip install brs[ml]"
            ) from None
        self.path = path
        self._rows = np.flatnonzero(dataset.column("valid"))
        with h5py.File(path, "w") as file:
            _write_brs(file, dataset, self._rows)
        self._file = h5py.File(path, "r")
        self._row_of = {int(step): row for row, step in enumerate(self._rows)}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def slices(self, now: int) -> dict[str, np.ndarray]:
        """The window at a step, of slices of the arrays."""
        row = self._row_of[now]
        seen, told = slice(row - _SPEC.observations + 1, row + 1), slice(row, row + _SPEC.actions)
        return self._window(lambda array, rows: array[rows], seen, told)

    def whole(self, now: int) -> dict[str, np.ndarray]:
        """The same window, after loading each array whole."""
        row = self._row_of[now]
        seen, told = slice(row - _SPEC.observations + 1, row + 1), slice(row, row + _SPEC.actions)
        return self._window(lambda array, rows: array[:][rows], seen, told)

    def _window(
        self, read: Callable[[Any, slice], np.ndarray], seen: slice, told: slice
    ) -> dict[str, np.ndarray]:
        cloud = self._file["obs/point_cloud/fused"]
        points = np.empty((_SPEC.observations, cloud["xyz"].shape[1], 6), np.float32)
        points[..., :3] = read(cloud["xyz"], seen)
        points[..., 3:] = read(cloud["rgb"], seen) * np.float32(1 / 255)
        proprioception = [read(self._file[key], seen) for key in _PROPRIOCEPTION]
        action = [read(self._file[f"action/{key}"], told) for key in _ACTION]
        return {
            "cloud": points,
            "proprioception": _columns(proprioception),
            "action": _columns(action),
        }


_PROPRIOCEPTION = (
    "obs/odom/base_velocity",
    "obs/joint_state/torso/joint_position",
    "obs/joint_state/left_arm/joint_position",
    "obs/gripper_state/left_gripper/gripper_position",
    "obs/joint_state/right_arm/joint_position",
    "obs/gripper_state/right_gripper/gripper_position",
)
_ACTION = ("mobile_base", "torso", "left_arm", "left_gripper", "right_arm", "right_gripper")


def _columns(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([p if p.ndim == 2 else p[:, None] for p in parts], axis=1)


def _write_brs(file: Any, dataset: Dataset, rows: np.ndarray) -> None:
    """Columns, clouds and pictures, step by step, so that memory does not grow with them."""
    ends = np.cumsum([3, 4, 6, 1, 6, 1])
    for keys, column in (
        (_PROPRIOCEPTION, "proprioception"),
        ([f"action/{key}" for key in _ACTION], "action"),
    ):
        for key, part in zip(
            keys, np.split(dataset.column(column)[rows], ends[:-1], axis=1), strict=True
        ):
            file[key] = part[:, 0] if part.shape[1] == 1 else part
    points = dataset.index.features["cloud"].shape[0]
    cloud = file.create_group("obs/point_cloud/fused")
    xyz = cloud.create_dataset("xyz", (len(rows), points, 3), "f4")
    rgb = cloud.create_dataset("rgb", (len(rows), points, 3), "u1")
    cloud["padding_mask"] = np.ones((len(rows), points), bool)
    images = {
        key: file.create_dataset(
            f"obs/rgb/{key.removeprefix('image.')}/img", (len(rows), *feature.shape), "u1"
        )
        for key, feature in dataset.index.features.items()
        if feature.encoding == "jpeg"
    }
    for row, step in enumerate(rows):
        whole = dataset.cloud(int(step))
        xyz[row], rgb[row] = whole[:, :3], np.rint(whole[:, 3:] * 255)
        for key, target in images.items():
            target[row] = dataset.image(key, int(step))
