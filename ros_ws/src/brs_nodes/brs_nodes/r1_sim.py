"""Node `r1_sim`: the simulated R1 behind the vendor's topics.

Two threads share the world: `physics` takes commands, steps in real time (or `realtime_factor`
times that) and publishes feedback at 200 Hz; `cameras` renders and publishes
images at their own rate from snapshots, so that a slow picture never delays feedback.

With use_sim_time the node publishes /clock and stamps with simulated time; without it, stamps are
the wall clock's, as on the robot.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from brs_interfaces.msg import TaskState
from brs_interfaces.srv import ResetTask
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from visualization_msgs.msg import MarkerArray

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, DeviceError
from brs_nodes import conversions
from brs_nodes.camera_topics import CameraPublisher, Rates
from brs_nodes.common import (
    LATCHED,
    Diagnostics,
    declare,
    parameter,
    run,
)
from brs_nodes.driver_topics import DriverTopics
from brs_nodes.report_messages import objects_message, task_message
from brs_nodes.sim_status import SimulatedStatus
from brs_sim.cameras import CameraRenderer
from brs_sim.emulators.cameras import as_camera_frame
from brs_sim.tasks import TaskStatus
from brs_sim.world import World

FEEDBACK_HZ = 200.0
ODOMETRY_HZ = 50.0
OBJECTS_HZ = 10.0
TASK_HZ = 5.0
# Behind by more than this, the simulator gives up catching up and lets time slip. What slips is
# missing from every way that the base drives, so it is told.
LATEST_S = 0.5
# Behind by more than this, it draws no pictures until it has caught up.
LATE_S = 0.02


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    task: str = parameter("shelves", "scene and success rule")
    seed: int = parameter(0, "of the scene", 0, 2**31 - 1)
    realtime_factor: float = parameter(1.0, "simulated seconds a second", 0.01, 100.0)
    camera_hz: float = parameter(15.0, "rate of every camera; 0 switches them off", 0.0, 60.0)
    # The following may be set while the node runs.
    battery_percent: float = parameter(100.0, "charge that is reported", 0.0, 105.0)
    fault: str = parameter("", "reported fault 'part:motor:code', e.g. left_arm:joint3:13")
    remote_mode: int = parameter(5, "mode of the remote control that is reported", 0, 255)


class R1SimNode(Node):
    """Thin shell around World."""

    def __init__(self) -> None:
        super().__init__("r1_sim")
        self.parameters = declare(self, Parameters)
        self.robot = load_embodiment(self.parameters.robot)
        self.world = World(self.robot, self.parameters.task, self.parameters.seed)
        self.publish_clock = bool(self.get_parameter("use_sim_time").value)
        self._driver = DriverTopics(self, self.robot)
        self._open_publishers()
        self._status = SimulatedStatus(
            self, self.robot.vendor, lambda: self._stamp_s(self.world.time_s)
        )
        self.create_service(ResetTask, "sim/reset", self._on_reset)
        self.diagnostics = Diagnostics(self, self._summary)
        self._time_base_s = time.time() if not self.publish_clock else 0.0
        self._reached = 0.0  # measured realtime factor
        self._slipped_s = 0.0  # wall time that was never simulated
        self._behind_s = 0.0  # how far the simulator is behind
        self._latest_s = 0.0  # and has been at most
        self._failure = ""
        self._task_reported: TaskStatus | None = None
        self._closing = threading.Event()
        self._camera_ready = threading.Event()
        self._threads = [threading.Thread(target=self._simulate, name="physics", daemon=True)]
        if self.parameters.camera_hz > 0:
            self._threads.append(threading.Thread(target=self._film, name="cameras", daemon=True))
        else:
            self._camera_ready.set()
        for thread in self._threads:
            thread.start()
        self.get_logger().info(
            f"{self.robot.name}, task {self.parameters.task}, seed {self.parameters.seed}"
        )

    # -- topics ----------------------------------------------------------------------------

    def _open_publishers(self) -> None:
        self._clock_publisher = (
            self.create_publisher(Clock, "/clock", 10) if self.publish_clock else None
        )
        self._task = self.create_publisher(TaskState, "sim/task", LATCHED)
        self._objects = self.create_publisher(MarkerArray, "sim/objects", 10)
        self._cameras = {name: CameraPublisher(self, name, Rates()) for name in self.robot.cameras}

    def _on_reset(
        self, request: ResetTask.Request, response: ResetTask.Response
    ) -> ResetTask.Response:
        self._time_base_s += self.world.time_s  # stamps never go back
        self.world.reset(request.seed)
        response.success, response.message = True, f"seed {request.seed}"
        return response

    # -- physics ---------------------------------------------------------------------------

    def _simulate(self) -> None:
        # Making a GL context stops the whole process for a moment; feedback starts after it.
        self._camera_ready.wait()
        step_s = 1.0 / FEEDBACK_HZ
        pace_s = step_s / self.parameters.realtime_factor
        due_s = window_s = time.monotonic()
        count = 0
        try:
            while not self._closing.is_set():
                self._driver.hand_on(self.world)
                self.world.step(step_s)
                count += 1
                self._publish_feedback(count)
                due_s += pace_s
                left_s = due_s - time.monotonic()
                self._behind_s = -left_s
                self._latest_s = max(self._latest_s, self._behind_s)
                if left_s > 0:
                    time.sleep(left_s)
                elif left_s < -LATEST_S:
                    due_s -= left_s
                    self._slipped_s -= left_s
                    self.get_logger().warning(
                        f"too slow: {self._slipped_s:.1f} s were never simulated",
                        throttle_duration_sec=5.0,
                    )
                if count % FEEDBACK_HZ == 0:
                    elapsed_s, window_s = time.monotonic() - window_s, time.monotonic()
                    self._reached = FEEDBACK_HZ * step_s / elapsed_s
        except BrsError as error:
            self._failure = str(error)
            self.get_logger().fatal(f"the simulation stopped: {error}")

    def _stamp_s(self, simulated_s: float) -> float:
        """Simulated time, or the wall clock's as on the robot."""
        return self._time_base_s + simulated_s if self.publish_clock else time.time()

    def _publish_feedback(self, count: int) -> None:
        feedback = self.world.feedback()
        stamp_s = self._stamp_s(feedback.stamp_s)
        if self._clock_publisher:
            self._clock_publisher.publish(Clock(clock=conversions.to_time(stamp_s)))
        self._driver.publish(stamp_s, feedback)
        self.diagnostics.count("feedback")
        if count % (FEEDBACK_HZ // ODOMETRY_HZ) == 0:
            self._driver.publish_odometry(stamp_s, feedback)
        if count % (FEEDBACK_HZ // OBJECTS_HZ) == 0:
            self._objects.publish(objects_message(stamp_s, self.world.objects()))
        if count % (FEEDBACK_HZ // TASK_HZ) == 0:
            self._publish_task(stamp_s)

    def _publish_task(self, stamp_s: float) -> None:
        status = self.world.task_status()
        seed = self.world.seed
        self._task.publish(task_message(stamp_s, self.parameters.task, seed, status))
        if self._task_reported and status.done != self._task_reported.done:
            done = [n for n, d in zip(status.subtasks, status.done, strict=True) if d]
            self.get_logger().info(f"sub-tasks done: {', '.join(done) or 'none'}")
        self._task_reported = status

    # -- cameras ---------------------------------------------------------------------------

    def _film(self) -> None:
        # Of no less priority than others: a thread that is kept from its core while it holds
        # Python's lock keeps the physics from theirs.
        try:
            renderer = CameraRenderer(self.world)
            for name in self._cameras:
                renderer.render(self.world.snapshot(), name)
        except DeviceError as error:
            self._failure = str(error)
            self.get_logger().fatal(f"no pictures: {error}")
            return
        finally:
            self._camera_ready.set()
        period_s = 1.0 / self.parameters.camera_hz
        next_s, number = 0.0, 0
        while not self._closing.is_set():
            now_s = self.world.time_s
            if now_s < next_s - period_s:  # the scene was reset
                next_s = now_s
            if now_s < next_s:
                self._closing.wait(min((next_s - now_s) / self.parameters.realtime_factor, 0.05))
                continue
            if self._behind_s > LATE_S and now_s < next_s + period_s:
                self._closing.wait(LATE_S)  # the physics first, for one picture's time at most
                continue
            next_s = max(next_s + period_s, now_s)
            snapshot = self.world.snapshot()
            stamp_s = self._stamp_s(snapshot.stamp_s)
            number += 1
            frames = [
                as_camera_frame(renderer.render(snapshot, name), stamp_s, number)
                for name in self._cameras
            ]
            # Together, as cameras do that expose at one moment, and not as each is drawn.
            for publisher, frame in zip(self._cameras.values(), frames, strict=True):
                if not self._closing.is_set():
                    publisher.publish(frame)
            self.diagnostics.count("frames")
        renderer.close()

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        if self._failure:
            return 2, self._failure, {}
        slow = self._reached < 0.95 * self.parameters.realtime_factor
        line = f"{self._reached:.2f} x real time"
        values = {
            "realtime_factor": f"{self._reached:.3f}",
            "never simulated [s]": f"{self._slipped_s:.2f}",
            "furthest behind [s]": f"{self._latest_s:.3f}",
        }
        return int(slow), line, values

    def close(self) -> None:
        """Stop the threads before the publishers go."""
        self._closing.set()
        for thread in self._threads:
            thread.join(timeout=2.0)
        self._driver.close()


def main() -> None:
    run(R1SimNode)
