"""Benchmarks as they lie on disk, when the user has them. Nothing is downloaded.

| name | videos | truth |
|---|---|---|
| avenue | testing_videos/01.avi | ground_truth_demo/testing_label_mask/1_label.mat |
| shanghaitech | testing/frames/01_0014/000.jpg | testing/test_frame_mask/01_0014.npy |
| ubnormal | Scene1/abnormal_scene_1_scenario_1.mp4 | Scene1/(the same)_annotations/*_gt.png |
| cvad | videos/NAME.mp4 or videos/NAME/000.jpg | labels/TYPE/NAME.npy |

`cvad` is the layout of customizable splits: each type of anomaly is a data set of its own, whose
text is the type's name with spaces for underscores. `split_types` makes its labels from spans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brs_ml.anomaly.errors import AnomalyError

_VIDEOS = (".avi", ".mp4", ".mkv", ".mov")
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".bmp")


@dataclass(frozen=True)
class LabelledVideo:
    """A video and what is abnormal in it."""

    name: str
    source: Path  # a video file, or a folder of pictures
    truth: np.ndarray  # (n,) bool for each frame

    def frames(self) -> Iterator[np.ndarray | None]:
        """(h, w, 3) uint8 RGB each; None for one that cannot be decoded."""
        return frames_of(self.source)


def frames_of(source: Path) -> Iterator[np.ndarray | None]:
    """Frames of a video file or of a folder of pictures in the order of their names.

    Raises:
        AnomalyError: it is neither, or not one frame can be read.
    """
    if source.is_dir():
        yield from _pictures(source)
    elif source.is_file():
        yield from (frame for frame, _ in timed_video(source))
    else:
        raise AnomalyError("no such video", where=str(source), remedy="give a file or a folder")


def load_dataset(name: str, root: str | Path) -> list[LabelledVideo]:
    """Test videos of a benchmark; see the module for its layout.

    Args:
        name: avenue, shanghaitech or ubnormal.
        root: its folder.

    Raises:
        AnomalyError: unknown name, or a file is missing or damaged.
    """
    if name not in _LOADERS:
        raise AnomalyError(f"unknown data set '{name}'", remedy=f"one of {', '.join(_LOADERS)}")
    root = Path(root)
    videos = _LOADERS[name](root)
    if not videos:
        raise AnomalyError(
            f"no videos of {name}", where=str(root), remedy="see the layout in the documentation"
        )
    return videos


def load_cvad(root: str | Path) -> dict[str, list[LabelledVideo]]:
    """Customizable splits: text -> videos with the truth of that text alone.

    Raises:
        AnomalyError: a file is missing or damaged.
    """
    root = Path(root)
    sources = {path.stem: path for path in _sources(root / "videos")}
    splits: dict[str, list[LabelledVideo]] = {}
    for folder in sorted(path for path in (root / "labels").glob("*") if path.is_dir()):
        for label in sorted(folder.glob("*.npy")):
            if label.stem not in sources:
                raise AnomalyError(
                    f"no video '{label.stem}'", where=str(root / "videos"), remedy="add it"
                )
            video = LabelledVideo(label.stem, sources[label.stem], _array(label))
            splits.setdefault(folder.name.replace("_", " "), []).append(video)
    if not splits:
        raise AnomalyError("no labels", where=str(root / "labels"), remedy="see split_types")
    return splits


def split_types(
    spans: Mapping[str, Mapping[str, list[tuple[int, int]]]], lengths: Mapping[str, int]
) -> dict[str, dict[str, np.ndarray]]:
    """Labels of customizable splits from spans of each type of anomaly.

    Args:
        spans: video -> type -> (first frame, one past the last) of each time it happens.
        lengths: video -> number of frames.

    Returns:
        type -> video -> (n,) bool. Every video is in every type: there, other types are normal.

    Raises:
        AnomalyError: a span is empty, or goes beyond its video.
    """
    types = sorted({kind for of_video in spans.values() for kind in of_video})
    labels: dict[str, dict[str, np.ndarray]] = {}
    for kind in types:
        for video, length in lengths.items():
            truth = np.zeros(length, bool)
            for begin, end in spans.get(video, {}).get(kind, []):
                if not 0 <= begin < end <= length:
                    raise AnomalyError(
                        f"{kind} from {begin} to {end} of {length} frames",
                        where=video,
                        remedy="correct the span",
                    )
                truth[begin:end] = True
            labels.setdefault(kind, {})[video] = truth
    return labels


def write_labels(labels: Mapping[str, Mapping[str, np.ndarray]], root: Path) -> None:
    """Write `split_types`' labels as `load_cvad` reads them."""
    for kind, videos in labels.items():
        folder = root / "labels" / kind.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        for video, truth in videos.items():
            np.save(folder / f"{video}.npy", truth)


def _avenue(root: Path) -> list[LabelledVideo]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    videos = []
    for path in _sources(root / "testing_videos"):
        number = path.stem.lstrip("0")
        label = root / "ground_truth_demo" / "testing_label_mask" / f"{number}_label.mat"
        try:
            masks = loadmat(str(label))["volLabel"].ravel()
        except (OSError, KeyError, ValueError, TypeError, MatReadError) as error:
            raise _unreadable(label, error) from None
        truth = np.array([bool(np.any(mask)) for mask in masks])
        videos.append(LabelledVideo(path.stem, path, truth))
    return videos


def _shanghaitech(root: Path) -> list[LabelledVideo]:
    testing = root / "testing"
    return [
        LabelledVideo(path.stem, path, _array(testing / "test_frame_mask" / f"{path.stem}.npy"))
        for path in _sources(testing / "frames")
    ]


def _ubnormal(root: Path) -> list[LabelledVideo]:
    """Masks of abnormal videos are pictures, one a frame, zero where all is normal."""
    videos = []
    for path in sorted(root.glob("Scene*/*")):
        if path.suffix not in _VIDEOS:
            continue
        folder = path.with_name(f"{path.stem}_annotations")
        masks = sorted(folder.glob("*_gt.png"))
        truth = np.zeros(0, bool)
        if masks:
            truth = np.array([_any_marked(mask) for mask in masks])
        elif path.stem.startswith("normal"):
            truth = np.zeros(sum(1 for _ in timed_video(path)), bool)
        else:
            raise _unreadable(folder, FileNotFoundError("no masks"))
        videos.append(LabelledVideo(path.stem, path, truth))
    return videos


def _any_marked(mask: Path) -> bool:
    import cv2

    values = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
    if values is None:
        raise _unreadable(mask, ValueError("no picture"))
    return bool(values.any())


_LOADERS: dict[str, Callable[[Path], list[LabelledVideo]]] = {
    "avenue": _avenue,
    "shanghaitech": _shanghaitech,
    "ubnormal": _ubnormal,
}


def _sources(folder: Path) -> list[Path]:
    """Video files and folders of pictures."""
    if not folder.is_dir():
        raise AnomalyError("no such folder", where=str(folder), remedy="see the layout")
    return sorted(p for p in folder.iterdir() if p.is_dir() or p.suffix.lower() in _VIDEOS)


def _array(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if values.ndim != 1 or not np.isin(values, (0, 1)).all():
        raise _unreadable(path, ValueError("needs zeros and ones, one a frame"))
    return values.astype(bool)


def _unreadable(path: Path, error: Exception) -> AnomalyError:
    reason = " ".join(str(error).split())[:200]
    return AnomalyError(f"cannot be read: {reason}", where=str(path), remedy="see the layout")


def _pictures(folder: Path) -> Iterator[np.ndarray | None]:
    import cv2

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
    if not paths:
        raise AnomalyError("no pictures", where=str(folder), remedy="see the layout")
    for path in paths:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        yield None if picture is None else np.ascontiguousarray(picture[..., ::-1])


def timed_video(path: Path) -> Iterator[tuple[np.ndarray | None, float]]:
    """Frames of a video file with their times [s]; raises like `frames_of`."""
    import av

    try:
        with av.open(str(path)) as container:
            rate_hz = float(container.streams.video[0].average_rate or 25.0)
            for i, frame in enumerate(container.decode(video=0)):
                time_s = i / rate_hz if frame.time is None else float(frame.time)
                yield frame.to_ndarray(format="rgb24"), time_s
    except (av.FFmpegError, IndexError, OSError) as error:
        raise _unreadable(path, error) from None
