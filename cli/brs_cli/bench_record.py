"""What the recorder costs, and whether it loses anything: a robot's full load over real DDS.

Three RGB-D cameras of 640x360 at 30 Hz and six feedback topics at 200 Hz come from a process of
their own (`python -m brs_cli.bench_record`), which numbers its messages by their stamps; so what
is missing shows in the bag, whatever the recorder itself says. Colours and depths are slopes with
the noise of sensors, which compress as badly as real pictures do.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from array import array
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from brs_interfaces.srv import StartEpisode, StopEpisode
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from brs_cli.bench import Figure, figure
from brs_cli.environment import ROOT
from brs_hardware.cameras import Intrinsics
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeReader
from brs_nodes import conversions
from brs_nodes.camera_topics import camera_topics
from brs_nodes.common import SENSOR, make_executor

SECONDS = 20.0
WIDTH, HEIGHT, CAMERA_HZ, JOINT_HZ = 640, 360, 30, 200
TICK_HZ = 600  # a multiple of both
PICTURES = 8  # different ones of each camera
MEGABYTE = 1 << 20


def measure_record(seconds: float) -> list[Figure]:
    """Lost messages, processor time and disk space of 20 s, or less if so little is given."""
    with tempfile.TemporaryDirectory(prefix="brs_bench_") as name:
        feed = subprocess.Popen([sys.executable, "-m", "brs_cli.bench_record"])
        recorder = subprocess.Popen(_recorder(Path(name)))
        try:
            return _recorded(psutil.Process(recorder.pid), min(seconds, SECONDS))
        finally:
            for process in (recorder, feed):
                process.terminate()
            for process in (recorder, feed):
                process.wait(30.0)


def _recorder(folder: Path) -> list[str]:
    program = ROOT / "ros_ws" / "install" / "lib" / "brs_nodes" / "recorder"
    return [str(program), "--ros-args", "-p", f"folder:={folder}"]


def _recorded(recorder: psutil.Process, seconds: float) -> list[Figure]:
    with Asker() as asker:
        asker.wait("the recorder to follow the cameras", asker.is_followed)
        asker.call(StartEpisode, "episode/start", StartEpisode.Request(task="bench"))
        began_s, before = time.monotonic(), recorder.cpu_times()
        time.sleep(seconds)
        wall_s, after = time.monotonic() - began_s, recorder.cpu_times()
        request = StopEpisode.Request(action=StopEpisode.Request.SAVE, task_success=True)
        saved = asker.call(StopEpisode, "episode/stop", request)
    cores = (after.user + after.system - before.user - before.system) / wall_s
    lost, counts = missing(Path(saved.path))
    pictures = [count for topic, count in counts.items() if topic.endswith("color/image_raw")]
    joints = counts[f"/{load_embodiment('r1').torso.feedback_topic}"]
    size = sum(path.stat().st_size for path in Path(saved.path).glob("*.mcap"))
    return [
        figure("record_lost", max(lost, saved.lost), "", "== 0"),
        figure("record_cores", cores, "cores", "<= 0.7"),
        figure("record_messages", saved.messages, ""),
        figure("record_camera_hz", min(pictures) / wall_s, "Hz"),
        figure("record_joint_hz", joints / wall_s, "Hz"),
        figure("record_mb_per_minute", size / MEGABYTE / wall_s * 60.0, "MB"),
    ]


def missing(bag: Path) -> tuple[int, dict[str, int]]:
    """How many numbers a bag lacks between first and last of each topic, and messages by topic."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for message in EpisodeReader(bag).messages():
        # The number is the whole seconds of the stamp, which stands first.
        numbers[message.topic].append(int.from_bytes(message.data[4:8], "little"))
    lost = sum(seen[-1] - seen[0] + 1 - len(seen) for seen in map(sorted, numbers.values()))
    return lost, {topic: len(seen) for topic, seen in numbers.items()}


class Asker:
    """A node that asks the recorder."""

    def __enter__(self) -> Asker:
        rclpy.init(args=[])
        self._node = Node("bench", enable_rosout=False, start_parameter_services=False)
        self._executor = make_executor()
        self._executor.add_node(self._node)
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def is_followed(self) -> bool:
        """Whether every topic of the feed has a subscription."""
        return all(self._node.count_subscribers(topic) for topic in feed_topics())

    def wait(self, what: str, holds: Callable[[], bool], patience_s: float = 60.0) -> None:
        """Spin until something holds. Raises BrsError: it does not in time."""
        end_s = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() > end_s:
                raise BrsError(f"waited {patience_s:g} s for {what}")
            self._executor.spin_once(timeout_sec=0.05)

    def call(self, service: type, name: str, request: Any) -> Any:
        """Call a service and return its answer. Raises BrsError: it refuses or is silent."""
        client: Any = self._node.create_client(service, name)
        self.wait(name, client.service_is_ready)
        future = client.call_async(request)
        self.wait(f"an answer of {name}", future.done)
        answer: Any = future.result()
        if not answer.success:
            raise BrsError(answer.message, where=name)
        return answer


# -- the load -------------------------------------------------------------------------------


def feed_topics() -> dict[str, Any]:
    """Topic -> message type of all that the load consists of."""
    robot = load_embodiment("r1")
    parts: list[Any] = [robot.base, *map(robot.group, robot.GROUPS)]
    parts += map(robot.gripper, robot.GRIPPERS)
    topics: dict[str, Any] = {part.feedback_topic: JointState for part in parts}
    for camera in robot.cameras:
        topics |= {topic: kind for kind, topic in camera_topics(camera, "raw").values()}
    return topics


class Feed:
    """Publishes the load; each message is made once, and only its number changes."""

    def __init__(self, node: Node) -> None:
        random = np.random.default_rng(0)
        self._publishers = {
            topic: node.create_publisher(kind, topic, SENSOR)
            for topic, kind in feed_topics().items()
        }
        self._pictures: dict[str, list[bytearray]] = defaultdict(list)
        for camera in load_embodiment("r1").cameras:
            for _ in range(PICTURES):
                for topic, message in picture(camera, random).items():
                    self._pictures[topic].append(bytearray(serialize_message(message)))
        values = array("d", random.normal(size=7))
        names = [f"joint{number}" for number in range(7)]
        joints = JointState(name=names, position=values, velocity=values, effort=values)
        data = bytearray(serialize_message(joints))
        self._joints = {topic: [data] for topic in self._publishers if topic not in self._pictures}

    def send(self, number: int) -> None:
        """What is due at a tick."""
        if number % (TICK_HZ // JOINT_HZ) == 0:
            self._send(self._joints, number // (TICK_HZ // JOINT_HZ))
        if number % (TICK_HZ // CAMERA_HZ) == 0:
            self._send(self._pictures, number // (TICK_HZ // CAMERA_HZ))

    def _send(self, messages: dict[str, list[bytearray]], number: int) -> None:
        for topic, choices in messages.items():
            data = choices[number % len(choices)]
            data[4:8] = number.to_bytes(4, "little")
            self._publishers[topic].publish(bytes(data))


def picture(camera: str, random: np.random.Generator) -> dict[str, Any]:
    """Topic -> message of one frame of a camera."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    slope = (rows * random.uniform(0.1, 0.3) + columns * random.uniform(0.05, 0.2))[..., None]
    noise = random.normal(0.0, 2.0, (HEIGHT, WIDTH, 3))
    color = np.clip(slope + noise + random.uniform(0, 80, 3), 0, 255).astype(np.uint8)
    depth = 0.6 + rows * 1e-3 + random.normal(0.0, 2e-3, (HEIGHT, WIDTH))
    lens = Intrinsics(WIDTH, HEIGHT, 460.0, 460.0, WIDTH / 2, HEIGHT / 2)
    depth = np.round(depth, 3).astype(np.float32)
    place = (0.0, f"{camera}_camera_optical_frame")
    made = {
        "info": conversions.camera_info(*place, lens),
        "color": conversions.color_image(*place, color),
        "depth": conversions.depth_image(*place, depth),
    }
    topics = camera_topics(camera, "raw")
    return {topics[part][1]: message for part, message in made.items()}


def main() -> None:
    """Publish the load until terminated."""
    rclpy.init(args=[])
    feed = Feed(Node("bench_feed", enable_rosout=False, start_parameter_services=False))
    began_s, number = time.monotonic(), 0
    while rclpy.ok():
        feed.send(number)
        number += 1
        # A late tick is made up for by the next ones, so that no message is left out.
        time.sleep(max(0.0, began_s + number / TICK_HZ - time.monotonic()))


if __name__ == "__main__":
    main()
