"""`brs dataset convert` as a person types it, with a real robot's names, strokes and links."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from ml.dataset.synthetic_episodes import Recipe, record

from brs_cli import dataset
from brs_cli.dataset_convert import brs_robot
from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import Kinematics
from brs_hardware.transforms import to_matrix
from brs_ml.dataset import Dataset, DatasetError


def test_links_are_where_kinematics_has_them() -> None:
    robot = load_embodiment("r1")
    joints = {name: robot.poses["ready"][name] for name in robot.GROUPS}
    told = brs_robot("r1").link_poses
    assert told is not None
    poses, kinematics = told(joints), Kinematics(robot)
    for link, ours in (("left_eef", "left_tcp"), ("right_eef", "right_tcp")):
        pose = to_matrix(poses[link][:3], poses[link][3:])
        np.testing.assert_allclose(pose, kinematics.pose(ours, joints), atol=1e-9)
    assert poses["head"][2] > 1.0


def test_strokes_are_the_robots() -> None:
    robot, gripper = brs_robot("r1"), load_embodiment("r1").left_gripper
    assert robot.stroke_open_mm == gripper.to_stroke_mm(0.0)
    assert robot.stroke_closed_mm == gripper.to_stroke_mm(1.0)


def test_there_and_back_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "episodes" / "one", Recipe(seconds=0.8))
    ours = tmp_path / "set"
    options = ["--no-clouds", "--no-images", "--validation", "0", "--out", str(ours)]
    dataset.main(["build", str(tmp_path / "episodes"), *options])

    def convert(source: str, out: str, target: str, *more: str) -> str:
        dataset.main(
            ["convert", str(tmp_path / source), str(tmp_path / out), "--to", target, *more]
        )
        told = capsys.readouterr()
        assert f"is now {target}" in told.out
        return told.err

    assert "no depth" in convert("set", "all.hdf5", "brs-hdf5")
    with h5py.File(tmp_path / "all.hdf5") as file:
        assert file["demo_0/obs/link_poses/head"].shape == (len(Dataset(ours)), 7)
    convert("all.hdf5", "lerobot", "lerobot")
    convert("lerobot", "back", "brs")
    first, second = Dataset(ours), Dataset(tmp_path / "back", verify=True)
    assert second.episodes == first.episodes
    for key in first.index.features:
        assert first.column(key).tobytes() == second.column(key).tobytes()
    with pytest.raises(DatasetError, match="names the licence"):
        convert("set", "hub", "hub")
    convert("set", "hub", "hub", "--license", "cc-by-4.0")
    with pytest.raises(DatasetError, match="--robot r1"):
        convert("set", "x.hdf5", "brs-hdf5", "--robot", "r1_pro")
    with pytest.raises(SystemExit, match="jpeg_quality"):
        convert("lerobot", "x", "brs", "--jpeg", "0")
