"""`brs replay BAG`: plays an episode's commands into the robot, or its sensors into any node.

Commands go to a robot, simulated or real, by replay.launch.py; with --sensors nothing but what the
sensors told is played, by replay_sensors.launch.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from brs_hardware.errors import BrsError
from brs_launch import main as launch
from brs_ml.episode import EpisodeError, EpisodeReader


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(prog="brs replay", description=__doc__.split("\n")[0])
    parser.add_argument("bag", type=Path, help="folder of the episode")
    parser.add_argument("--sim", action="store_true", help="start the simulator, and arm in it")
    parser.add_argument("--seed", type=int, help="of the simulated task; default: the episode's")
    parser.add_argument("--rate", type=float, default=1.0, help="2 is twice as fast")
    parser.add_argument(
        "--from", "--start", dest="start", type=float, default=0.0, help="begin here [s]"
    )
    parser.add_argument(
        "--topics", default="", help="topics to play, too: from or from:=to, with commas"
    )
    parser.add_argument(
        "--arm", action="store_true", help="arm the robot without waiting for a person"
    )
    sensors = parser.add_argument_group("sensors instead of commands")
    sensors.add_argument(
        "--sensors", action="store_true", help="play all sensors, or what --topics names"
    )
    sensors.add_argument("--loop", action="store_true", help="again and again")
    stamps = sensors.add_mutually_exclusive_group()
    stamps.add_argument(
        "--recorded-stamps", action="store_true", help="keep stamps; default: moved to now"
    )
    stamps.add_argument(
        "--clock", action="store_true", help="keep stamps, and tell their time on /clock"
    )
    parser.add_argument("--namespace", default="", help="of all nodes")
    parser.add_argument(
        "launch_arguments", nargs="*", metavar="name:=value", help="more for replay.launch.py"
    )
    options = parser.parse_args(arguments)
    if options.sensors and (options.sim or options.arm or options.seed is not None):
        parser.error("--sim, --arm and --seed are for commands, not for --sensors")
    if not options.sensors and (options.loop or options.clock or options.recorded_stamps):
        parser.error("--loop, --clock and --recorded-stamps need --sensors")
    return options


def launch_arguments(options: argparse.Namespace) -> list[str]:
    """The command line of the launch: file and arguments.

    Raises:
        BrsError: the bag cannot be read; known before anything is started.
    """
    try:
        info = EpisodeReader(options.bag).info
    except EpisodeError as error:
        raise BrsError(error.what, where=error.where, remedy=error.remedy) from None
    values = {"bag": options.bag.resolve(), "rate": options.rate, "start_s": options.start}
    if options.sensors:
        file = "replay_sensors.launch.py"
        values["robot"] = info.robot or "r1"
        values["stamps"] = "recorded" if options.recorded_stamps else "now"
        values["clock"] = str(options.clock).lower()
        values["loop"] = str(options.loop).lower()
    else:
        file = "replay.launch.py"
        values["sim"] = str(options.sim).lower()
        values["arm"] = str(options.arm or options.sim).lower()
        values["seed"] = info.seed if options.seed is None else options.seed
    if options.topics:
        values["topics"] = options.topics
    if options.namespace:
        values["namespace"] = options.namespace
    told = [f"{name}:={value}" for name, value in values.items()]
    return [file, *told, *options.launch_arguments]


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs replay`. Raises BrsError."""
    sys.argv = ["brs launch", *launch_arguments(parse(arguments))]
    launch.main()
