"""Pictures of an episode: what the head camera saw, the scene from outside, joints over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_ml.episode import EpisodeReader
from brs_nodes import conversions
from brs_sim.cameras import CameraRenderer
from brs_sim.playback import posed
from brs_sim.tasks.registry import Pose
from brs_sim.world import World

THIRD_PERSON_SIZE = (640, 480)
THIRD_PERSON_HZ = 10.0


def draw_episode(
    bag: Path, task: str, seed: int, out: Path, say: Callable[[str], None]
) -> dict[str, str]:
    """Make videos and plots of an episode in `out`; returns name -> file name."""
    reader = EpisodeReader(bag)
    robot = load_embodiment("r1")
    say("what the head camera saw")
    write_video(out / "head.mp4", head_frames(reader), 15)
    say("the scene from outside")
    shots: list[np.ndarray] = []
    write_video(
        out / "third_person.mp4",
        third_person_frames(reader, robot, task, seed, shots),
        round(THIRD_PERSON_HZ),
    )
    say("joints over time")
    plot_joints(reader, robot, out / "joints.png")
    contact_sheet(shots, out / "overview.png")
    return {
        "head": "head.mp4",
        "third person": "third_person.mp4",
        "joints": "joints.png",
        "overview": "overview.png",
    }


def write_video(path: Path, frames: Iterator[np.ndarray], rate_hz: int) -> None:
    """H.264 in MP4 from (H, W, 3) uint8 frames."""
    with av.open(str(path), "w") as container:
        stream: Any = None
        for frame in frames:
            if stream is None:
                stream = container.add_stream("h264", rate=Fraction(rate_hz))
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": "26", "preset": "veryfast"}
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        if stream is not None:
            for packet in stream.encode():
                container.mux(packet)


def head_frames(reader: EpisodeReader) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 frames of the head camera as recorded."""
    topic = reader.topic_named("camera/head/color/image_raw")
    for _, message in reader.decoded([topic.name]):
        yield np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def third_person_frames(
    reader: EpisodeReader, robot: Embodiment, task: str, seed: int, shots: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """The scene drawn anew from recorded measurements; every 50th also goes to `shots`."""
    world = World(robot, task, seed)
    state_topic = reader.topic_named("robot/state").name
    objects_topic = reader.topic_named("sim/objects").name
    objects: dict[str, Pose] = {}
    next_s = -np.inf
    count = 0
    with CameraRenderer(world) as renderer:
        for message, content in reader.decoded([state_topic, objects_topic]):
            if message.topic == objects_topic:
                objects = {marker.ns: _pose(marker.pose) for marker in content.markers}
                continue
            stamp_s = conversions.to_seconds(content.header.stamp)
            if stamp_s < next_s:
                continue
            next_s = max(next_s, stamp_s - 1.0) + 1.0 / THIRD_PERSON_HZ
            snapshot = posed(world, conversions.state_from_message(content), objects)
            frame = renderer.render_third_person(snapshot, *THIRD_PERSON_SIZE)
            if count % 50 == 0:
                shots.append(frame)
            count += 1
            yield frame


def plot_joints(reader: EpisodeReader, robot: Embodiment, path: Path) -> None:
    """Commanded against measured joints, one panel a group, and the base's velocity."""
    commands: dict[str, list[Any]] = {name: [] for name in (*robot.GROUPS, "base", "gripper", "t")}
    states: dict[str, list[Any]] = {name: [] for name in (*robot.GROUPS, "base", "gripper", "t")}
    command_topic = reader.topic_named("teleop/command").name
    state_topic = reader.topic_named("robot/state").name
    for message, content in reader.decoded([command_topic, state_topic]):
        into = commands if message.topic == command_topic else states
        into["t"].append(conversions.to_seconds(content.header.stamp))
        into["base"].append(np.array(content.base_velocity))
        into["gripper"].append((content.left_gripper, content.right_gripper))
        for name in robot.GROUPS:
            group = getattr(content, name)
            into[name].append(np.array(group if into is commands else group.position))
    start_s = min(commands["t"][0], states["t"][0])
    figure, axes = plt.subplots(5, 1, figsize=(10, 12), sharex=True, constrained_layout=True)
    titles = {
        "torso": "torso [rad]",
        "left_arm": "left arm [rad]",
        "right_arm": "right arm [rad]",
        "base": "base vx, vy [m/s], wz [rad/s]",
        "gripper": "grippers, 0 open, 1 closed",
    }
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        wanted, measured = np.array(commands[name]), np.array(states[name])
        for joint in range(wanted.shape[1]):
            color = f"C{joint}"
            axis.plot(np.array(states["t"]) - start_s, measured[:, joint], color=color, lw=1.2)
            axis.plot(
                np.array(commands["t"]) - start_s, wanted[:, joint], color=color, lw=0.8, ls=":"
            )
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
    axes[0].set_title("measured (solid) and commanded (dotted)")
    axes[-1].set_xlabel("time [s]")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def contact_sheet(shots: list[np.ndarray], path: Path, columns: int = 4, rows: int = 2) -> None:
    """A few moments of the episode in one picture, each (H, W, 3) uint8."""
    chosen = [shots[i] for i in np.linspace(0, len(shots) - 1, columns * rows).astype(int)]
    sheet = np.concatenate(
        [np.concatenate(chosen[r * columns : (r + 1) * columns], axis=1) for r in range(rows)]
    )
    picture = Image.fromarray(sheet)
    picture.thumbnail((1280, 1280))
    picture.save(path)


def _pose(pose: Any) -> Pose:
    point, turn = pose.position, pose.orientation
    return np.array([point.x, point.y, point.z]), np.array([turn.w, turn.x, turn.y, turn.z])
