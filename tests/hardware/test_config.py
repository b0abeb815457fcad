"""The strict loader: good files load, and every mistake is named with its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brs_hardware import config
from brs_hardware.cameras import load_cameras
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_hardware.leader_config import load_leader
from brs_hardware.leader_control import load_leader_control
from brs_hardware.leaders import make_leader
from brs_hardware.perception.config import load_cloud
from brs_hardware.safety.setup import load_safety

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
        ("torso: [0, -0.1, -0.1, 0]", "torso: [0, -0.1, 5, 0]", "beyond the joints' limits"),
        ("lower: [-1.1345,", "lower: [.nan,", "expected finite numbers, got [nan,"),
        ("max_effort: [304,", "max_effort: [.inf,", "expected finite numbers"),
        ("max_effort: [304,", "max_effort: [1e400,", "expected finite numbers"),
        ("max_effort: [304,", f"max_effort: [{10**400},", "expected finite numbers"),
        ("max_effort: [304,", "max_effort: ['304',", "expected finite numbers"),
        ("max_effort: [304,", "max_effort: [true,", "expected finite numbers"),
        ("max_effort: [304,", "max_effort: [[304],", "expected finite numbers"),
        ("max_velocity: [0.6,", "max_velocity: [-0.6,", "'max_velocity' must be positive"),
        ("max_jerk: [40,", "max_jerk: [0,", "'max_jerk' must be positive"),
        ("max_velocity: [0.3, 0.3, 0.4]", "max_velocity: [0.3, 0.3]", "needs 3 numbers"),
        ("deadband: [0.01,", "deadband: [-0.01,", "'deadband' must not be negative"),
        ("wheel_radius: 0.07", "wheel_radius: .nan", "expected a finite number, got nan"),
        ("wheel_radius: 0.07", f"wheel_radius: {10**400}", "expected a finite number"),
        ("stroke_open_mm: 90.0", "stroke_open_mm: 1.0", "are the same"),
        ("max_speed: 2.5", "max_speed: 0.0", "'max_speed' must be positive"),
        ("width: 320", "width: -320", "'width' must be positive"),
        ("name: r1", "name: r1\nname: r2", "robot.yaml:6:1: key 'name' is given twice"),
        ("name: r1", "name: &a [*a]", "expected str, got [["),
        ("lower: [-1.1345,", "lower: &a [*a,", "expected finite numbers"),
        ("name: r1", "name: r1\nfeedback_timeout_s: 10.0", "must lie within 0 and 1.0 s"),
        ("name: r1", f"name: {10**400}", "expected str"),
        ("name: r1", "name: 2001-99-99", "malformed YAML: month must be in 1..12"),
        ("name: r1", "? [a, b]\n: r1", "malformed YAML"),
    ],
)
def test_every_mistake_is_one_clear_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = edited(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        load_embodiment(path)
    line = str(caught.value)
    assert says in line and path in line and "\n" not in line and len(line) < 300


LOADERS: dict[str, tuple[Callable[[str], object], str, str]] = {
    "robot": (load_embodiment, "r2", "r1"),
    "cameras": (load_cameras, "realsens", "realsense"),
    "cloud": (load_cloud, "defaults", "default"),
    "leader": (load_leader, "joylow", "joylo"),
    "leader control": (load_leader_control, "joylow", "joylo"),
    "safety set-up": (load_safety, "defaults", "default"),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_an_unknown_name_lists_the_nearest_and_a_missing_file_its_folder(
    tmp_path: Path, kind: str
) -> None:
    load, wrong, right = LOADERS[kind]
    load(right)
    for name in (wrong, f"../{wrong}", "x" * 5000):
        with pytest.raises(ConfigError, match=f"unknown {kind} '") as caught:
            load(name)
        if name == wrong:
            assert f"did you mean {right}" in str(caught.value)
    for name in (f"{tmp_path}/none.yaml", f"{'x' * 300}.yaml"):
        with pytest.raises(ConfigError, match=r"no such file|cannot be read: File name too long"):
            load(name)


def test_what_lies_beside_a_robot_is_no_robot() -> None:
    with pytest.raises(ConfigError, match="unknown robot 'r1_collisions'"):
        load_embodiment("r1_collisions")


def test_a_leader_of_another_kind_is_found_by_the_same_names() -> None:
    with pytest.raises(ConfigError, match=r"unknown leader 'gamepod'.*did you mean gamepad"):
        make_leader("gamepod", load_embodiment("r1"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00name: r1", "malformed YAML"),
        (b"[" * 5000, "malformed YAML"),
        (b"", "expected keys and values, got NoneType"),
        (b"- 1", "expected keys and values, got list"),
    ],
)
def test_what_is_no_yaml_is_told_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "robot.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        load_embodiment(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load_yaml(tmp_path)


def test_keys_of_merged_mappings_may_be_given_again(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, x: 4}\n")
    assert config.load_yaml(path)["c"] == {"x": 4, "y": 2}


@dataclass(frozen=True)
class Example:
    """One field of each type that configurations have."""

    word: str
    count: int
    number: float
    flag: bool
    numbers: np.ndarray
    pair: tuple[int, int]
    table: dict[str, tuple[float, ...]]
    maybe: float | None = None
    more: tuple[str, ...] = field(default=())


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
GOOD = {
    "word": "w",
    "count": 1,
    "number": 2,
    "flag": True,
    "numbers": [[1, 2], [3, 4]],
    "pair": [1, 2],
    "table": {"a": [1.5]},
    "maybe": None,
    "more": ["x"],
}


@given(st.sampled_from(sorted(GOOD)), anything)
def test_any_value_is_taken_as_its_type_or_refused_by_name(key: str, value: Any) -> None:
    try:
        made = config.build(Example, {**GOOD, key: value}, "here")
    except BrsError as error:
        assert f"here: {key}" in str(error) and len(str(error)) < 300
        return
    found = getattr(made, key)
    if key == "numbers":
        assert np.all(np.isfinite(found)) and found.tolist() == value
    elif key in ("number", "maybe") and found is not None:
        assert type(found) is float and np.isfinite(found) and found == value
    elif key in ("pair", "more"):
        assert list(found) == value
    elif key == "table":
        assert {name: list(numbers) for name, numbers in found.items()} == value
    else:
        assert type(found) is type(value) and found == value
