"""The perception node as a camera server: a recording goes out, also after it was away."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from harness import Harness
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState, PointCloud2

from brs_hardware.cameras import CameraFrame, Intrinsics
from brs_hardware.cameras.folder import FolderWriter
from brs_hardware.cameras.pictures import color_of, depth_of
from brs_hardware.embodiment import load_embodiment
from brs_nodes import conversions

SIZE = (48, 64)
PINHOLE = Intrinsics(SIZE[1], SIZE[0], 50.0, 51.0, 31.5, 23.5, (0.1, 0.0, 0.0, 0.0, 0.0))


def record(folder: Path) -> list[CameraFrame]:
    """Ten frames, each all of one colour and one depth."""
    writer, frames = FolderWriter(folder), []
    for i in range(10):
        depth = np.full(SIZE, 0.5 + 0.1 * i, np.float32)
        depth[0] = np.nan
        color = np.full((*SIZE, 3), [i, 2 * i, 100], np.uint8)
        frames.append(CameraFrame(i / 15, color, depth, PINHOLE, i))
        writer.write(frames[-1])
    return frames


def write_rig(folder: Path, recording: Path) -> Path:
    """A rig with that recording as head camera."""
    camera = {
        "driver": "folder",
        "source": str(recording),
        "loop": True,
        "width": SIZE[1],
        "height": SIZE[0],
        "fps": 15,
        "depth_range": [0.2, 3.0],
    }
    rig = folder / "rig.yaml"
    rig.write_text(yaml.safe_dump({"cameras": {"head": camera}}))
    return rig


def test_a_recording_streams_and_survives_the_loss_of_its_source(
    ros: Harness, tmp_path: Path
) -> None:
    folder, away = tmp_path / "recording", tmp_path / "away"
    frames = record(folder)
    rig = write_rig(tmp_path, folder)
    node = ros.start_node("perception", {"cameras": str(rig), "fuse": False})
    colors = ros.collect(Image, "camera/head/color/image_raw", SENSOR)
    depths = ros.collect(Image, "camera/head/depth/image_raw", SENSOR)
    infos = ros.collect(CameraInfo, "camera/head/camera_info", SENSOR)
    health = ros.collect(DiagnosticArray, "/diagnostics")
    ros.wait_for(lambda: len(colors) > 12 and len(depths) > 12 and infos, "images")

    color = colors[-1]
    assert (color.encoding, color.width, color.height) == ("rgb8", *SIZE[::-1])
    assert color.header.frame_id == "head_camera_optical_frame"
    pixels = np.frombuffer(color.data, np.uint8).reshape(*SIZE, 3)
    sent = frames[pixels[0, 0, 0]]
    assert np.array_equal(pixels, sent.color)
    twin = next(d for d in depths if d.header.stamp == color.header.stamp)
    metres = np.frombuffer(twin.data, np.float32).reshape(SIZE)
    assert twin.encoding == "32FC1"
    np.testing.assert_allclose(metres[1:], sent.depth[1:], atol=1e-4)
    assert not metres[0].any(), "no reading is 0 on the bus"
    assert list(infos[-1].k) == PINHOLE.matrix.ravel().tolist()
    assert list(infos[-1].d) == list(PINHOLE.distortion)

    folder.rename(away)
    ros.wait_for(lambda: health and any(s.level == b"\x02" for s in health[-1].status), "the loss")
    assert "head" in health[-1].status[0].message
    before = len(colors)
    away.rename(folder)
    ros.wait_for(lambda: len(colors) > before + 5, "images again")
    ros.wait_for(lambda: health[-1].status[0].level == b"\x00", "all well again")
    assert node.output.count("cannot be read") == 1, "one line for one loss"
    assert "head: streams again" in node.output
    assert node.stop(signal.SIGINT) == 0


def test_own_cameras_are_fused_where_they_are_and_sent_compressed_at_a_rate_of_their_own(
    ros: Harness, tmp_path: Path
) -> None:
    frames = record(tmp_path / "recording")
    rig = write_rig(tmp_path, tmp_path / "recording")
    ros.start_node("perception", {"cameras": str(rig), "raw_hz": 0.0, "compressed_hz": 5.0})
    clouds = ros.collect(PointCloud2, "perception/cloud", SENSOR)
    topic = "camera/head/color/image_raw"
    colors = ros.collect(CompressedImage, f"{topic}/compressed", SENSOR)
    depths = ros.collect(CompressedImage, "camera/head/depth/image_raw/compressedDepth", SENSOR)
    robot = load_embodiment("r1")
    joints = {
        name: ros.node.create_publisher(JointState, robot.group(name).feedback_topic, SENSOR)
        for name in robot.GROUPS
    }

    def stand() -> None:
        for name, publisher in joints.items():
            group, now = robot.group(name), time.time()
            publisher.publish(
                conversions.joint_state(now, group.joints, np.zeros(len(group.joints)))
            )

    ros.wait_for(lambda: len(clouds) > 30 and len(colors) > 5, "clouds", 90.0, tick=stand)
    assert not ros.node.get_publishers_info_by_topic(topic), "raw pictures are switched off"
    assert not ros.node.get_subscriptions_info_by_topic(topic), "no picture crosses the bus"
    stamps = [conversions.to_seconds(message.header.stamp) for message in colors]
    assert np.median(np.diff(stamps)) > 0.19, "5 Hz of 15"
    pixels = color_of(colors[-1], "head")
    sent = frames[round(pixels[..., 1].mean() / 2)]
    assert np.abs(pixels.astype(int) - sent.color).max() < 8
    twin = next(d for d in depths if d.header.stamp == colors[-1].header.stamp)
    np.testing.assert_allclose(depth_of(twin, "head"), sent.depth, atol=0.0006)
