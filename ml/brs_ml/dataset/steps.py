"""One recorded episode to steps of equal length, read once from its start to its end.

    messages, in the order of reception
      state, commands  ->  kept (a few MB)  ------------------------------> columns, at the end
      pictures         ->  wait until a tick is settled, then the newest one at or before it
                           is written, with the cloud made of all of them; then forgotten

A tick is settled once the recorder's clock is `max_lateness_s` past it, so memory does not grow
with the length of an episode. Rules, all by capture stamps:

    proprioception   linear between the samples around the tick
    action           of the commands of who drove at the tick, or of one topic throughout:
    action, joints   the command in force at the tick (plus `joint_action_phase` of a step)
    action, base     mean over the step of the velocity commanded: the way driven is kept
    pictures         the newest at or before the tick, not older than `max_image_age_s`
    cloud, fused     of the pictures' colour and depth, the robot's joints at their stamps
    cloud, recorded  the newest at or before the tick, not older than `max_cloud_age_s`

A step for which one of these is not known, in which nobody drove or in which recording was paused
is not valid. Its action may be, but not in a pause: a picture that is missing hides no action from
the windows before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brs_ml.dataset import align
from brs_ml.dataset.bag import Bag
from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.config import ASKED, BuildConfig
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.frames import CloudMaker, Frame, FrameQueue
from brs_ml.dataset.images import pack_image
from brs_ml.dataset.layout import POSITION_PARTS, RobotLayout
from brs_ml.dataset.messages import Decoder, cloud_of, color_of, depth_of, stamp_ns
from brs_ml.dataset.samples import SampleReader
from brs_ml.dataset.streams import NOBODY, Stream, drivers_at, drives_at, paused_at
from brs_ml.dataset.writer import PartWriter
from brs_ml.episode.reader import BagMessage
from brs_ml.episode.timeline import asked_topics, sent_topic

_LONGEST_S = 86_400.0
_CLOUD_FRAME = "base_link"
_APART_S = 5.0  # stamps and the recorder's clock, at most, if they are of one clock


@dataclass(frozen=True)
class Aligned:
    """What is left of an episode beside its blobs."""

    columns: dict[str, np.ndarray]
    ticks_ns: np.ndarray  # (steps,) names of the steps in the blobs
    report: dict[str, Any]  # counts of what was missing, late or repeated


class EpisodeSteps:
    """See the module.

    Args:
        reader: the episode.
        layout: the robot.
        config: the data set's settings.
        make_cloud: makes clouds, if the settings want them.
        writer: takes pictures and clouds, each under the time of its tick.

    Raises:
        EpisodeError: a topic is missing.
    """

    def __init__(
        self,
        reader: Bag,
        layout: RobotLayout,
        config: BuildConfig,
        make_cloud: CloudMaker | None,
        writer: PartWriter,
    ) -> None:
        self._reader, self._layout, self._config = reader, layout, config
        self._make_cloud, self._writer = make_cloud, writer
        self._decode = Decoder(reader.topics)
        fields = ("base_velocity", *POSITION_PARTS)
        self._state = Stream(
            SampleReader(
                self._decode,
                (*fields, "base_pose"),
                lambda message: np.concatenate([layout.vector(message), message.base_pose]),
            ),
            angle=layout.size + 2,
        )
        self._asked, self._sent = self._command_topics()
        self._commands = {
            topic: Stream(SampleReader(self._decode, fields, layout.vector))
            for topic in (*self._asked.values(), self._sent)
        }
        self._cameras = config.cameras
        self._queues = {camera: FrameQueue(config.fuses) for camera in self._cameras}
        # Recorded clouds wait as colours do that have no depth.
        self._clouds = FrameQueue(False) if config.clouds and not config.fuses else None
        self._topics = self._wanted()
        if config.clouds:
            self._codec = CloudCodec(config.cloud_lower, config.cloud_upper, config.cloud_level)
        info = reader.info
        self._drivers, self._pauses = info.drivers, info.pauses
        # Stamps [ns] of each camera's picture and of the recorded cloud; -1: none.
        self._chosen: list[list[int]] = []
        self._newest_settled_ns = -1
        self._late = 0

    def run(self) -> Aligned:
        """Read, write blobs, return the columns.

        Raises:
            EpisodeError: the bag is damaged, its clock jumped, or no step of it is complete.
        """
        ticks = self._ticks()
        lateness_ns = round(self._config.align.max_lateness_s * 1e9)
        settled = 0
        for message in self._reader.messages(self._topics):
            while settled < len(ticks) and ticks[settled] + lateness_ns < message.log_time_ns:
                self._settle(int(ticks[settled]))
                settled += 1
            self._take(message)
        for tick in ticks[settled:]:
            self._settle(int(tick))
        return self._finish(ticks)

    def _command_topics(self) -> tuple[dict[str, str], str]:
        """Topics of commands by who drove, and the one of all others."""
        if (topic := self._config.align.command_topic) == ASKED:
            return asked_topics(self._reader), sent_topic(self._reader)
        return {}, self._reader.topic_named(topic).name

    def _wanted(self) -> dict[str, tuple[str, str]]:
        """Topic -> what it is and of which camera."""
        align_config, topic = self._config.align, self._reader.topic_named
        topics = dict.fromkeys(self._commands, ("command", ""))
        topics[topic(align_config.state_topic).name] = ("state", "")
        for camera in self._cameras:
            topics[topic(f"camera/{camera}/color/image_raw").name] = ("color", camera)
            if self._config.fuses:
                topics[topic(f"camera/{camera}/depth/image_raw").name] = ("depth", camera)
                topics[topic(f"camera/{camera}/camera_info").name] = ("info", camera)
        if self._clouds is not None:
            topics[topic(align_config.cloud_topic).name] = ("cloud", "")
        return topics

    def _ticks(self) -> np.ndarray:
        start_ns, end_ns = self._reader.span_ns
        if end_ns - start_ns > _LONGEST_S * 1e9:
            raise DatasetError(
                f"lasts {(end_ns - start_ns) * 1e-9 / 3600:.0f} h: its clock jumped",
                where=str(self._reader.path),
                remedy="leave the episode out, or record it on a steady clock",
            )
        return align.ticks_ns(start_ns, end_ns, self._config.align.rate_hz)

    def _take(self, message: BagMessage) -> None:
        kind, camera = self._topics[message.topic]
        if kind in ("state", "command"):
            stream = self._state if kind == "state" else self._commands[message.topic]
            stream.add(self._stamp(message), message)
        elif kind == "info":
            if self._queues[camera].info is None:
                self._queues[camera].info = self._decode(message)
        else:
            queue = self._clouds if kind == "cloud" else self._queues[camera]
            assert queue is not None
            stamp = self._stamp(message)
            self._late += stamp <= self._newest_settled_ns
            (queue.depths if kind == "depth" else queue.colors)[stamp] = message

    def _stamp(self, message: BagMessage) -> int:
        stamp = stamp_ns(message)
        if abs(apart_ns := stamp - message.log_time_ns) > _APART_S * 1e9:
            raise DatasetError(
                f"a stamp is {apart_ns * 1e-9:.1f} s from the recorder's clock",
                where=message.topic,
                remedy="leave the episode out, or record it on a steady clock",
            )
        return stamp

    def _settle(self, tick_ns: int) -> None:
        """Choose the pictures and the cloud of a tick and write what is made of them."""
        self._newest_settled_ns = tick_ns
        ages_s = [(queue, self._config.align.max_image_age_s) for queue in self._queues.values()]
        if self._clouds is not None:
            ages_s.append((self._clouds, self._config.align.max_cloud_age_s))
        chosen = [queue.newest(tick_ns, tick_ns - round(age * 1e9)) for queue, age in ages_s]
        complete = all(stamp is not None for stamp in chosen)
        complete = complete and bool(self._is_driven(np.array([tick_ns]))[0])
        if complete and self._config.fuses:
            complete = all(queue.info is not None for queue in self._queues.values())
        if complete and chosen:
            complete = self._write(tick_ns, [int(stamp) for stamp in chosen if stamp is not None])
        self._chosen.append([-1 if s is None or not complete else s for s in chosen])

    def _write(self, tick_ns: int, stamps_ns: Sequence[int]) -> bool:
        """False if the robot's posture at one of the pictures is not known, or no point seen."""
        frames = []
        if self._clouds is not None and not self._write_recorded(tick_ns, stamps_ns[-1]):
            return False
        for (camera, queue), stamp in zip(self._queues.items(), stamps_ns, strict=False):
            color = color_of(self._decode(queue.colors[stamp]), queue.colors[stamp].topic)
            if self._config.fuses:
                posture = self._posture(stamp)
                if posture is None:
                    return False
                depth = depth_of(self._decode(queue.depths[stamp]), queue.depths[stamp].topic)
                matrix = np.asarray(queue.info.k, np.float64).reshape(3, 3)
                distortion = tuple(float(value) for value in queue.info.d)
                frames.append(Frame(camera, stamp, color, depth, matrix, distortion, *posture))
            if self._config.images:
                self._add_image(f"image.{camera}", tick_ns, color)
        if self._make_cloud is not None and frames:
            points, colors = self._make_cloud(frames)
            self._writer.add("cloud", tick_ns, self._codec.pack(points, colors))
        return True

    def _write_recorded(self, tick_ns: int, stamp_ns: int) -> bool:
        """Write a recorded cloud as far as it is within the box; False if none of it is."""
        assert self._clouds is not None
        message = self._clouds.colors[stamp_ns]
        points, colors = cloud_of(self._decode(message), _CLOUD_FRAME, message.topic)
        lower, upper = self._config.cloud_lower, self._config.cloud_upper
        inside = ((points >= lower) & (points <= upper)).all(axis=1)
        if inside.any():
            self._writer.add("cloud", tick_ns, self._codec.pack(points[inside], colors[inside]))
        return bool(inside.any())

    def _add_image(self, feature: str, tick_ns: int, color: np.ndarray) -> None:
        told = self._writer.features[feature].shape
        if color.shape != told:
            raise DatasetError(
                f"a picture is {color.shape[1]} x {color.shape[0]}, camera_info tells of "
                f"{told[1]} x {told[0]}",
                where=feature,
                remedy="leave the episode out",
            )
        self._writer.add(feature, tick_ns, pack_image(color, self._config.jpeg_quality))

    def _posture(self, time_ns: int) -> tuple[dict[str, np.ndarray], np.ndarray] | None:
        """Joints by group, closing of the grippers, and the base's pose at a moment."""
        max_gap_ns = round(self._config.align.max_state_gap_s * 1e9)
        value = self._state.between(time_ns, max_gap_ns)
        if value is None:
            return None
        parts = ("torso", "left_arm", "right_arm", "left_gripper", "right_gripper")
        return {part: value[self._layout.slice_of(part)] for part in parts}, value[-3:]

    def _is_driven(self, ticks_ns: np.ndarray) -> np.ndarray:
        """(n,) bool, whether somebody drove in each step, and it was recorded."""
        period_ns = align.period_ns(self._config.align.rate_hz)
        paused = paused_at(self._pauses, ticks_ns, period_ns)
        return np.asarray((drivers_at(self._drivers, ticks_ns) != NOBODY) & ~paused)

    def _finish(self, ticks: np.ndarray) -> Aligned:
        proprioception, measured = self._proprioception(ticks)
        action, commanded = self._action(ticks)
        driver = drivers_at(self._drivers, ticks)
        count = len(self._cameras) + (self._clouds is not None)
        stamps = np.array(self._chosen, np.int64).reshape(len(ticks), count)
        seen = (stamps >= 0).all(axis=1)
        commanded &= self._is_driven(ticks)
        valid = measured & commanded & seen
        missing = {
            "proprioception": int((~measured).sum()),
            "action or driver": int((~commanded).sum()),
            "pictures" if self._clouds is None else "pictures or clouds": int((~seen).sum()),
        }
        damaged = self._reader.damaged_chunks
        if not valid.any():
            raise DatasetError(
                f"no step of {len(ticks)} is complete; without "
                + ", ".join(f"{name}: {count}" for name, count in missing.items())
                + (f"; {damaged} chunks are damaged" if damaged else ""),
                where=str(self._reader.path),
                remedy="check what was recorded, or how old samples may be",
            )
        kept = np.flatnonzero(valid)
        kept = np.arange(kept[0], kept[-1] + 1)
        columns = {
            "proprioception": proprioception[kept],
            "action": action[kept],
            "valid": valid[kept],
            "action_valid": commanded[kept],
            "driver": driver[kept],
            "stamp_ns": ticks[kept],
        }
        age = np.where(stamps >= 0, (ticks[:, None] - stamps) * 1e-9, np.nan)[kept]
        if self._cameras:
            columns["image_age"] = age[:, : len(self._cameras)]
        if self._clouds is not None:
            columns["cloud_age"] = age[:, -1]
        stamps = stamps[:, : len(self._cameras)]
        repeated = (np.diff(stamps[kept], axis=0) == 0) & (stamps[kept][1:] >= 0)
        report = {
            "ticks": len(ticks),
            "missing": missing,
            "repeated_pictures": int(repeated.sum()),
            "late_pictures": self._late,
            "damaged_chunks": damaged,
            "clouds": self._config.cloud_source if self._config.clouds else "none",
        }
        return Aligned(columns, ticks[kept], report)

    def _proprioception(self, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = self._layout.size
        stamps, values = self._state.arrays(size + 3, self._config.align.state_topic)
        max_gap_ns = round(self._config.align.max_state_gap_s * 1e9)
        return align.interpolated(stamps, values[:, :size], ticks, max_gap_ns)

    def _action(self, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        action, valid = self._commanded(self._sent, ticks)
        for source, topic in self._asked.items():
            asked, known = self._commanded(topic, ticks)
            drove = drives_at(self._drivers, source, ticks)
            action[drove], valid[drove] = asked[drove], known[drove]
        return action, valid

    def _commanded(self, topic: str, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        config = self._config.align
        stamps, values = self._commands[topic].arrays(self._layout.size, topic)
        period, max_age_ns = align.period_ns(config.rate_hz), round(config.max_command_age_s * 1e9)
        times = ticks + round(config.joint_action_phase * period)
        action, valid = align.in_force(stamps, values, times, max_age_ns)
        base = self._layout.slice_of("base")
        action[:, base], base_valid = align.held_mean(
            stamps, values[:, base], ticks, ticks + period, max_age_ns
        )
        valid &= base_valid
        action[~valid] = np.nan
        return action, valid
