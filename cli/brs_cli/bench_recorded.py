"""A recorded episode as it would be with clouds recorded live: the same, and one cloud a picture.

The clouds are those of a data set built from the episode, each at the stamps of the head camera's
pictures until the next one: what a perception node sends, without the pictures' journey to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from brs_ml.dataset import Dataset
from brs_ml.dataset.messages import stamp_ns
from brs_ml.episode import BagMessage, EpisodeReader, EpisodeWriter, Topic

_KIND = "sensor_msgs/msg/PointCloud2"
_TOPIC = "/perception/cloud"
_PICTURES = "camera/head/color/image_raw"
_FLOAT32 = 7  # of sensor_msgs/PointField
_POINT = np.dtype([("xyz", "<f4", 3), ("bgr", "u1", 3), ("spare", "u1")])

_store = cache(lambda: get_typestore(Stores.ROS2_JAZZY))


def with_clouds(episode: Path, dataset: Dataset, folder: Path) -> Path:
    """Copy an episode, with clouds.

    Args:
        episode: its folder.
        dataset: holds the episode, with clouds.
        folder: a new folder for the copy.
    """
    reader = EpisodeReader(episode)
    folder.mkdir(parents=True)
    cloud = Topic(_TOPIC, _KIND, _store().generate_msgdef(_KIND, ros_version=2)[0])
    writer = EpisodeWriter(folder, reader.info, [*reader.topics.values(), cloud])
    entry = next(each for each in dataset.episodes if each.name == episode.name)
    steps = np.arange(entry.first, entry.first + entry.steps)
    steps = steps[dataset.column("valid")[steps]]
    pictures = reader.topic_named(_PICTURES).name
    for message in _with_each(reader, pictures, dataset, steps):
        writer.write(
            message.topic, message.log_time_ns, message.publish_time_ns, message.data,
            message.sequence,
        )  # fmt: skip
        writer.tick(message.log_time_ns * 1e-9)
    start_ns, stop_ns = reader.span_ns
    writer.close(status="saved", start_ns=start_ns, stop_ns=stop_ns)
    return folder


def _with_each(
    reader: EpisodeReader, pictures: str, dataset: Dataset, steps: np.ndarray
) -> Iterator[BagMessage]:
    ticks = dataset.column("stamp_ns")[steps]
    for message in reader.messages():
        yield message
        if message.topic != pictures:
            continue
        stamp = stamp_ns(message)
        step = steps[max(int(np.searchsorted(ticks, stamp, side="right")) - 1, 0)]
        data = _serialized(dataset.cloud(int(step)), stamp)
        yield message._replace(topic=_TOPIC, type=_KIND, data=data)


def _serialized(cloud: np.ndarray, stamp: int) -> bytes:
    """A PointCloud2 of (n, 6) points, as the perception node packs it."""
    types: Any = _store().types
    rows = np.zeros(len(cloud), _POINT)
    rows["xyz"], rows["bgr"] = cloud[:, :3], np.rint(cloud[:, 5:2:-1] * 255)
    field = types["sensor_msgs/msg/PointField"]
    fields = [field(name, 4 * i, _FLOAT32, 1) for i, name in enumerate(("x", "y", "z", "rgb"))]
    seconds, nanoseconds = divmod(stamp, 10**9)
    time = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    header = types["std_msgs/msg/Header"](stamp=time, frame_id="base_link")
    data = rows.view(np.uint8)
    message = types[_KIND](
        header, 1, len(cloud), fields, False, _POINT.itemsize, len(data), data, True
    )
    return bytes(_store().serialize_cdr(message, _KIND))
