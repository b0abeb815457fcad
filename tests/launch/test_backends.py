"""`sim.launch.py backend:=...`: what each simulator is started with, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from brs_launch.describe import Description
from brs_launch.errors import LaunchError
from brs_launch.packages import find_launch_file
from brs_launch.spec import ParameterSet, ProcessSpec

Program = Callable[[Path], None]


def processes(**arguments: str) -> dict[str, ProcessSpec]:
    found = Description(find_launch_file("sim"), arguments).processes
    return {spec.label: spec for spec in found}


def program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def words(spec: ProcessSpec) -> list[str]:
    return [word for word in spec.arguments if not isinstance(word, ParameterSet)]


@pytest.fixture
def gazebo(prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gazebo and its bridge, as far as starting them goes."""
    program(tmp_path / "bin" / "gz")
    program(prefix / "lib" / "ros_gz_bridge" / "parameter_bridge")
    (prefix / "share/ament_index/resource_index/packages/ros_gz_bridge").touch()
    program(prefix / "lib" / "brs_nodes" / "external_sim")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def isaac(prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program(tmp_path / "isaac" / "python.sh")
    program(prefix / "lib" / "brs_nodes" / "external_sim")
    monkeypatch.setenv("ISAACSIM_PATH", str(tmp_path / "isaac"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / "isaac"


def test_gazebo_runs_a_written_world_with_its_bridge(gazebo: None) -> None:
    found = processes(backend="gazebo", task="trash", seed="2", camera_hz="0.0")
    assert set(found) == {"gazebo", "parameter_bridge", "external_sim", "description"}
    *command, world = words(found["gazebo"])
    assert command == ["gz", "sim", "-r"]
    assert "trash" not in world and '<model name="bag">' in Path(world).read_text()
    node = found["parameter_bridge"].node
    assert node is not None
    bridge = yaml.safe_load(Path(node.parameters["config_file"]).read_text())
    assert {entry["direction"] for entry in bridge} == {"GZ_TO_ROS", "ROS_TO_GZ"}
    relay = found["external_sim"].node
    assert relay is not None
    assert (relay.parameters["targets"], relay.parameters["use_sim_time"]) == ("single", True)


def test_isaac_runs_the_script_with_its_own_python(isaac: Path) -> None:
    found = processes(backend="isaac", robot="r1_pro", seed="2", tf="false")
    assert set(found) == {"isaac", "external_sim"}
    python, script, option, folder = words(found["isaac"])
    assert python == str(isaac / "python.sh") and option == "--folder"
    assert Path(script).name == "run.py" and Path(script).is_file()
    assert json.loads((Path(folder) / "plan.json").read_text())["robot"] == "r1_pro"
    relay = found["external_sim"].node
    assert relay is not None and relay.parameters["targets"] == "arrays"


def test_mujoco_stays_the_default(prefix: Path) -> None:
    assert set(processes()) == set(processes(backend="mujoco")) == {"r1_sim", "description"}


@pytest.mark.parametrize(
    ("backend", "complaint"),
    [("gazebo", "Gazebo Sim is not installed"), ("isaac", "set ISAACSIM_PATH")],
)
def test_a_simulator_that_is_missing_is_told_in_one_line(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, backend: str, complaint: str
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("ISAACSIM_PATH", raising=False)
    with pytest.raises(LaunchError, match=complaint) as caught:
        processes(backend=backend)
    assert "\n" not in str(caught.value)


def test_an_unknown_simulator_names_the_known(prefix: Path) -> None:
    with pytest.raises(LaunchError, match="gazebo"):
        processes(backend="gazeboo")
