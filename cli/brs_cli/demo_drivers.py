"""Who may drive in `brs demo`: the scripted operator at the emulated leader, or a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from brs_cli.eval_config import EvalConfig
from brs_cli.session import Session
from brs_hardware.config import load_named
from brs_hardware.errors import BrsError

FOLLOWS, ACTING = 0, 2  # states of TeleopState and PolicyState


class Driver(Protocol):
    """How a driver is started and watched."""

    title: str  # what it does
    name: str  # operator of the episode
    launch_file: str
    arguments: dict[str, str]  # of the launch file
    source: str  # of commands, as the robot node calls it
    limit_s: float  # simulated time in which it must be done

    def on_line(self, process: str, line: str) -> None:
        """Told each line that its processes print."""

    def is_ready(self, session: Session) -> bool:
        """Whether the robot may be armed."""

    def is_done(self, session: Session) -> bool:
        """Whether nothing more is to come."""

    def news(self, session: Session) -> str:
        """What it is doing, in a few words."""


class ScriptedDriver:
    """The operator who knows the scene, at the emulated leader."""

    title, name, source = "teleoperation", "script", "teleop"
    launch_file = "teleop.launch.py"
    limit_s = 180.0

    def __init__(self) -> None:
        self.arguments = {"leader": "script"}
        self._phase = "starting"

    def on_line(self, process: str, line: str) -> None:
        """See `Driver`."""
        if process.startswith("leader_emulator") and "[leader_emulator]: " in line:
            self._phase = line.split("[leader_emulator]: ", 1)[1]

    def is_ready(self, session: Session) -> bool:
        """See `Driver`."""
        teleop = session.state.get("teleop/state")
        return teleop is not None and teleop.state == FOLLOWS

    def is_done(self, _: Session) -> bool:
        """See `Driver`."""
        return self._phase == "done"

    def news(self, _: Session) -> str:
        """See `Driver`."""
        return self._phase


class PolicyDriver:
    """A policy in its node; it has as long as `brs eval` gives it.

    Args:
        checkpoint: of the policy.
        task: whose clouds it sees.

    Raises:
        BrsError: there is no such file.
    """

    title, source = "policy", "policy"
    launch_file = "policy.launch.py"

    def __init__(self, checkpoint: str, task: str) -> None:
        path = Path(checkpoint)
        if not path.is_file():
            raise BrsError("is no checkpoint", where=checkpoint, remedy="brs train makes one")
        self.name = path.name
        # As many pictures as it decides by, and no more: they are drawn on the same cores.
        self.arguments = {"checkpoint": str(path.resolve()), "camera_hz": "10.0"}
        self.limit_s = load_named(EvalConfig, "eval", "default", "evaluation").trial(task).limit_s

    def on_line(self, process: str, line: str) -> None:
        """See `Driver`."""

    def is_ready(self, session: Session) -> bool:
        """See `Driver`."""
        policy = session.state.get("policy/state")
        return policy is not None and policy.chunks > 0

    def is_done(self, session: Session) -> bool:
        """See `Driver`."""
        return bool(session.state["sim/task"].success)

    def news(self, session: Session) -> str:
        """See `Driver`."""
        policy = session.state["policy/state"]
        if policy.state != ACTING:
            return str(policy.message)
        return f"{policy.chunk_hz:.1f} chunks a second, {1e3 * policy.latency_p95_s:.0f} ms late"
