"""The odometry node: the T265's lever arm is gone, and the loss of one source is survived."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from harness import Harness
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import JointState

from brs_nodes import conversions

TURN = 0.4  # [rad/s]


def test_a_turn_on_the_spot_is_told_as_one_also_when_the_tracking_camera_is_lost(
    ros: Harness,
) -> None:
    node = ros.start_node(
        "odometry", {"tracking_topic": "camera/odom/sample", "output_topic": "odom_fused"}
    )
    outputs = ros.collect(Odometry, "odom_fused", SENSOR)
    health = ros.collect(DiagnosticArray, "/diagnostics")
    chassis = ros.node.create_publisher(JointState, "hdas/feedback_chassis", SENSOR)
    tracking = ros.node.create_publisher(Odometry, "camera/odom/sample", SENSOR)

    def give(with_tracking: bool) -> Callable[[], None]:
        def tick() -> None:
            now = time.time()
            velocity = np.array([0.0, 0.0, TURN, 0.0, 0.0, 0.0])
            chassis.publish(conversions.joint_state(now, ("chassis",), np.zeros(3), velocity))
            if with_tracking:
                # 0.235 m behind the axis, looking backwards: it moves to its left.
                message = Odometry()
                message.header.stamp = conversions.to_time(now)
                message.twist.twist.linear.x = -0.0095 * TURN
                message.twist.twist.linear.y = 0.235 * TURN
                message.twist.twist.angular.z = TURN
                tracking.publish(message)

        return tick

    def turned() -> float:
        pose = outputs[-1].pose.pose.orientation
        return float(2.0 * np.arctan2(pose.z, pose.w))

    def used(name: str) -> int:
        values = {v.key: v.value for s in health[-1].status for v in s.values}
        return int(values[f"{name} used, refused, late"].split(",")[0])

    ros.wait_for(lambda: outputs and turned() > 0.5, "half a radian", tick=give(True))
    ros.wait_for(lambda: health and used("tracking") > 10, "the camera's use", tick=give(True))
    velocity = outputs[-1].twist.twist
    assert abs(velocity.linear.y) < 0.01, "the lever arm reads 0.094 m/s"
    assert abs(velocity.angular.z - TURN) < 0.02
    position = outputs[-1].pose.pose.position
    assert np.hypot(position.x, position.y) < 0.02
    before = turned()
    ros.wait_for(lambda: turned() > before + 0.3, "wheels alone", tick=give(False))
    ros.wait_for(
        lambda: any("lost: tracking" in s.message for s in health[-1].status),
        "the warning",
        tick=give(False),
    )
    sure = outputs[-1].pose.covariance[35]
    ros.wait_for(lambda: "from wheels, tracking" in node.output, "the loss of both")
    ros.wait_for(lambda: outputs[-1].pose.covariance[35] > 4 * sure, "growing doubt")
    assert abs(outputs[-1].twist.twist.angular.z) < TURN
