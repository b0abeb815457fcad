"""Poor pictures go on, and /diagnostics says what is wrong with them."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import Harness
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import Image

from brs_hardware.cameras import CameraFrame, Intrinsics
from brs_hardware.cameras.folder import FolderWriter

SIZE = (96, 128)


def test_a_covered_camera_is_told(ros: Harness, tmp_path: Path) -> None:
    random, writer = np.random.default_rng(0), FolderWriter(tmp_path / "recording")
    pinhole = Intrinsics(SIZE[1], SIZE[0], 90.0, 90.0, 63.5, 47.5)
    depth = np.ones(SIZE, np.float32)
    for i in range(10):
        color = random.integers(0, 4, (*SIZE, 3), dtype=np.uint8)
        writer.write(CameraFrame(i / 15, color, depth, pinhole, i))
    camera = {
        "driver": "folder",
        "source": str(tmp_path / "recording"),
        "loop": True,
        "width": SIZE[1],
        "height": SIZE[0],
        "fps": 15,
        "depth_range": [0.2, 3.0],
    }
    rig = tmp_path / "rig.yaml"
    rig.write_text(yaml.safe_dump({"cameras": {"head": camera}}))
    node = ros.start_node("perception", {"cameras": str(rig), "fuse": False})
    colors = ros.collect(Image, "camera/head/color/image_raw", SENSOR)
    health = ros.collect(DiagnosticArray, "/diagnostics")
    told = "head: is dark: 100% of its pixels are black"
    ros.wait_for(lambda: health and told in health[-1].status[0].message, "the warning")
    assert health[-1].status[0].level == b"\x01", "a person should look, and pictures go on"
    before = len(colors)
    ros.wait_for(lambda: len(colors) > before + 3, "more pictures")
    assert node.stop(signal.SIGINT) == 0
