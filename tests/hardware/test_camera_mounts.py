"""Measured mounts: kept, laid over the description, refused when they do not fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from brs_hardware import config
from brs_hardware.camera_calibration import mounts
from brs_hardware.camera_calibration.hand_eye import HandEye
from brs_hardware.camera_calibration.mounts import MeasuredMount
from brs_hardware.embodiment import Camera, Embodiment
from brs_hardware.errors import ConfigError

RANGE_M = np.array([0.2, 3.0])
MOUNT = MeasuredMount(
    link="torso_link4",
    position=np.array([0.07, 0.05, 0.48]),
    rpy=np.array([0.01, 0.36, -0.02]),
    made="2026-01-02T03:04:05+00:00",
    views=21,
    rms_px=0.21,
    p95_px=0.4,
    max_px=0.9,
    position_std_m=np.full(3, 0.0003),
    rotation_std_rad=np.full(3, 0.0005),
    serial="30000001",
)


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("BRS_DATA", str(tmp_path))
    return tmp_path


def assert_same(one: MeasuredMount, other: MeasuredMount) -> None:
    for field in dataclasses.fields(MeasuredMount):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_nothing_measured_changes_nothing(robot: Embodiment) -> None:
    assert mounts.load_mounts("r1") == {}
    assert mounts.with_measured_mounts(robot) == robot


def test_a_kept_mount_is_laid_over_the_description(robot: Embodiment) -> None:
    path = mounts.save_mount("r1", "head", MOUNT)
    assert path == mounts.mounts_path("r1")
    assert_same(mounts.load_mounts("r1")["head"], MOUNT)
    measured = mounts.with_measured_mounts(robot)
    head, before = measured.cameras["head"], robot.cameras["head"]
    np.testing.assert_array_equal(head.position, MOUNT.position)
    np.testing.assert_array_equal(head.rpy, MOUNT.rpy)
    assert (head.link, head.width, head.height) == (before.link, before.width, before.height)
    assert measured.cameras["left_wrist"] is robot.cameras["left_wrist"]
    assert robot.cameras["head"] is before  # the description itself stays


def test_each_camera_says_where_its_mount_is_from(robot: Embodiment) -> None:
    mounts.save_mount("r1", "head", MOUNT)
    lines = mounts.mount_sources(robot)
    assert set(lines) == set(robot.cameras)
    assert lines["left_wrist"] == ""
    # By hand: 4.5, 10.0 and 4.0 mm; a roll of 0.6 degrees about an axis that looks 20 degrees
    # down adds 0.2 to the yaw of 1.1.
    degrees = np.degrees(np.linalg.norm([0.01 * np.cos(0.36), 0.011, -0.02 - 0.01 * np.sin(0.36)]))
    assert lines["head"] == (
        f"measured 2026-01-02: 11.7 mm and {degrees:.2f}° from the description, 0.21 px off"
    )
    mounts.save_mount("r1", "head", dataclasses.replace(MOUNT, link="torso_link3"))
    with pytest.raises(ConfigError):
        mounts.mount_sources(robot)


def test_mounts_of_several_cameras_stay_beside_each_other_until_forgotten() -> None:
    wrist = dataclasses.replace(MOUNT, link="left_arm_link6", serial=None)
    mounts.save_mount("r1", "head", MOUNT)
    mounts.save_mount("r1", "left_wrist", wrist)
    assert set(mounts.load_mounts("r1")) == {"head", "left_wrist"}
    assert mounts.load_mounts("r1")["left_wrist"].serial is None
    mounts.save_mount("r1", "head", None)
    assert set(mounts.load_mounts("r1")) == {"left_wrist"}
    assert mounts.load_mounts("r1_pro") == {}


def test_a_mount_that_does_not_fit_the_robot_is_refused(robot: Embodiment) -> None:
    mounts.save_mount("r1", "head", MOUNT)
    with pytest.raises(ConfigError, match="it is of camera 30000001, not 77"):
        mounts.with_measured_mounts(robot, {"head": "77"})
    mounts.with_measured_mounts(robot, {"head": None, "left_wrist": "5"})  # not known: no word
    mounts.save_mount("r1", "head", dataclasses.replace(MOUNT, link="torso_link3"))
    with pytest.raises(ConfigError, match="measured on link 'torso_link3'"):
        mounts.with_measured_mounts(robot)
    mounts.save_mount("r1", "head", None)
    mounts.save_mount("r1", "tail", MOUNT)
    with pytest.raises(ConfigError, match="the robot has no camera 'tail'"):
        mounts.with_measured_mounts(robot)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "of version 2, not 1"),
        ({"robot": "r1_lite"}, "of robot 'r1_lite'"),
        ({"camera": {}}, "unknown key 'camera'"),
        ({"cameras": {"head": {"link": "torso_link4"}}}, "key 'position' is missing"),
        ({"cameras": {"head": 3}}, "expected keys and values"),
        ({"cameras": []}, "expected keys and values"),
    ],
)
def test_a_malformed_file_is_one_clear_error(change: dict[str, object], message: str) -> None:
    path = mounts.save_mount("r1", "head", MOUNT)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(ConfigError, match=message) as error:
        mounts.load_mounts("r1")
    assert str(path) in str(error.value)
    assert "brs calibrate cameras" in str(error.value)
    with pytest.raises(ConfigError):  # and is not written over
        mounts.save_mount("r1", "head", MOUNT)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_content_is_a_mount_file_or_a_config_error(content: bytes) -> None:
    path = mounts.mounts_path("r1")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        mounts.load_mounts("r1")


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9])
def test_a_torn_file_is_refused(cut: float) -> None:
    path = mounts.save_mount("r1", "head", MOUNT)
    text = path.read_text()
    path.write_text(text[: int(cut * len(text))])
    with pytest.raises(ConfigError):
        mounts.load_mounts("r1")


def test_numbers_that_are_none_are_refused() -> None:
    path = mounts.save_mount("r1", "head", MOUNT)
    path.write_text(path.read_text().replace("0.07", ".nan"))
    with pytest.raises(ConfigError, match="position: expected finite numbers"):
        mounts.load_mounts("r1")


def test_a_write_that_fails_leaves_the_old_file() -> None:
    path = mounts.save_mount("r1", "head", MOUNT)
    before = path.read_text()
    path.with_name(path.name + ".part").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        mounts.save_mount("r1", "head", dataclasses.replace(MOUNT, views=3))
    assert path.read_text() == before


def test_the_block_for_a_description_says_the_same(robot: Embodiment) -> None:
    mounts.save_mount("r1", "head", MOUNT)
    measured = mounts.with_measured_mounts(robot)
    block = yaml.safe_load(mounts.description_block(measured))
    assert set(block["cameras"]) == set(robot.cameras)
    for name, values in block["cameras"].items():
        camera = config.build(Camera, values, name)
        for field in dataclasses.fields(Camera):
            wanted = getattr(measured.cameras[name], field.name)
            np.testing.assert_array_equal(getattr(camera, field.name), wanted)


@settings(deadline=None)
@given(turn=st.tuples(*[st.floats(-1.4, 1.4)] * 3), place=st.tuples(*[st.floats(-0.5, 0.5)] * 3))
def test_position_and_angles_describe_the_pose_that_was_found(
    turn: tuple[float, ...], place: tuple[float, ...]
) -> None:
    nominal = Camera("torso_link4", np.array(place), np.array(turn), 2, 2, 1.0, RANGE_M)
    outcome = HandEye(
        link_from_optical=mounts.link_from_optical(nominal),
        reference_from_board=np.eye(4),
        position_std_m=np.zeros(3),
        rotation_std_rad=np.zeros(3),
        view_rms_px=np.zeros(12),
        outliers=(3,),
        rms_px=0.1,
        p95_px=0.2,
        max_px=0.3,
    )
    mount = mounts.measured_mount(nominal, outcome, "2026-01-01", "5")
    np.testing.assert_allclose(mount.position, place, atol=1e-6)
    np.testing.assert_allclose(mount.rpy, turn, atol=3e-6)
    assert mount.views == 11
    metres, radians = mounts.difference(nominal, mount)
    assert metres < 1e-5
    assert radians < 1e-5


def test_an_optical_frame_looks_ahead_with_x_right_and_y_down() -> None:
    """REP 103: forward x, left y, up z in the body; right x, down y, ahead z in the picture."""
    pitch = 0.3
    camera = Camera("l", np.ones(3), np.array([0.0, pitch, 0.0]), 2, 2, 1.0, RANGE_M)
    pose = mounts.link_from_optical(camera)
    np.testing.assert_allclose(pose[:3, 0], (0.0, -1.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(pose[:3, 2], (np.cos(pitch), 0.0, -np.sin(pitch)), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_array_equal(pose[:3, 3], 1.0)


def test_a_difference_is_a_way_and_an_angle() -> None:
    turned = Rotation.from_rotvec([0.0, 0.0, 0.1]) * Rotation.from_euler("xyz", MOUNT.rpy)
    other = dataclasses.replace(
        MOUNT,
        position=MOUNT.position + np.array([0.003, 0.0, 0.004]),
        rpy=turned.as_euler("xyz"),
    )
    assert mounts.difference(MOUNT, other) == pytest.approx((0.005, 0.1))
