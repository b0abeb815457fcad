"""The leader's motors in the running node: modes asked for, mirroring, and the hand-over."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from brs_interfaces.msg import LeaderState, SafetyState, WholeBodyState
from brs_interfaces.srv import SetLeaderMode
from harness import LATCHED, Harness
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import JointState

from brs_hardware.joylo import load_leader
from brs_nodes.conversions import to_time
from brs_sim.emulators.joylo import EmulatedJoyLo


class Leading:
    """A joylo node with an emulated leader; the test plays the robot."""

    def __init__(self, ros: Harness, runtime: Path, mirror: bool) -> None:
        self.ros = ros
        self.leader = EmulatedJoyLo(load_leader("joylo_emulated", runtime=runtime))
        self.leader.start()
        config = self.leader.config
        self.pose = np.concatenate([config.left.neutral, config.right.neutral])
        self.state_publisher = ros.node.create_publisher(WholeBodyState, "robot/state", SENSOR)
        self.safety_publisher = ros.node.create_publisher(SafetyState, "robot/safety", LATCHED)
        self.states = ros.collect(LeaderState, "joylo/state", SENSOR)
        self.arms = ros.collect(JointState, "joylo/joint_states", SENSOR)
        self.node = ros.start_node("joylo", {"leader": "joylo_emulated", "mirror": mirror})
        ros.wait_for(lambda: self.arms and self.states, "the leader to stream")

    def publish_robot(self) -> None:
        """Where the robot is now."""
        state = WholeBodyState()
        state.header.stamp = self.ros.node.get_clock().now().to_msg()
        for group, pose in ((state.left_arm, self.pose[:6]), (state.right_arm, self.pose[6:])):
            group.position = pose.tolist()
            group.velocity = group.effort = [0.0] * 6
        self.state_publisher.publish(state)

    def wait(self, what: str, holds) -> None:  # type: ignore[no-untyped-def]
        """Until it holds, while the robot tells where it is."""
        self.ros.wait_for(holds, what, tick=self.publish_robot)

    def ask(self, mode: str) -> SetLeaderMode.Response:
        client = self.ros.node.create_client(SetLeaderMode, "joylo/set_mode")
        self.wait("the service", client.service_is_ready)
        future = client.call_async(SetLeaderMode.Request(mode=mode))
        self.wait("an answer", future.done)
        return future.result()

    def in_mode(self, mode: str) -> bool:
        return self.states[-1].mode == mode

    def gap(self) -> float:
        """Greatest distance between leader and robot [rad]."""
        return float(np.abs(np.array(self.arms[-1].position) - self.pose).max())

    def torque_is_on(self) -> bool:
        return any(motor.powered for motor in self.leader.chain.motors)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="brs"))  # unix sockets want short paths
    monkeypatch.setenv("BRS_RUNTIME_DIR", str(folder))
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield folder
    sys.setswitchinterval(interval_s)
    shutil.rmtree(folder, ignore_errors=True)


def test_modes_are_asked_for_refused_and_let_go(ros: Harness, runtime: Path) -> None:
    leading = Leading(ros, runtime, mirror=False)
    try:
        assert leading.in_mode("free") and not leading.torque_is_on()
        refused = leading.ask("flaot")
        assert not refused.success and "float" in refused.message
        assert leading.ask("float").success
        leading.wait("float", lambda: leading.in_mode("float"))
        assert leading.torque_is_on()
        assert leading.ask("bilateral").success
        # The robot falls silent: the motors are let go, and it is said why.
        ros.wait_for(lambda: leading.in_mode("free"), "the leader to be let go")
        assert "state is" in leading.states[-1].message
        assert not leading.torque_is_on()
        assert leading.ask("lock").success
        # Killed without a chance to do anything: the motors' watchdogs let go.
        leading.node.stop(signal.SIGKILL)
        with leading.leader._running().changing():
            pass
        ros.wait_for(lambda: not _powered_later(leading), "the watchdogs")
    finally:
        leading.leader.stop()


def _powered_later(leading: Leading) -> bool:
    with leading.leader._running().changing():
        return leading.torque_is_on()


def test_the_leader_mirrors_until_the_dead_man_is_pressed(ros: Harness, runtime: Path) -> None:
    leading = Leading(ros, runtime, mirror=True)
    try:
        leading.pose = leading.pose + np.tile([0.0, -0.2, 0.2, 0.3, 0.2, 0.2], 2)
        armed = SafetyState(mode=SafetyState.ARMED, source="policy")
        armed.header.stamp = to_time(1.0)
        leading.safety_publisher.publish(armed)
        leading.wait("the mirror", lambda: leading.in_mode("mirror"))
        leading.wait("the leader to be where the robot is", lambda: leading.gap() < 0.02)
        leading.leader.set_buttons("left", frozenset({"l"}))
        leading.wait("the person's mode", lambda: leading.in_mode("free"))
        assert not leading.torque_is_on()
        assert leading.gap() < 0.02
        leading.leader.set_buttons("left", frozenset())
        leading.wait("the mirror again", lambda: leading.in_mode("mirror"))
        # An ordinary end lets go as well.
        leading.node.stop()
        assert not leading.torque_is_on()
    finally:
        leading.leader.stop()
