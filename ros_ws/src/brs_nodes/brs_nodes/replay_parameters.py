"""Parameters of node `replay`."""

from __future__ import annotations

from dataclasses import dataclass

from brs_hardware.errors import ConfigError
from brs_nodes.common import parameter


@dataclass(frozen=True)
class Parameters:
    bag: str = parameter("", "folder of the episode")
    robot: str = parameter("r1", "robot description in config/robots, names the joints")
    rate: float = parameter(1.0, "speed; 2 is twice as fast", 0.01, 100.0)
    start_s: float = parameter(0.0, "leave out so much of the beginning", 0.0, 1e6)
    sensors: bool = parameter(False, "play what sensors of robot and leader told")
    topics: str = parameter("", "topics to play besides: from or from:=to, comma-separated")
    commands: bool = parameter(True, "play the commands")
    arm: bool = parameter(False, "arm the robot; otherwise wait for a person to do it")
    start_tolerance_rad: float = parameter(0.5, "farthest joint at the start", 0.0, 10.0)
    command_topic_in: str = parameter(
        "", "commands in the bag; empty: what its only driver asked for, or else robot/command"
    )
    command_topic_out: str = parameter("replay/command", "where they are played to")
    stamps: str = parameter(
        "now", "of sensors: now, as old as they were when recorded; or recorded"
    )
    clock: bool = parameter(False, "tell the bag's time on /clock; stamps are as recorded")
    loop: bool = parameter(False, "play sensors again and again")
    exit_when_done: bool = parameter(True, "end the process after the last message")


def check(parameters: Parameters, sim_time: bool) -> None:
    """Refuse what contradicts itself.

    Raises:
        ConfigError: names the parameter.
    """
    if parameters.stamps not in ("now", "recorded"):
        raise ConfigError(
            f"no kind of stamps '{parameters.stamps}'",
            where="parameter stamps",
            remedy="now or recorded",
        )
    for name in ("clock", "loop"):
        if parameters.commands and getattr(parameters, name):
            raise ConfigError(
                "is for sensors only", where=f"parameter {name}", remedy="commands:=false"
            )
    if parameters.clock and sim_time:
        raise ConfigError(
            "this node tells the time that it would follow",
            where="parameter clock",
            remedy="use_sim_time:=false",
        )
