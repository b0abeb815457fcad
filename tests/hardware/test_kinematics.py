"""Kinematics against the published numbers of the R1 and against finite differences."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from brs_hardware.description import describe, load_description
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics, optical_frame

R1 = load_embodiment("r1")
KINEMATICS = Kinematics(R1)


def test_zero_pose_has_the_published_tool_positions() -> None:
    assert KINEMATICS.pose("left_tcp", {})[:3, 3] == pytest.approx([0.113, 0.338, 1.404], abs=1e-3)
    assert KINEMATICS.pose("right_tcp", {})[:3, 3] == pytest.approx(
        [0.113, -0.338, 1.404], abs=1e-3
    )


def test_neutral_arms_hang() -> None:
    joints = R1.poses["neutral"]
    left = KINEMATICS.pose("left_tcp", joints)[:3, 3]
    right = KINEMATICS.pose("right_tcp", joints)[:3, 3]
    assert left == pytest.approx([-0.024, 0.170, 0.574], abs=3e-3)
    assert right == pytest.approx(left * [1, -1, 1])


@pytest.mark.parametrize(
    ("torso", "height", "trunk_pitch"),
    [([0, 0, 0, 0], 1.10, 0.0), ([1.74, -2.70, -0.96, 0], 0.51, 0.0), ([0, 0, -0.3, 1], 1.1, 0.3)],
)
def test_waist_height_and_trunk_pitch(
    torso: list[float], height: float, trunk_pitch: float
) -> None:
    pose = KINEMATICS.pose("torso_link4", {"torso": np.array(torso)})
    assert pose[2, 3] == pytest.approx(height, abs=0.01)
    assert pose[2, 2] == pytest.approx(np.cos(trunk_pitch))


@pytest.mark.parametrize("robot", ["r1", "r1_lite", "r1_pro"])
def test_cameras_of_the_urdf_are_those_of_the_embodiment(robot: str) -> None:
    embodiment = load_embodiment(robot)
    drawn = mujoco.MjSpec.from_file(str(embodiment.urdf_path)).compile()
    data = mujoco.MjData(drawn)
    mujoco.mj_kinematics(drawn, data)
    for name, camera in embodiment.cameras.items():
        link = data.body(camera.link).xmat.reshape(3, 3)
        optical = data.body(optical_frame(name))
        at = link @ camera.position + data.body(camera.link).xpos
        assert optical.xpos == pytest.approx(at)
        turn = link @ Rotation.from_euler("xyz", camera.rpy).as_matrix()
        axes = optical.xmat.reshape(3, 3)
        assert axes[:, 2] == pytest.approx(turn[:, 0], abs=1e-7)  # z looks forward
        assert axes[:, 0] == pytest.approx(-turn[:, 1], abs=1e-7)  # x to the right


def test_camera_frames_stand_where_the_embodiment_has_the_cameras() -> None:
    moved = replace(
        R1.cameras["head"],
        position=np.array([0.1, -0.02, 0.5]),
        rpy=np.array([0.1, 0.4, -0.2]),
    )
    kinematics = Kinematics(replace(R1, cameras={**R1.cameras, "head": moved}))
    joints = R1.poses["ready"]
    link = kinematics.pose("torso_link4", joints)
    optical = kinematics.pose(optical_frame("head"), joints)
    assert optical[:3, 3] == pytest.approx(link[:3, :3] @ moved.position + link[:3, 3])
    turn = link[:3, :3] @ Rotation.from_euler("xyz", moved.rpy).as_matrix()
    assert optical[:3, 2] == pytest.approx(turn[:, 0])  # z looks forward
    assert optical[:3, 0] == pytest.approx(-turn[:, 1])  # x to the right
    for other in ("left_wrist", "right_wrist"):
        as_before = KINEMATICS.pose(optical_frame(other), joints)
        assert kinematics.pose(optical_frame(other), joints) == pytest.approx(as_before)


def test_a_camera_without_a_frame_in_the_urdf_is_refused() -> None:
    stray = replace(R1.cameras["head"], link="torso_link3")
    with pytest.raises(ConfigError, match="no frame of camera 'head' on link 'torso_link3'"):
        Kinematics(replace(R1, cameras={"head": stray}))


@settings(max_examples=20, deadline=None)
@given(
    fractions=st.lists(st.floats(0.05, 0.95), min_size=14, max_size=14),
    link=st.sampled_from(["left_tcp", "right_tcp", "head_link", "left_arm_link3"]),
)
def test_jacobian_equals_finite_differences(fractions: list[float], link: str) -> None:
    groups = {name: R1.group(name) for name in R1.GROUPS}
    values = iter([*fractions, 0.5, 0.5])
    joints = {
        name: np.array(
            [
                low + next(values) * (high - low)
                for low, high in zip(group.lower, group.upper, strict=True)
            ]
        )
        for name, group in groups.items()
    }
    jacobian = KINEMATICS.jacobian(link, joints)
    pose = KINEMATICS.pose(link, joints)
    step = 1e-6
    for name in groups:
        for i in range(len(joints[name])):
            moved = {**joints, name: joints[name] + step * np.eye(len(joints[name]))[i]}
            after = KINEMATICS.pose(link, moved)
            linear = (after[:3, 3] - pose[:3, 3]) / step
            spin = (after[:3, :3] - pose[:3, :3]) @ pose[:3, :3].T / step
            angular = np.array([spin[2, 1], spin[0, 2], spin[1, 0]])
            assert jacobian[name][:3, i] == pytest.approx(linear, abs=1e-5)
            assert jacobian[name][3:, i] == pytest.approx(angular, abs=1e-5)


def test_unknown_names_tell_the_nearest() -> None:
    with pytest.raises(ConfigError, match="left_tcp"):
        KINEMATICS.pose("left_tpc", {})
    with pytest.raises(ConfigError, match="left_arm"):
        KINEMATICS.pose("left_tcp", {"left_amr": np.zeros(6)})
    with pytest.raises(ConfigError, match="6 joints"):
        KINEMATICS.pose("left_tcp", {"left_arm": np.zeros(5)})


def test_description_matches_the_embodiment() -> None:
    description = describe(R1)
    assert description.root == "base_link"
    assert description.mass == pytest.approx(102.1, abs=0.1)  # the vendor's sum
    for name in R1.GROUPS:
        group = R1.group(name)
        for i, joint in enumerate(group.joints):
            assert description.joint(joint).lower == pytest.approx(group.lower[i])
            assert description.joint(joint).upper == pytest.approx(group.upper[i])
            assert description.joint(joint).velocity > group.max_velocity[i]


def test_bad_descriptions_name_their_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="no such"):
        load_description(tmp_path / "none.urdf")
    broken = tmp_path / "broken.urdf"
    broken.write_text("<robot><link")
    with pytest.raises(ConfigError, match="malformed"):
        load_description(broken)
    broken.write_text('<robot><link name="a"/><link name="b"/></robot>')
    with pytest.raises(ConfigError, match="tree"):
        load_description(broken)
    broken.write_text(
        '<robot><link name="a"/><link name="b"/><joint name="j" type="fixed">'
        '<parent link="a"/><child link="b"/><origin xyz="0 1"/></joint></robot>'
    )
    with pytest.raises(ConfigError, match="2 numbers instead of 3"):
        load_description(broken)
