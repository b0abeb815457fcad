"""What LeRobotDataset v3.0 is on disk, and how its features and ours are named.

meta/info.json                                  rate, robot, splits, features, counts
meta/stats.json                                 statistics of each feature
meta/tasks.parquet                              task texts (the index) and their numbers
meta/episodes/chunk-000/file-000.parquet        where each episode is, its tasks and statistics
data/chunk-000/file-000.parquet                 numbers and pictures, many episodes a file
videos/<feature>/chunk-000/file-000.mp4         many episodes a file, one after another
meta/brs/...                                    ours alone: what has no place there
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import Feature, check_name, inside

VERSION = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES_PATH = f"meta/episodes/{_FILE}.parquet"
DATA_PATH = f"data/{_FILE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{_FILE}.mp4"
KEPT = "meta/brs/kept.json"
FILES_A_CHUNK = 1000
DATA_FILE_MB = 100
VIDEO_FILE_MB = 200
# Numbers that every frame has.
FRAME_FEATURES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
# LeRobot's policies take what begins with `observation` or `action` as input and output, and its
# statistics what has `image` in its name as pictures: so these of ours have other names there.
_NAMES = {
    "proprioception": "observation.state",
    "action": "action",
    "action_valid": "valid_action",
    "image_age": "picture_age",
}
_OURS = {name: key for key, name in _NAMES.items()}
_PICTURES = "observation.images."
PICTURE_DTYPES = ("image", "video")


@dataclass(frozen=True)
class Info:
    """info.json, as far as it is used."""

    fps: float
    features: Mapping[str, LeRobotFeature]  # without those of every frame
    episodes: int
    frames: int
    robot: str
    splits: Mapping[str, str]


@dataclass(frozen=True)
class LeRobotFeature:
    """One feature of info.json."""

    dtype: str  # image, video, string, or numpy's name
    shape: tuple[int, ...]  # (1,) for one number; of pictures height, width, channels
    names: tuple[str, ...] = ()

    @property
    def picture(self) -> bool:
        """Whether it is one, in a table or a video."""
        return self.dtype in PICTURE_DTYPES

    def to_json(self) -> dict[str, Any]:
        """As info.json has it."""
        names = ["height", "width", "channels"] if self.picture else list(self.names) or None
        return {"dtype": self.dtype, "shape": list(self.shape), "names": names}


def name_of(key: str) -> str:
    """LeRobot's name of a feature of ours."""
    if key.startswith("image."):
        return _PICTURES + key.removeprefix("image.")
    return _NAMES.get(key, key)


def our_name(name: str, feature: LeRobotFeature) -> str:
    """Our name of a feature of LeRobot."""
    if feature.picture:
        return "image." + name.removeprefix(_PICTURES)
    return _OURS.get(name, name)


def feature_of(feature: Feature, dtype: str = "") -> LeRobotFeature:
    """LeRobot's feature for one of ours; `dtype` of pictures is image or video."""
    plain = dtype or np.dtype(feature.dtype).name
    names = feature.names if len(feature.shape) == 1 else ()
    return LeRobotFeature(plain, feature.shape or (1,), names)


def our_feature(feature: LeRobotFeature) -> Feature:
    """Our feature for one of LeRobot's.

    Raises:
        TypeError, ValueError: it is neither numbers nor colour pictures.
    """
    if feature.picture:
        if len(feature.shape) != 3 or feature.shape[2] != 3:
            raise ValueError(f"a picture of {feature.shape}")
        return Feature("|u1", feature.shape, "jpeg")
    shape = () if feature.shape == (1,) and not feature.names else feature.shape
    dtype = np.dtype(feature.dtype).newbyteorder("<")
    if dtype.kind not in "biuf":
        raise ValueError(f"'{feature.dtype}' is no number")
    return Feature(dtype.str, shape, names=feature.names)


def read_info(root: Path) -> Info:
    """info.json, checked.

    Raises:
        DatasetError: it is damaged, of another version, or its names lead elsewhere.
    """
    file = inside(root, INFO)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        version = str(values["codebase_version"])
        if not version.startswith("v3."):
            raise DatasetError(
                f"is LeRobot {version}, this program reads {VERSION}",
                where=str(file),
                remedy="python -m lerobot.datasets.v30.convert_dataset_v21_to_v30",
            )
        paths = (values["data_path"], values.get("video_path") or VIDEO_PATH)
        if paths != (DATA_PATH, VIDEO_PATH):
            raise ValueError(f"files at {paths[0]} and {paths[1]}")
        features = {
            check_name(name): _feature(each)
            for name, each in values["features"].items()
            if name not in FRAME_FEATURES
        }
        info = Info(
            fps=float(values["fps"]),
            features=features,
            episodes=int(values["total_episodes"]),
            frames=int(values["total_frames"]),
            robot=str(values.get("robot_type") or ""),
            splits={str(k): str(v) for k, v in (values.get("splits") or {}).items()},
        )
        if not (0.0 < info.fps < 1e6 and 0 < info.episodes <= info.frames):
            raise ValueError(f"{info.episodes} episodes, {info.frames} frames at {info.fps} Hz")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise damaged(file, error) from None
    return info


def _feature(values: Mapping[str, Any]) -> LeRobotFeature:
    shape = tuple(int(size) for size in values["shape"])
    names = values.get("names") or ()
    if isinstance(names, Mapping):
        # Some have their names by kind, as in {"motors": [..]}.
        names = [name for each in names.values() for name in each]
    feature = LeRobotFeature(str(values["dtype"]), shape, tuple(str(name) for name in names))
    if feature.picture:
        if len(shape) == 3 and shape[0] == 3 != shape[2]:
            shape = (*shape[1:], shape[0])
        return LeRobotFeature(feature.dtype, shape)
    if not shape or min(shape) < 1:
        raise ValueError(f"a shape of {shape}")
    return LeRobotFeature(
        feature.dtype, shape, feature.names if len(feature.names) == shape[-1] else ()
    )


def damaged(file: Path, error: object) -> DatasetError:
    """What to say of a file that is not as it should be."""
    return DatasetError(f"is damaged ({error})", where=str(file), remedy="copy or make it again")


def arrow() -> Any:
    """pyarrow with its Parquet. Raises DatasetError if it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise DatasetError(
            "LeRobot's format needs pyarrow, which is not installed", remedy="pip install brs[ml]"
        ) from None
    return pyarrow
