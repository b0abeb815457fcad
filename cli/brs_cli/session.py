"""A launch file and a person's side of it: watches and arms the robot, records episodes."""

from __future__ import annotations

import collections
import os
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from brs_interfaces.msg import EpisodeState, PolicyState, SafetyState, TaskState, TeleopState
from brs_interfaces.srv import Arm, SelectSource, StartEpisode, StopEpisode
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import Bool
from visualization_msgs.msg import MarkerArray

from brs_hardware.errors import BrsError
from brs_launch.runner import Launch
from brs_nodes.common import LATCHED, make_executor
from brs_nodes.transport import datagrams

STATES = {
    "robot/safety": SafetyState,
    "teleop/state": TeleopState,
    "policy/state": PolicyState,
    "sim/task": TaskState,
    "episode/state": EpisodeState,
    "replay/done": Bool,
}
POSES = "sim/objects"


def own_domain() -> None:
    """Keep off other robots on this computer: a domain nobody chose by hand."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + secrets.randbelow(100)))


class Session:
    """A running launch file with a client node beside it.

    Args:
        launch_file: name in launch/.
        arguments: launch arguments.
        on_line: gets each line the processes print.

    Raises:
        BrsError: the launch file or an argument is wrong.
    """

    def __init__(
        self,
        launch_file: str,
        arguments: dict[str, str],
        on_line: Callable[[str, str], None] | None = None,
    ) -> None:
        self.lines: collections.deque[str] = collections.deque(maxlen=200)
        self._on_line = on_line
        self.launch = Launch(launch_file, arguments, self._take_line)
        self.state: dict[str, Any] = {}

    def __enter__(self) -> Session:
        self._context = Context()
        with datagrams():
            rclpy.init(context=self._context)
            self.node = Node("person", context=self._context)
        self._executor = make_executor(self._context)
        self._executor.add_node(self.node)
        for topic, kind in STATES.items():
            self.node.create_subscription(
                kind,
                topic,
                lambda message, topic=topic: self.state.__setitem__(topic, message),
                LATCHED,
            )
        self.node.create_subscription(
            MarkerArray, POSES, lambda message: self.state.__setitem__(POSES, message), 10
        )
        self.launch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.launch.shutdown()
        self.launch.wait(20.0)
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _take_line(self, process: str, _: str, line: str) -> None:
        self.lines.append(f"[{process}] {line}")
        if self._on_line:
            self._on_line(process, line)

    def spin(self, seconds: float) -> None:
        """Handle messages for a while."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=0.05)

    def wait(self, what: str, holds: Callable[[], Any], timeout_s: float) -> None:
        """Handle messages until something holds.

        Raises:
            BrsError: it did not in time, or the launch ended; with the last lines printed.
        """
        end_s = time.monotonic() + timeout_s
        while not holds():
            over = self.launch.wait(0.0) is not None
            if over or time.monotonic() > end_s:
                reason = "the launch ended" if over else f"not within {timeout_s:.0f} s"
                raise BrsError(
                    f"waited for {what}: {reason}; last lines:\n  "
                    + "\n  ".join(list(self.lines)[-12:])
                )
            self._executor.spin_once(timeout_sec=0.05)

    def call(self, service: type, name: str, request: Any, timeout_s: float = 10.0) -> Any:
        """Call a service and return its answer.

        Raises:
            BrsError: no such service, no answer in time, or it answered with success false.
        """
        client: Any = self.node.create_client(service, name)
        self.wait(f"service {name}", client.service_is_ready, timeout_s)
        future = client.call_async(request)
        self.wait(f"answer of {name}", future.done, timeout_s)
        self.node.destroy_client(client)
        answer: Any = future.result()
        if not answer.success:
            raise BrsError(answer.message, where=name)
        return answer

    def process(self, node: str) -> int:
        """Process id of a node of the launch file. Raises BrsError: it does not run."""
        for name, pid in self.launch.running.items():
            if name.rpartition("-")[0] == node:
                return pid
        raise BrsError(f"node '{node}' does not run", remedy=", ".join(self.launch.running))

    def objects(self) -> dict[str, tuple[float, float, float]]:
        """Where the simulated objects are now [m], by name."""
        markers = self.state[POSES].markers if POSES in self.state else []
        places = {marker.ns: marker.pose.position for marker in markers}
        return {name: (place.x, place.y, place.z) for name, place in places.items()}

    def wait_for_robot(self, timeout_s: float = 60.0) -> None:
        """Until feedback arrives at the robot node and the simulator shows its task."""
        self.wait(
            "the robot's feedback",
            lambda: (
                "sim/task" in self.state
                and "robot/safety" in self.state
                and 0 <= self.state["robot/safety"].feedback_age_s < 0.1
            ),
            timeout_s,
        )

    def arm(self, source: str = "teleop") -> None:
        """Select a source and arm, as a person does."""
        self.call(SelectSource, "robot/select_source", SelectSource.Request(source=source))
        for _ in range(5):
            try:
                self.call(Arm, "robot/arm", Arm.Request(arm=True))
                return
            except BrsError as error:
                problem = error
                self.spin(1.0)  # a person reads why, and tries again
        raise problem

    def start_episode(self, **fields: Any) -> str:
        """Start recording; returns the episode's path."""
        answer = self.call(StartEpisode, "episode/start", StartEpisode.Request(**fields))
        return str(answer.path)

    def save_episode(self, task_success: bool) -> StopEpisode.Response:
        """Save the running episode."""
        request = StopEpisode.Request(action=StopEpisode.Request.SAVE, task_success=task_success)
        return self.call(StopEpisode, "episode/stop", request, timeout_s=30.0)
