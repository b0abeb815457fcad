"""The action `joylo/calibrate`: both poses without a keyboard, while node `joylo` runs.

The executor's thread takes the goal; the leader's thread, which owns the bus, does the work.
"""

from __future__ import annotations

import datetime
import threading
import time
from typing import Any

from brs_interfaces.action import Calibrate
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.task import Future

from brs_hardware.calibration_store import save_leader_calibration
from brs_hardware.errors import BrsError
from brs_hardware.hands_free_calibration import HandsFreeCalibration
from brs_hardware.joylo import JoyLo

DEVICE = "joylo"
SAMPLE_PERIOD_S = 0.02
FEEDBACK_PERIOD_S = 0.2


class LeaderCalibrator:
    """One calibration at a time.

    Args:
        node: whose action it is.
        leader: used by the thread that calls `run`.
    """

    def __init__(self, node: Node, leader: JoyLo) -> None:
        self._node, self._leader = node, leader
        self.requested = threading.Event()  # someone waits for `run`
        self._goal: ServerGoalHandle | None = None
        self._outcome: Future[Calibrate.Result] = Future()
        self._server = ActionServer(
            node,
            Calibrate,
            "joylo/calibrate",
            self._execute,
            goal_callback=self._judge,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def run(self, closing: threading.Event) -> None:
        """Calibrate the connected leader; it must be bound anew afterwards.

        Args:
            closing: set when the node ends.
        """
        try:
            message = self._calibrated(closing)
        except BrsError as error:
            self.finish(False, str(error))
        else:
            self.finish(True, message)

    def finish(self, success: bool, message: str) -> None:
        """Answer who waits, if anybody does."""
        if self.requested.is_set():
            self.requested.clear()
            self._node.get_logger().info(f"calibration: {message}")
            self._outcome.set_result(Calibrate.Result(success=success, message=message))

    def close(self) -> None:
        """Give up the action."""
        self.finish(False, "the node ends")
        self._server.destroy()

    def _calibrated(self, closing: threading.Event) -> str:
        """What became of it. Raises BrsError."""
        config, goal = self._leader.config, self._goal
        assert goal is not None  # `requested` is set after it
        if config.calibration is None:
            raise BrsError("has no calibration poses in its YAML", where=config.name)
        guide = HandsFreeCalibration(config, config.calibration)
        zeros, told_s = None, 0.0
        while zeros is None:
            if closing.is_set() or goal.is_cancel_requested:
                raise BrsError("given up; the calibration from before stays", where=config.name)
            clock_s = time.monotonic()
            zeros = guide.update(self._leader.read_ticks(), clock_s)
            if clock_s >= told_s + FEEDBACK_PERIOD_S:
                told_s = clock_s
                goal.publish_feedback(
                    Calibrate.Feedback(instruction=guide.instruction, progress=guide.progress)
                )
            time.sleep(SAMPLE_PERIOD_S)
        made = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        return f"stored in {save_leader_calibration(config, self._leader.bus, zeros, made)}"

    def _judge(self, goal: Calibrate.Goal) -> GoalResponse:
        if goal.device != DEVICE or self.requested.is_set():
            self._node.get_logger().warning(
                f"cannot calibrate '{goal.device}' now; this action does '{DEVICE}', one at a time"
            )
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    async def _execute(self, goal: ServerGoalHandle) -> Calibrate.Result:
        self._goal, self._outcome = goal, Future(executor=self._node.executor)
        self.requested.set()
        result: Any = await self._outcome
        if result.success:
            goal.succeed()
        elif goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        return result
