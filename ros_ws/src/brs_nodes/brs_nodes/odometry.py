"""Node `odometry`: where the base is, from wheels, a tracking camera and a depth camera.

The timer feeds the filter and publishes; a thread registers the depth camera's frames, as that
takes tens of milliseconds.
"""

from __future__ import annotations

import math
import queue
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import JointState

from brs_hardware.camera_calibration.mounts import with_measured_mounts
from brs_hardware.cameras import CameraFrame, FrameMatcher
from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_hardware.odometry import (
    BaseMotion,
    LeverArm,
    OdometryFilter,
    RelativeMotion,
    RgbdOdometry,
    WheelOdometry,
)
from brs_nodes import conversions
from brs_nodes.camera_topics import camera_topics
from brs_nodes.common import (
    NEWEST,
    SENSOR,
    Diagnostics,
    Inbox,
    declare,
    log,
    now_s,
    parameter,
    run,
)

_PLANAR = [0, 1, 5]  # x, y, yaw of the six in a message
_LEAVING_THE_FLOOR = 1e-6  # variance of height, roll and pitch, which are zero
_CLOCK_SET_BACK_S = 1.0
_JOINTS_KEPT = 100


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    output_topic: str = parameter("", "nav_msgs/Odometry to publish; empty takes the robot's")
    rate_hz: float = parameter(50.0, "rate of the output", 1.0, 200.0)
    wheels: bool = parameter(True, "use the chassis feedback of the robot")
    tracking_topic: str = parameter("", "nav_msgs/Odometry of a tracking camera; empty is none")
    # BRS's T265: behind the axis, looking backwards.
    tracking_position: tuple[float, ...] = parameter(
        (-0.235, -0.0095, 0.313), "where that sensor is in base_link [m]"
    )
    tracking_rpy: tuple[float, ...] = parameter(
        (0.0, 0.0, math.pi), "how it is turned in base_link [rad]"
    )
    tracking_noise: float = parameter(
        0.02, "of its twist, where it gives no covariance [m/s, rad/s]", 0.0001, 1.0
    )
    camera: str = parameter("", "depth camera of the robot to use, such as head; empty is none")
    measured_mounts: bool = parameter(False, "real cameras: stand where they were measured to")


class OdometryNode(Node):
    """Thin shell around OdometryFilter and its sources."""

    def __init__(self) -> None:
        super().__init__("odometry")
        self.parameters = declare(self, Parameters)
        self.robot = load_embodiment(self.parameters.robot)
        if self.parameters.measured_mounts:
            self.robot = with_measured_mounts(self.robot)
        topic = self.parameters.output_topic or self.robot.base.odometry_topic
        self._output = self.create_publisher(Odometry, topic, SENSOR)
        self._inbox = Inbox(self)
        self._open_inputs()
        self._lost: list[str] = []
        self._begin(np.zeros(3))
        self.diagnostics = Diagnostics(self, self._summary)
        self._closing = threading.Event()
        self._registered: queue.SimpleQueue[RelativeMotion] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._watch, name="depth camera", daemon=True)
        if self.parameters.camera:
            self._thread.start()
        self.create_timer(1.0 / self.parameters.rate_hz, self._beat)

    def _open_inputs(self) -> None:
        chosen, newest = self.parameters, self._inbox.newest
        if not (chosen.wheels or chosen.tracking_topic or chosen.camera):
            raise ConfigError(
                "no input", where="odometry", remedy="set wheels, tracking_topic or camera"
            )
        for name in ("tracking_position", "tracking_rpy"):
            if len(getattr(chosen, name)) != 3:
                raise ConfigError("needs 3 numbers", where=f"parameter {name}")
        self._wheels = WheelOdometry(self.robot.base)
        self._chassis = newest(JointState, self.robot.base.feedback_topic, NEWEST)
        self._mount = LeverArm(np.array(chosen.tracking_position), np.array(chosen.tracking_rpy))
        if chosen.tracking_topic:
            self._tracking = newest(Odometry, chosen.tracking_topic, NEWEST)
        if chosen.camera:
            if chosen.camera not in self.robot.cameras:
                raise ConfigError(
                    f"the robot has no camera '{chosen.camera}'",
                    where="parameter camera",
                    remedy=did_you_mean(chosen.camera, self.robot.cameras),
                )
            self._parts_in = {
                part: self._inbox.all(kind, topic, SENSOR)
                for part, (kind, topic) in camera_topics(chosen.camera, "raw").items()
            }
            self._joints_in = {
                name: newest(JointState, self.robot.group(name).feedback_topic, NEWEST)
                for name in self.robot.GROUPS
            }
            self._camera = RgbdOdometry()
            self._kinematics = Kinematics(self.robot)

    def _begin(self, pose: np.ndarray) -> None:
        """A new filter from this pose on."""
        self._filter = OdometryFilter(pose=pose)
        chosen = self.parameters
        for name, wanted in (
            ("wheels", chosen.wheels),
            ("tracking", chosen.tracking_topic),
            ("camera", chosen.camera),
        ):
            if wanted:
                self._filter.add_input(name, wheels=name == "wheels")
        self._last_s = now_s(self)

    # -- the filter ------------------------------------------------------------------------

    def _beat(self) -> None:
        now = now_s(self)
        if now < self._last_s - _CLOCK_SET_BACK_S:
            self.get_logger().warning("the clock was set back; the filter begins anew from here")
            self._begin(self._filter.estimate().pose)
        self._last_s = now
        if self.parameters.wheels and (feedback := self._chassis()) is not None:
            self._take_wheels(feedback, now)
        if self.parameters.tracking_topic and (odometry := self._tracking()) is not None:
            stamp_s = min(conversions.to_seconds(odometry.header.stamp), now)
            self._filter.update("tracking", self._of_the_base(stamp_s, odometry))
            self.diagnostics.count("tracking")
        while not self._registered.empty():
            self._filter.follow("camera", self._registered.get())
            self.diagnostics.count("camera")
        self._filter.predict(now)
        self._publish()
        self._tell_losses(now)

    def _take_wheels(self, feedback: JointState, now: float) -> None:
        """The vendor's chassis feedback begins with vx, vy, wz."""
        # A stamp of the future would make all others late.
        stamp_s = min(conversions.to_seconds(feedback.header.stamp), now)
        velocity = np.array(feedback.velocity[:3])
        if velocity.size < 3:
            return
        try:
            self._filter.update("wheels", self._wheels.update(stamp_s, velocity))
        except DeviceError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
        self.diagnostics.count("wheels")

    def _of_the_base(self, stamp_s: float, odometry: Odometry) -> BaseMotion:
        """The tracking camera's twist, as the base has it."""
        linear, angular = odometry.twist.twist.linear, odometry.twist.twist.angular
        twist = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
        covariance = np.array(odometry.twist.covariance).reshape(6, 6)
        if not np.all(np.diag(covariance) > 0.0):
            covariance = np.eye(6) * self.parameters.tracking_noise**2
        of_base = self._mount.twist_covariance(covariance)[np.ix_(_PLANAR, _PLANAR)]
        return BaseMotion(stamp_s, self._mount.twist(twist)[_PLANAR], of_base)

    def _publish(self) -> None:
        estimate = self._filter.estimate()
        message = Odometry(child_frame_id="base_link")
        message.header.stamp = conversions.to_time(estimate.stamp_s)
        message.header.frame_id = "odom"
        x, y, yaw = map(float, estimate.pose)
        message.pose.pose.position.x, message.pose.pose.position.y = x, y
        message.pose.pose.orientation.z = math.sin(yaw / 2)
        message.pose.pose.orientation.w = math.cos(yaw / 2)
        vx, vy, wz = map(float, estimate.velocity)
        message.twist.twist.linear.x, message.twist.twist.linear.y = vx, vy
        message.twist.twist.angular.z = wz
        message.pose.covariance = _six_by_six(estimate.pose_covariance)
        message.twist.covariance = _six_by_six(estimate.velocity_covariance)
        self._output.publish(message)

    def _tell_losses(self, now: float) -> None:
        lost = self._filter.lost(now)
        if lost != self._lost:
            line = f"no more odometry from {', '.join(lost)}" if lost else "all odometry is there"
            log(self, bool(lost), line)
        self._lost = lost

    # -- the depth camera ------------------------------------------------------------------

    def _watch(self) -> None:
        joints: dict[str, deque[tuple[float, np.ndarray]]] = {
            name: deque(maxlen=_JOINTS_KEPT) for name in self._joints_in
        }
        frame_name = optical_frame(self.parameters.camera)
        matcher = FrameMatcher(self.parameters.camera, frame_name)
        while not self._closing.is_set():
            for name, take in self._joints_in.items():
                if (state := take()) is not None:
                    stamp_s = conversions.to_seconds(state.header.stamp)
                    count = len(self.robot.group(name).joints)
                    joints[name].append((stamp_s, np.array(state.position[:count])))
            frame = self._newest_frame(matcher)
            if frame is None or not all(joints.values()):
                self._closing.wait(0.005)
                continue
            at_frame = {
                name: min(history, key=lambda entry: abs(entry[0] - frame.stamp_s))[1]
                for name, history in joints.items()
            }
            pose = self._kinematics.pose(frame_name, at_frame)
            guess = self._filter.estimate().velocity
            self._registered.put(self._camera.update(frame, pose, guess))

    def _newest_frame(self, matcher: FrameMatcher) -> CameraFrame | None:
        frames: list[CameraFrame] = []
        for part, take in self._parts_in.items():
            for message in take():
                try:
                    frames += matcher.add(part, message)
                except DeviceError as error:
                    self.get_logger().error(str(error), throttle_duration_sec=5.0)
        return max(frames, key=lambda frame: frame.stamp_s, default=None)

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        inputs = self._filter.inputs
        values: dict[str, Any] = {}
        for name, status in inputs.items():
            values[f"{name} used, refused, late"] = (
                f"{status.used}, {status.refused}, {status.late}"
            )
        estimate = self._filter.estimate()
        deviation = np.sqrt(np.diag(estimate.pose_covariance))
        values["deviation x, y, yaw"] = ", ".join(f"{value:.3f}" for value in deviation)
        values["wheels read too much"] = np.round(self._filter.wheel_scale, 3).tolist()
        if self.parameters.camera:
            values["camera failures"] = self._camera.failures
            values["camera problem"] = self._camera.problem
        lost = self._lost
        level = 0 if not lost else 2 if len(lost) == len(inputs) else 1
        return level, f"lost: {', '.join(lost)}" if lost else f"from {', '.join(inputs)}", values

    def close(self) -> None:
        """Stop the thread before its topics go."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)
        self._inbox.close()


def _six_by_six(planar: np.ndarray) -> np.ndarray:
    """(36,) covariance of a message from that of x, y, yaw."""
    full = np.eye(6) * _LEAVING_THE_FLOOR
    full[np.ix_(_PLANAR, _PLANAR)] = planar
    return full.ravel()


def main() -> None:
    run(OdometryNode)
