"""`brs record`: asks the recorder node to start, pause, mark, stop, save or discard an episode."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import rclpy
from brs_interfaces.msg import EpisodeState
from brs_interfaces.srv import MarkEpisode, PauseEpisode, StartEpisode, StopEpisode
from rclpy.node import Node

from brs_hardware.errors import BrsError
from brs_nodes.common import LATCHED

ACTIONS = {
    "stop": StopEpisode.Request.STOP,
    "save": StopEpisode.Request.SAVE,
    "discard": StopEpisode.Request.DISCARD,
}
STATES = {
    EpisodeState.IDLE: "idle",
    EpisodeState.RECORDING: "recording",
    EpisodeState.REVIEW: "stopped, save or discard",
    EpisodeState.ERROR: "error",
    EpisodeState.PAUSED: "paused",
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(prog="brs record", description=__doc__)
    parser.add_argument("action", choices=["start", "pause", "resume", "mark", *ACTIONS, "status"])
    parser.add_argument("name", nargs="?", default="", help="with mark: of this moment")
    parser.add_argument("--task", default="", help="what is to be done")
    parser.add_argument("--instruction", default="", help="the task in words")
    parser.add_argument("--operator", default="", help="who teaches")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated task")
    parser.add_argument("--failure", action="store_true", help="with save: the task failed")
    parser.add_argument("--namespace", default="", help="of the recorder")
    parser.add_argument("--timeout", type=float, default=5.0, help="patience [s]")
    options = parser.parse_args(arguments)
    if options.name and options.action != "mark":
        parser.error(f"{options.action} takes no name")
    return options


class RecorderClient:
    """Talks to one recorder node."""

    def __init__(self, node: Node, timeout_s: float) -> None:
        self._node, self._timeout_s = node, timeout_s

    def start(self, options: argparse.Namespace) -> str:
        """Start an episode; says which."""
        request = StartEpisode.Request(
            task=options.task,
            instruction=options.instruction,
            operator_name=options.operator,
            seed=options.seed,
        )
        return self._call(StartEpisode, "episode/start", request).message

    def pause(self, pause: bool) -> str:
        """Pause or go on; says which."""
        return self._call(PauseEpisode, "episode/pause", PauseEpisode.Request(pause=pause)).message

    def mark(self, name: str) -> str:
        """Name this moment; says how."""
        return self._call(MarkEpisode, "episode/mark", MarkEpisode.Request(name=name)).message

    def stop(self, action: int, success: bool) -> str:
        """Stop, save or discard; says where it is and what it holds."""
        request = StopEpisode.Request(action=action, task_success=success)
        response = self._call(StopEpisode, "episode/stop", request)
        return f"{response.message} ({response.messages} messages, {response.lost} lost)"

    def status(self) -> str:
        """What the recorder is doing."""
        states: list[EpisodeState] = []
        self._node.create_subscription(EpisodeState, "episode/state", states.append, LATCHED)
        self._until(lambda: bool(states))
        state = states[-1]
        line = f"{STATES.get(state.state, state.state)} {state.episode or state.message}".strip()
        if state.state == EpisodeState.ERROR:
            return f"{line}: {state.message}"
        return (
            f"{line} ({state.duration_s:.1f} s, {state.messages} messages, {state.lost} lost, "
            f"{state.bytes / 1e6:.1f} MB)"
        )

    def _call(self, service: Any, name: str, request: Any) -> Any:
        client: Any = self._node.create_client(service, name)
        self._until(client.service_is_ready)
        future = client.call_async(request)
        self._until(future.done)
        response: Any = future.result()
        if not response.success:
            raise BrsError(response.message)
        return response

    def _until(self, done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + self._timeout_s
        while not done():
            if time.monotonic() > deadline_s:
                raise BrsError(
                    "no recorder answers",
                    where=self._node.get_namespace(),
                    remedy="start one (brs launch teleop.launch.py record:=true), or --namespace",
                )
            rclpy.spin_once(self._node, timeout_sec=0.05)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs record`. Raises BrsError with the recorder's own words."""
    options = parse(arguments)
    rclpy.init(args=[])
    try:
        node = Node(
            "brs_record",
            namespace=options.namespace,
            enable_rosout=False,
            start_parameter_services=False,
        )
        client = RecorderClient(node, options.timeout)
        if options.action == "start":
            print(client.start(options))
        elif options.action == "status":
            print(client.status())
        elif options.action in ("pause", "resume"):
            print(client.pause(options.action == "pause"))
        elif options.action == "mark":
            print(client.mark(options.name))
        else:
            print(client.stop(ACTIONS[options.action], not options.failure))
    finally:
        rclpy.try_shutdown()
