"""Little episodes with known content, and what is in a rerun recording."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rerun as rr
from mcap_ros2._dynamic import serialize_dynamic

from brs_ml.episode import EpisodeInfo, EpisodeWriter, MessageDefinitions, Topic, share_folders
from brs_ml.episode.folder import make_working_folder, save

ROOT = Path(__file__).resolve().parents[2]
START_NS = 1_700_000_000_000_000_000
# How much later than captured everything is received.
DELAY_NS = 7_000_000
# Interfaces lie in their package's sources as they do in a share folder.
DEFINITIONS = MessageDefinitions(
    [
        *share_folders(os.environ.get("AMENT_PREFIX_PATH", sys.prefix)),
        ROOT / "ros_ws" / "src",
    ]
)


class SampleBag:
    """An episode written message by message with the project's own writer."""

    def __init__(self, root: Path, robot: str = "r1") -> None:
        folder = make_working_folder(root, "sample", 1e9)
        self.writer = EpisodeWriter(folder, EpisodeInfo(task="sample", robot=robot))
        self._encoders: dict[str, Any] = {}

    def put(self, topic: str, kind: str, capture_s: float, fields: Mapping[str, Any]) -> None:
        """A message captured `capture_s` after the start; fields left out are zero or empty."""
        if topic not in self._encoders:
            text = DEFINITIONS.text(kind)
            self._encoders[topic] = serialize_dynamic(kind, text)[kind]
            self.writer.add_topic(Topic(topic, kind, text))
        capture_ns = START_NS + round(capture_s * 1e9)
        header = {"stamp": time_of(capture_ns), **fields.get("header", {})}
        data = self._encoders[topic]({**fields, "header": header})
        self.writer.write(topic, capture_ns + DELAY_NS, capture_ns, data)

    def finish(self) -> Path:
        """The saved episode."""
        self.writer.close(status="saved", success=True)
        return save(self.writer.folder)


def time_of(stamp_ns: int) -> dict[str, int]:
    """builtin_interfaces/Time."""
    return {"sec": stamp_ns // 1_000_000_000, "nanosec": stamp_ns % 1_000_000_000}


def state(offset: float, base: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> dict[str, Any]:
    """A WholeBodyState of R1 whose joints count up from `offset`."""
    return {
        "base_pose": list(base),
        "base_velocity": [0.1, 0.2, 0.3],
        "torso": {"position": [offset + 0.01 * i for i in range(4)]},
        "left_arm": {"position": [offset + 0.02 * i for i in range(6)]},
        "right_arm": {"position": [offset - 0.02 * i for i in range(6)]},
        "left_gripper": 0.25,
        "right_gripper": 1.0,
    }


def image(pixels: np.ndarray, encoding: str, padding: int = 0) -> dict[str, Any]:
    """A sensor_msgs/Image of (H, W[, C]) pixels, each row with so many bytes more."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return {
        "height": height,
        "width": width,
        "encoding": encoding,
        "step": rows.shape[1],
        "data": rows.tobytes(),
    }


def cloud(points: np.ndarray, colors: np.ndarray) -> dict[str, Any]:
    """A sensor_msgs/PointCloud2 in base_link, colours packed in a float as PCL does."""
    packed = colors.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    record = np.zeros(len(points), dtype=[("xyz", "<f4", 3), ("rgb", "<u4")])
    record["xyz"], record["rgb"] = points, packed
    names = ("x", "y", "z", "rgb")
    return {
        "header": {"frame_id": "base_link"},
        "height": 1,
        "width": len(points),
        "fields": [
            {"name": name, "offset": 4 * i, "datatype": 7, "count": 1}
            for i, name in enumerate(names)
        ],
        "point_step": 16,
        "row_step": 16 * len(points),
        "data": record.tobytes(),
    }


class Shown:
    """Content of an .rrd file: entity -> component -> its values, rows in the order of `times`."""

    def __init__(self, path: Path) -> None:
        reader = rr.chunk.RrdReader(path)
        self.blueprints = len(reader.blueprints())
        self.values: dict[str, dict[str, list[Any]]] = {}
        self.times: dict[str, dict[str, dict[str, list[int]]]] = {}
        for chunk in reader.stream(store=reader.recordings()[0]).to_chunks():
            entity = self.values.setdefault(chunk.entity_path, {})
            times = self.times.setdefault(chunk.entity_path, {})
            batch = chunk.to_record_batch()
            lines = {name: batch.column(name).cast("int64") for name in chunk.timeline_names}
            for name in set(batch.schema.names) - set(lines):
                if "RowId" in name:
                    continue
                entity.setdefault(name, []).extend(batch.column(name).to_pylist())
                for line, column in lines.items():
                    kept = times.setdefault(name, {}).setdefault(line, [])
                    kept.extend(column.to_pylist())

    def numbers(self, entity: str) -> np.ndarray:
        """(n, k) scalars of an entity."""
        return np.array(self.values[entity]["Scalars:scalars"])

    def texts(self, entity: str) -> list[str]:
        """Lines of a log."""
        return [row[0] for row in self.values[entity]["TextLog:text"]]

    def states(self, entity: str) -> list[str]:
        """States in their order."""
        return [row[0] for row in self.values[entity]["StateChange:state"]]
