"""The odometry node: the T265's lever arm is gone, and the loss of one source is survived."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from harness import Harness
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import JointState

from brs_nodes import conversions

TURN = 0.4  # [rad/s]


def used(health: list[DiagnosticArray], name: str) -> int:
    """Samples of a source that the filter took, as its diagnostics tell."""
    values = {v.key: v.value for array in health[-10:] for s in array.status for v in s.values}
    return int(values.get(f"{name} used, refused, late", "0").split(",")[0])


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

    ros.wait_for(lambda: outputs and turned() > 0.5, "half a radian", tick=give(True))
    ros.wait_for(
        lambda: health and used(health, "tracking") > 10, "the camera's use", tick=give(True)
    )
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


def test_wheels_and_depth_camera_follow_the_simulated_robot(ros: Harness) -> None:
    ros.start_node("r1_sim", {"camera_hz": 10.0})
    ros.start_node("odometry", {"camera": "head", "output_topic": "odom_fused"})
    truth = ros.collect(Odometry, "odom", SENSOR)
    fused = ros.collect(Odometry, "odom_fused", SENSOR)
    health = ros.collect(DiagnosticArray, "/diagnostics")
    commands = ros.node.create_publisher(
        TwistStamped, "motion_target/target_speed_chassis", SENSOR
    )

    def backwards() -> None:
        message = TwistStamped()
        message.twist.linear.x, message.twist.angular.z = -0.15, 0.2
        commands.publish(message)

    ros.wait_for(lambda: truth and used(health, "camera") > 2, "the depth camera's use")
    start = (truth[-1].pose.pose.position, fused[-1].pose.pose.position)

    def ways() -> list[float]:
        ends = (truth[-1].pose.pose.position, fused[-1].pose.pose.position)
        return [
            float(np.hypot(end.x - begin.x, end.y - begin.y))
            for begin, end in zip(start, ends, strict=True)
        ]

    before = used(health, "camera")
    ros.wait_for(lambda: ways()[0] > 0.3, "0.3 m of driving", tick=backwards)
    ros.wait_for(lambda: used(health, "camera") > before + 2, "pictures taken on the way")
    ros.wait_for(lambda: abs(ways()[0] - ways()[1]) < 0.05, "the same way")
