"""A first look at episodes: what they are of, and whether they fit together."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brs_ml.dataset.bag import Bag
from brs_ml.dataset.config import ASKED, BuildConfig
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import check_name
from brs_ml.dataset.messages import Decoder
from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.folder import TRASH, WORKING
from brs_ml.episode.metadata import EpisodeInfo
from brs_ml.episode.timeline import sent_topic

# Rates of one stream that differ by more than this factor are different rates.
_RATE_FACTOR = 1.5
_LARGEST_SIDE = 16_384  # of a picture [px]


@dataclass(frozen=True)
class Probe:
    """What can be told of an episode without reading it all."""

    path: Path
    info: EpisodeInfo
    torn: bool
    rates_hz: dict[str, float]  # stream -> mean rate
    cameras: dict[str, dict[str, Any]]  # camera -> size and intrinsics
    fingerprint: str  # changes when the episode's files do
    recorded_clouds: bool = False

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.path.name


def find_episodes(paths: Iterable[Path]) -> list[Path]:
    """Folders of episodes: those given, and those that lie in a folder given.

    Working folders and the trash are passed over.

    Raises:
        DatasetError: a path holds none, or two episodes have one name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        inside = [path] if any(path.glob("*.mcap")) else sorted(path.glob("*/"))
        here = [
            folder
            for folder in inside
            if folder.name != TRASH
            and not folder.name.endswith(WORKING)
            and any(folder.glob("*.mcap"))
        ]
        if not here:
            raise DatasetError(
                "holds no episode",
                where=str(path),
                remedy="give recorded episodes or their folder",
            )
        for folder in here:
            try:
                other = found.setdefault(check_name(folder.name), folder)
            except ValueError as error:
                raise DatasetError(str(error), where=str(path), remedy="rename it") from None
            if other.resolve() != folder.resolve():
                raise DatasetError(
                    f"has the name of {other}", where=str(folder), remedy="rename one of them"
                )
    return [found[name] for name in sorted(found)]


def probe(path: Path, config: BuildConfig) -> Probe:
    """Look at an episode: summary, episode.json and the first camera_info of each camera.

    Raises:
        EpisodeError: it cannot be read, or a topic is missing.
    """
    try:
        check_name(path.name)
    except ValueError as error:
        raise DatasetError(str(error), where=str(path), remedy="rename it") from None
    for file in path.glob("*.mcap"):
        if not file.is_file():  # a pipe would keep us waiting for ever
            raise DatasetError("is no file", where=str(file), remedy="leave the episode out")
    reader = Bag(path, past_damage=True)
    counts = {topic.name: count for topic, count in reader.counts.items()}
    start_ns, end_ns = reader.span_ns
    seconds = max((end_ns - start_ns) * 1e-9, 1e-9)
    command = config.align.command_topic
    streams = {camera: f"camera/{camera}/color/image_raw" for camera in config.cameras}
    streams["state"] = config.align.state_topic
    names = {stream: reader.topic_named(topic).name for stream, topic in streams.items()}
    # Of who drove a part of the time only there are fewer; the robot node always sends.
    names["command"] = sent_topic(reader) if command == ASKED else reader.topic_named(command).name
    return Probe(
        path=path,
        info=reader.info,
        torn=reader.torn,
        rates_hz={stream: counts[name] / seconds for stream, name in names.items()},
        cameras={camera: _camera(reader, camera) for camera in config.cameras},
        fingerprint=_fingerprint(path),
        recorded_clouds=_has(reader, config.align.cloud_topic),
    )


def _has(reader: Bag, topic: str) -> bool:
    """Whether there are messages of exactly one topic of that name."""
    try:
        return reader.counts[reader.topic_named(topic)] > 0
    except EpisodeError:
        return False


def _camera(reader: Bag, camera: str) -> dict[str, Any]:
    topic = reader.topic_named(f"camera/{camera}/camera_info").name
    decode = Decoder(reader.topics)
    for message in reader.messages([topic]):
        info = decode(message)
        if not (0 < info.height <= _LARGEST_SIDE and 0 < info.width <= _LARGEST_SIDE):
            raise DatasetError(
                f"tells of pictures of {info.width} x {info.height}",
                where=topic,
                remedy="leave the episode out",
            )
        if not (0.0 < info.k[0] < math.inf and 0.0 < info.k[4] < math.inf):
            raise DatasetError(
                "tells of no focal length", where=topic, remedy="leave the episode out"
            )
        return {
            "height": int(info.height),
            "width": int(info.width),
            "frame": str(info.header.frame_id),
            "matrix": np.asarray(info.k, float).round(9).tolist(),
            "distortion": np.asarray(info.d, float).round(9).tolist(),
        }
    raise DatasetError("holds no message", where=topic, remedy="leave the episode out")


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def check_alike(probes: Sequence[Probe], differences: Sequence[str]) -> None:
    """Refuse episodes that do not belong into one data set.

    Args:
        probes: each is compared with the first, its rates with the usual ones.
        differences: of DIFFERENCES, what may differ; robots and picture sizes never may.

    Raises:
        DatasetError: names the episodes and what differs.
    """
    for other in probes:
        _check_pair(probes[0], other, "calibration" in differences)
    if "rates" not in differences and probes:
        _check_rates(probes)


def _check_pair(first: Probe, other: Probe, may_be_calibrated_anew: bool) -> None:
    compared: list[tuple[str, object, object]] = [("robot", other.info.robot, first.info.robot)]
    for camera, known in first.cameras.items():
        found = other.cameras[camera]
        size, known_size = (f"{each['width']} x {each['height']}" for each in (found, known))
        compared.append((f"picture size of {camera}", size, known_size))
        if not may_be_calibrated_anew:
            compared.append((f"calibration of {camera}", found, known))
    for what, found_value, known_value in compared:
        if found_value != known_value:
            allow = what.startswith("calibration")
            raise DatasetError(
                f"its {what} is {found_value}, that of {first.name} is {known_value}",
                where=str(other.path),
                remedy="build separate data sets"
                + (", or allow it with --allow calibration" if allow else ""),
            )


def _check_rates(probes: Sequence[Probe]) -> None:
    for stream in probes[0].rates_hz:
        usual_hz = statistics.median(probe.rates_hz[stream] for probe in probes)
        for probe_ in probes:
            rate_hz = probe_.rates_hz[stream]
            if not usual_hz / _RATE_FACTOR <= rate_hz <= usual_hz * _RATE_FACTOR:
                raise DatasetError(
                    f"{stream} has {rate_hz:.1f} Hz, usual here are {usual_hz:.1f} Hz",
                    where=str(probe_.path),
                    remedy="leave it out, or allow it with --allow rates",
                )


def taken(probe_: Probe, config: BuildConfig) -> str:
    """Why an episode is not for this data set; empty if it is."""
    if probe_.info.success is False and not config.failures:
        return "the task failed"
    if probe_.info.status == "discarded":
        return "it was discarded"
    if config.clouds and not config.fuses and not probe_.recorded_clouds:
        return "it holds no recorded clouds; --clouds fused makes them of the pictures"
    return ""
