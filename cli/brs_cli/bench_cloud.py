"""From a camera's shutter to a cloud in another process, and pictures between processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import psutil
import rclpy
from brs_interfaces.msg import CloudState
from rclpy.node import Node
from sensor_msgs.msg import Image, PointCloud2

from brs_cli.bench import Figure, figure
from brs_cli.session import Session
from brs_hardware.embodiment import load_embodiment
from brs_launch.runner import Launch
from brs_nodes.common import LATCHED, SENSOR, make_executor
from brs_nodes.conversions import color_image, to_seconds

CAMERA_HZ = 15.0
START_S = 90.0  # kernels are compiled at the very first start
WIDTH, HEIGHT, IMAGE_HZ = 1280, 720, 30.0
TOPIC = "bench/image_raw"
WARM_UP = "warm-up"


def measure_cloud(seconds: float) -> list[Figure]:
    """Large pictures between two processes alone; then clouds while the simulator runs."""
    # In this order: Fast DDS reads its profile once a process; a session's has no shared memory.
    delivery = measure_delivery(min(seconds, 20.0))
    return measure_latency(seconds) + delivery


def measure_latency(seconds: float) -> list[Figure]:
    """Simulator and perception run; this process receives the clouds."""
    cameras = len(load_embodiment("r1").cameras)
    latency_ms: list[float] = []
    states: list[CloudState] = []

    def receive(message: PointCloud2) -> None:
        latency_ms.append(1e3 * (time.time() - to_seconds(message.header.stamp)))

    def whole() -> bool:
        return bool(states) and len(states[-1].cameras) == cameras

    perception = Launch("perception.launch.py", {"cloud": "shelves"}, lambda *_: None)
    with Session("sim.launch.py", {"camera_hz": str(CAMERA_HZ)}) as session, perception:
        session.node.create_subscription(PointCloud2, "perception/cloud", receive, SENSOR)
        session.node.create_subscription(CloudState, "perception/state", states.append, LATCHED)
        session.wait("clouds of all cameras", whole, START_S)
        session.spin(2.0)
        latency_ms.clear()
        states.clear()
        (pid,) = perception.running.values()
        process = psutil.Process(pid)
        process.cpu_percent()
        session.spin(seconds)
        cpu = process.cpu_percent() / 100.0
    whole_pct = 100.0 * float(np.mean([len(state.cameras) == cameras for state in states]))
    return [
        figure("cloud_latency_p50_ms", np.percentile(latency_ms, 50), "ms"),
        figure("cloud_latency_p95_ms", np.percentile(latency_ms, 95), "ms", "<= 60"),
        figure("cloud_hz", len(latency_ms) / seconds, "Hz"),
        figure("cloud_whole_pct", whole_pct, "%"),
        figure("cloud_fusion_ms", 1e3 * np.median([s.fusion_s for s in states]), "ms"),
        figure("perception_cpu", cpu, "cores"),
    ]


def measure_delivery(seconds: float) -> list[Figure]:
    """Pictures of 1280x720 rgb8 at 30 Hz, sensor QoS, with the DDS profile that brs ships."""
    rclpy.init()
    node = Node("bench_reader")
    got: set[str] = set()
    node.create_subscription(
        Image, TOPIC, lambda message: got.add(message.header.frame_id), SENSOR
    )
    executor = make_executor()
    executor.add_node(node)
    writer = subprocess.Popen(
        [sys.executable, "-m", "brs_cli.bench_cloud", str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    while writer.poll() is None:
        executor.spin_once(timeout_sec=0.05)
    end_s = time.monotonic() + 0.5
    while time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()
    sent = json.loads(writer.communicate()[0].splitlines()[-1])
    return [
        figure("image_delivery_pct", 100.0 * len(got - {WARM_UP}) / sent["count"], "%", ">= 100"),
        figure("image_publish_ms", sent["publish_ms"], "ms"),
    ]


def write(seconds: float) -> dict[str, float]:
    """Publish numbered pictures once there is a reader; how many, and what one took.

    Those of the first second are not numbered: the reader maps the writer's memory then.
    """
    rclpy.init()
    node = Node("bench_writer")
    publisher = node.create_publisher(Image, TOPIC, SENSOR)
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    while not publisher.get_subscription_count():
        time.sleep(0.05)
    taken_ms: list[float] = []
    due_s = time.monotonic()
    for number in range(-round(IMAGE_HZ), round(seconds * IMAGE_HZ)):
        message = color_image(time.time(), WARM_UP if number < 0 else str(number), pixels)
        began_s = time.perf_counter()
        publisher.publish(message)
        taken_ms.append(1e3 * (time.perf_counter() - began_s))
        due_s += 1.0 / IMAGE_HZ
        time.sleep(max(0.0, due_s - time.monotonic()))
    time.sleep(0.5)  # before the memory that the last ones lie in goes away
    return {"count": round(seconds * IMAGE_HZ), "publish_ms": float(np.median(taken_ms))}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(write(float(sys.argv[1]))) + "\n")
