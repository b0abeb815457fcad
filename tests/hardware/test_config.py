"""The strict loader: good files load, and every mistake is named with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError

R1 = Path(__file__).resolve().parents[2] / "config" / "robots" / "r1.yaml"


def edited(tmp_path: Path, old: str, new: str) -> str:
    text = R1.read_text()
    assert old in text
    path = tmp_path / "robot.yaml"
    path.write_text(text.replace(old, new, 1))
    return str(path)


def test_r1_loads_with_the_limits_of_its_description() -> None:
    robot = load_embodiment("r1")
    assert len(robot.torso.joints) == 4
    assert len(robot.left_arm.joints) == len(robot.right_arm.joints) == 6
    for name in robot.GROUPS:
        group = robot.group(name)
        for pose in robot.poses.values():
            assert np.all((group.lower <= pose[name]) & (pose[name] <= group.upper))


def test_gripper_stroke_round_trip() -> None:
    gripper = load_embodiment("r1").left_gripper
    for closed in (0.0, 0.3, 1.0):
        assert gripper.to_closed(gripper.to_stroke_mm(closed)) == pytest.approx(closed)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("max_velocity: [0.3", "max_velocty: [0.3", "did you mean max_velocity"),
        ("  deadband: [0.01, 0.01, 0.05]", "", "key 'deadband' is missing"),
        ("wheel_radius: 0.07", "wheel_radius: small", "expected float, got 'small'"),
        ("lower: [-1.1345, -2.7925, -1.8326, -3.0543]", "lower: [-1.1, -2.7]", "needs 4 numbers"),
        ("name: r1", "name: [r1", "malformed YAML"),
        ("torso: [0, -0.1, -0.1, 0]", "torso: [0, -0.1]", "wrong number of joints"),
        ("torso: [0, -0.1, -0.1, 0]", "torsi: [0, -0.1]", "'torsi' is none of"),
    ],
)
def test_every_mistake_is_one_clear_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = edited(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        load_embodiment(path)
    line = str(caught.value)
    assert says in line and path in line and "\n" not in line


def test_unknown_robot_lists_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean r1"):
        load_embodiment("r2")
