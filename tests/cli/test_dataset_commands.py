"""`brs dataset`: its commands, and what it tells the library of the robot."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path

import numpy as np
import pytest
from ml.dataset.synthetic_episodes import Recipe, record

from brs_cli import dataset
from brs_cli.dataset_build import parse, settings
from brs_cli.dataset_clouds import CloudFactory, layout_of
from brs_hardware.embodiment import load_embodiment
from brs_hardware.perception.config import load_cloud
from brs_ml.dataset import Dataset, DatasetError, Frame


@pytest.mark.parametrize("command", dataset.COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, text = dataset.COMMANDS[command]
    assert text
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(["--help"])
    assert ended.value.code == 0
    assert f"brs dataset {command}" in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest() -> None:
    with pytest.raises(SystemExit, match="did you mean build"):
        dataset.main(["biuld"])


@pytest.mark.parametrize(("robot", "size"), [("r1", 21), ("r1_pro", 23)])
def test_the_layout_is_the_robots(robot: str, size: int) -> None:
    embodiment = load_embodiment(robot)
    layout = layout_of(embodiment)
    assert layout.size == size == len(layout.names) == len(layout.lower)
    arm = layout.slice_of("right_arm")
    assert layout.names[arm] == embodiment.right_arm.joints
    assert layout.upper[arm] == tuple(embodiment.right_arm.upper)
    assert layout.upper[:3] == tuple(embodiment.base.max_velocity)
    assert layout.lower[:3] == tuple(-embodiment.base.max_velocity)


def test_settings_come_from_the_cloud_and_the_command_line() -> None:
    options = ["x", "--out", "y", "--cloud", "shelves", "--rate", "5", "--allow", "rates"]
    config = settings(parse(options), ("head",))
    cloud = load_cloud("shelves")
    assert config.cloud_lower == tuple(cloud.crop.lower)
    assert config.cloud_recipe["voxel_m"] == cloud.voxel_m
    assert (config.align.rate_hz, config.align.cameras) == (5.0, ("head",))
    assert config.differences == ("rates",)
    assert not settings(parse(["x", "--out", "y", "--no-clouds"]), ("head",)).clouds


def test_clouds_are_fused_in_whatever_process_asks() -> None:
    factory = copy.deepcopy(
        CloudFactory("r1", "default")
    )  # as what hands it to another process does
    robot = load_embodiment("r1")
    joints = {name: robot.poses["ready"][name] for name in robot.GROUPS}

    def frame(camera: str) -> Frame:
        depth = np.full((240, 320), 1.0, np.float32)
        color = np.full((240, 320, 3), (10, 200, 30), np.uint8)
        matrix = np.array([[200.0, 0, 160], [0, 200, 120], [0, 0, 1]])
        return Frame(camera, 10**9, color, depth, matrix, (), joints, np.zeros(3))

    points, colors = factory()([frame("head")])
    assert len(points) == len(colors) > 100
    assert (colors == (10, 200, 30)).all()
    # The head looks forward from above: the wall of its pixels is in front of the robot.
    assert 0.3 < np.median(points[:, 0]) < 2.0
    with pytest.raises(DatasetError, match="unknown camera 'tail'"):
        factory()([frame("tail")])


def test_build_and_info_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "episodes" / "one", Recipe(seconds=0.6))
    record(tmp_path / "episodes" / "two", Recipe(seconds=0.6, success=False))
    out = tmp_path / "set"
    common = [str(tmp_path / "episodes"), "--no-clouds", "--no-images", "--validation", "0"]
    dataset.main(["build", *common, "--out", str(out)])
    told = capsys.readouterr()
    assert "1 episodes (1 for training), 5 steps of 0.1 s (0 not valid)" in told.out
    assert "two: the task failed" in told.err
    dataset.main(["info", str(out), "--verify"])
    assert "left out two: the task failed" in capsys.readouterr().out
    assert Dataset(out).column("action").shape == (5, 21)
    with pytest.raises(DatasetError, match="exists"):
        dataset.main(["build", *common, "--out", str(out)])
    with pytest.raises(SystemExit, match="jpeg_quality"):
        dataset.main(["build", *common, "--out", str(tmp_path / "x"), "--jpeg", "0"])
