"""Node `leader_keyboard`: the keys of its terminal lead the robot, without a JoyLo."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass

from brs_hardware.errors import DeviceError
from brs_hardware.leaders import KeyboardLeader
from brs_hardware.leaders.devices import read_keys
from brs_hardware.leaders.hands import KEYBOARD_HELP
from brs_nodes import direct_leader
from brs_nodes.common import Priority, now_s, parameter, run

_LOOK_S = 0.1


@dataclass(frozen=True)
class Parameters(direct_leader.Parameters):
    leader: str = parameter("keyboard", "leader description in config/leaders, of kind keyboard")


class LeaderKeyboardNode(direct_leader.DirectLeaderNode):
    """Thin shell around KeyboardLeader; a thread waits for keys."""

    def __init__(self) -> None:
        super().__init__("leader_keyboard", Parameters, KeyboardLeader)
        self._keys: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="keys", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with read_keys() as keys:
                self.get_logger().info(KEYBOARD_HELP)
                while not self._closing.is_set():
                    for key in keys(_LOOK_S):
                        self._keys.put((now_s(self), key))
        except DeviceError as error:  # the leader notices that no key comes any more
            self.get_logger().fatal(str(error))

    def hear(self) -> None:
        while not self._keys.empty():
            self.leader.hear(*self._keys.get())

    def close(self) -> None:
        """Give the terminal back."""
        self._closing.set()
        self._thread.join(timeout=1.0)
        super().close()


def main() -> None:
    run(LeaderKeyboardNode, Priority.CONTROL)
