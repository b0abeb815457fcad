"""`brs replay BAG`: plays an episode into the robot, simulated or real, by replay.launch.py."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from brs_hardware.errors import BrsError
from brs_launch import main as launch
from brs_ml.episode import EpisodeError, EpisodeReader


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(prog="brs replay", description=__doc__)
    parser.add_argument("bag", type=Path, help="folder of the episode")
    parser.add_argument("--sim", action="store_true", help="start the simulator, and arm in it")
    parser.add_argument("--seed", type=int, help="of the simulated task; default: the episode's")
    parser.add_argument("--rate", type=float, default=1.0, help="2 is twice as fast")
    parser.add_argument("--start", type=float, default=0.0, help="leave out the beginning [s]")
    parser.add_argument(
        "--topics", default="", help="sensor topics to play, too: from or from:=to, with commas"
    )
    parser.add_argument(
        "--arm", action="store_true", help="arm the robot without waiting for a person"
    )
    parser.add_argument("--namespace", default="", help="of all nodes")
    parser.add_argument(
        "launch_arguments", nargs="*", metavar="name:=value", help="more for replay.launch.py"
    )
    return parser.parse_args(arguments)


def launch_arguments(options: argparse.Namespace) -> list[str]:
    """The command line of the launch file.

    Raises:
        BrsError: the bag cannot be read; known before anything is started.
    """
    try:
        info = EpisodeReader(options.bag).info
    except EpisodeError as error:
        raise BrsError(error.what, where=error.where, remedy=error.remedy) from None
    seed = info.seed if options.seed is None else options.seed
    values = {
        "bag": options.bag.resolve(),
        "sim": str(options.sim).lower(),
        "arm": str(options.arm or options.sim).lower(),
        "rate": options.rate,
        "start_s": options.start,
        "seed": seed,
    }
    if options.topics:
        values["topics"] = options.topics
    if options.namespace:
        values["namespace"] = options.namespace
    return [f"{name}:={value}" for name, value in values.items()] + options.launch_arguments


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs replay`. Raises BrsError."""
    values = launch_arguments(parse(arguments))
    sys.argv = ["brs launch", "replay.launch.py", *values]
    launch.main()
