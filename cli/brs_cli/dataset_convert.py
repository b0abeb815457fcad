"""`brs dataset convert SRC DEST --to FORMAT`: LeRobot v3.0, BRS's HDF5, Hugging Face's hub, brs.

What SRC is, is found by looking. Nothing is under DEST until all of it is there, and nothing is
uploaded. For BRS's HDF5, DEST is a folder of one file an episode, or one file of all episodes, as
BRS's training reads it, if it ends in .hdf5.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from brs_cli.dataset_clouds import layout_of
from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import Kinematics
from brs_hardware.transforms import to_quaternion
from brs_ml.convert import (
    LINKS,
    PICTURES,
    TARGETS,
    BrsRobot,
    ConvertOptions,
    LeRobotOptions,
    convert,
)
from brs_ml.dataset.format import check_name

# Links of our robots for BRS's names of them: tool points, and the camera in the head.
_OUR_LINKS = dict(zip(LINKS, ("left_tcp", "right_tcp", "head_camera_link"), strict=True))
_DEFAULT_ROBOT = "r1"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    defaults = ConvertOptions()
    parser = argparse.ArgumentParser(
        prog="brs dataset convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="folder or file")
    parser.add_argument("out", type=Path, metavar="DEST", help="folder or file, made here")
    parser.add_argument("--to", required=True, choices=TARGETS, help="format of DEST")
    parser.add_argument("--robot", help="of BRS's files, if it is not the one that they tell")
    lerobot = parser.add_argument_group("to LeRobot and the hub")
    lerobot.add_argument(
        "--pictures",
        choices=PICTURES,
        default=defaults.lerobot.pictures,
        help="videos, or jpeg: the pictures' own files, unchanged (default: %(default)s)",
    )
    lerobot.add_argument("--crf", type=int, help="quality of videos, 0 the best")
    lerobot.add_argument("--clouds", action="store_true", help="take clouds along as arrays")
    lerobot.add_argument("--license", default="", help="of the data, for the hub: cc-by-4.0, ..")
    ours = parser.add_argument_group("to brs")
    ours.add_argument(
        "--jpeg",
        type=int,
        default=defaults.jpeg_quality,
        help="quality of pictures that are no JPEG yet, 1-100 (default: %(default)s)",
    )
    ours.add_argument(
        "--validation",
        type=float,
        default=defaults.validation_share,
        help="share of episodes, where SRC tells of no split (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def brs_robot(name: str) -> BrsRobot:
    """What BRS's files do not tell of a robot.

    Raises:
        ConfigError: no such robot, or MuJoCo is not installed.
    """
    robot = load_embodiment(name)
    kinematics = Kinematics(robot)

    def link_poses(joints: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        poses = kinematics.poses(tuple(_OUR_LINKS.values()), joints)
        return {
            link: np.concatenate([poses[ours][:3, 3], to_quaternion(poses[ours])])
            for link, ours in _OUR_LINKS.items()
        }

    return BrsRobot(
        layout_of(robot),
        robot.left_gripper.stroke_open_mm,
        robot.left_gripper.stroke_closed_mm,
        link_poses,
    )


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Raises BrsError or EpisodeError with what to do."""
    options = parse(arguments)
    # The AV1 encoder tells of its settings on standard error unless told not to.
    os.environ.setdefault("SVT_LOG", "1")
    try:
        wanted = ConvertOptions(
            LeRobotOptions(options.pictures, options.crf, options.clouds),
            options.jpeg,
            options.validation,
            options.license,
        )
    except ValueError as error:
        raise SystemExit(f"brs dataset convert: {error}") from None

    def robot_of(name: str) -> BrsRobot:
        return brs_robot(options.robot or (check_name(name) if name else _DEFAULT_ROBOT))

    console = Console(stderr=True)
    notes = convert(options.source, options.out, options.to, robot_of, wanted, console.print)
    for note in notes:
        console.print(f"[yellow]note[/] {note}", highlight=False)
    print(f"{options.source} is now {options.to}: {options.out}")
