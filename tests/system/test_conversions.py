"""What goes into a message comes out of it."""

from __future__ import annotations

import dataclasses
import struct
from array import array
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Pose
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, PointField

from brs_hardware.cameras import Intrinsics
from brs_hardware.cameras.matching import intrinsics_of
from brs_hardware.errors import DeviceError
from brs_hardware.perception.cloud import PointCloud
from brs_hardware.types import (
    JOYCON_BUTTONS,
    JointGroupState,
    JoyConSample,
    LeaderSample,
    WholeBodyCommand,
    WholeBodyState,
)
from brs_nodes import cloud_messages, conversions

angle = st.floats(-10, 10)
stamp = st.integers(0, 4_000_000_000_000).map(lambda us: us / 1e6)
fraction = st.floats(0, 1)


def vector(count: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(angle, min_size=count, max_size=count).map(np.array)


def group(count: int) -> st.SearchStrategy[JointGroupState]:
    return st.builds(JointGroupState, vector(count), vector(count), vector(count))


def same(one: object, other: object) -> None:
    """Equal field by field; stamps to a microsecond."""
    for field in dataclasses.fields(one):  # type: ignore[arg-type]
        a, b = getattr(one, field.name), getattr(other, field.name)
        if dataclasses.is_dataclass(a):
            same(a, b)
        elif field.name == "stamp_s":
            assert abs(a - b) < 1e-6
        elif isinstance(a, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
        else:
            assert a == b


def over_the_wire(message: object) -> object:
    return deserialize_message(serialize_message(message), type(message))


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        WholeBodyCommand,
        stamp,
        vector(3),
        vector(4),
        vector(6),
        vector(7),  # arms may have any number of joints
        fraction,
        fraction,
        st.sampled_from(["teleop", "policy", "replay"]),
    )
)
def test_command(command: WholeBodyCommand) -> None:
    message = over_the_wire(conversions.command_to_message(command))
    same(command, conversions.command_from_message(message))


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        WholeBodyState,
        stamp,
        vector(3),
        vector(3),
        group(4),
        group(6),
        group(6),
        fraction,
        fraction,
    )
)
def test_state(state: WholeBodyState) -> None:
    message = over_the_wire(conversions.state_to_message(state))
    same(state, conversions.state_from_message(message))


@settings(max_examples=25, deadline=None)
@given(
    stamp,
    vector(2),
    st.sampled_from(["left", "right"]).flatmap(
        lambda side: st.tuples(st.just(side), st.sets(st.sampled_from(JOYCON_BUTTONS[side])))
    ),
)
def test_joycon(stamp_s: float, stick: np.ndarray, held: tuple[str, set[str]]) -> None:
    side, buttons = held
    sample = JoyConSample(stamp_s, stick, frozenset(buttons))
    message = over_the_wire(conversions.joycon_to_message(side, sample))
    same(sample, conversions.joycon_from_message(side, message))


@settings(max_examples=25, deadline=None)
@given(st.builds(LeaderSample, stamp, vector(6), vector(7)))
def test_leader(sample: LeaderSample) -> None:
    names = tuple(f"joint{i}" for i in range(13))
    message = over_the_wire(conversions.leader_to_message(sample, names))
    same(sample, conversions.leader_from_message(message, 6))


def test_images_keep_every_byte() -> None:
    generator = np.random.default_rng(0)
    color = generator.integers(0, 255, (5, 7, 3), dtype=np.uint8)
    message = over_the_wire(conversions.color_image(1.5, "camera", color))
    assert (message.width, message.height, message.step) == (7, 5, 21)  # type: ignore[attr-defined]
    assert bytes(message.data) == color.tobytes()  # type: ignore[attr-defined]
    depth = generator.random((5, 7)).astype(np.float32)
    message = over_the_wire(conversions.depth_image(1.5, "camera", depth))
    assert bytes(message.data) == depth.tobytes()  # type: ignore[attr-defined]


def test_camera_info_says_all_of_a_lens() -> None:
    lens = Intrinsics(64, 48, 50.0, 51.0, 31.5, 23.5, (0.1, -0.2, 0.001, 0.002, 0.05))
    message = over_the_wire(conversions.camera_info(2.5, "camera", lens))
    assert intrinsics_of(message, "camera") == lens
    assert message.p.reshape(3, 4)[:, :3].tolist() == lens.matrix.tolist()  # type: ignore[attr-defined]


@settings(deadline=None)
@given(st.floats(-3.1, 3.1), angle, angle)
def test_planar_pose(yaw: float, x: float, y: float) -> None:
    pose = Pose()
    pose.position.x, pose.position.y = x, y
    qx, qy, qz, qw = Rotation.from_euler("z", yaw).as_quat()
    pose.orientation.x, pose.orientation.y = float(qx), float(qy)
    pose.orientation.z, pose.orientation.w = float(qz), float(qw)
    np.testing.assert_allclose(conversions.planar_pose(pose), [x, y, yaw], atol=1e-9)


def some_cloud(count: int) -> PointCloud:
    random = np.random.default_rng(count)
    points = random.uniform(-5, 5, (count, 3)).astype(np.float32)
    return PointCloud(points, random.integers(0, 256, (count, 3), dtype=np.uint8))


@pytest.mark.parametrize("count", [0, 1, 4096])
def test_a_cloud_is_what_others_take_it_for(count: int) -> None:
    cloud = some_cloud(count)
    message: Any = over_the_wire(cloud_messages.cloud_to_message(1.25, cloud))
    back = cloud_messages.cloud_from_message(message)
    assert np.array_equal(back.points, cloud.points)
    assert np.array_equal(back.colors, cloud.colors)
    assert (message.header.frame_id, message.width, message.height) == ("base_link", count, 1)
    assert [(f.name, f.datatype, f.count) for f in message.fields] == [
        ("x", 7, 1), ("y", 7, 1), ("z", 7, 1), ("rgb", 7, 1)
    ]  # fmt: skip
    # Read point by point, as PCL's macros do: the float's bits are 0x00RRGGBB.
    for i in range(min(count, 50)):
        x, y, z, rgb = struct.unpack_from("<fffI", bytes(message.data), i * message.point_step)
        assert (x, y, z) == tuple(cloud.points[i].tolist())
        assert ((rgb >> 16) & 255, (rgb >> 8) & 255, rgb & 255) == tuple(cloud.colors[i].tolist())


def test_clouds_of_others_are_read_wherever_their_fields_stand() -> None:
    cloud = some_cloud(6)
    rows = b"".join(
        struct.pack(">IfffI", 7, *point.tolist(), int.from_bytes(bytes([0, *color]), "big"))
        for point, color in zip(cloud.points, cloud.colors, strict=True)
    )
    places = {"label": 0, "x": 1, "y": 2, "z": 3, "rgb": 4}
    message = PointCloud2(
        height=2,
        width=3,
        fields=[
            PointField(name=name, offset=4 * i, datatype=7, count=1) for name, i in places.items()
        ],
        is_bigendian=True,
        point_step=20,
        row_step=64,
        data=array("B", b"".join(rows[i : i + 60] + b"\xff" * 4 for i in (0, 60))),
    )
    back = cloud_messages.cloud_from_message(message)
    assert np.array_equal(back.points, cloud.points)
    assert np.array_equal(back.colors, cloud.colors)
    message.fields = message.fields[:4]
    with pytest.raises(DeviceError, match="label, x, y, z instead of"):
        cloud_messages.cloud_from_message(message)
