"""The wizards in a real terminal (a pseudo terminal), against the emulated leader's real port."""

from __future__ import annotations

import dataclasses
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from brs_interfaces.action import Calibrate
from harness import Harness
from rclpy.action import ActionClient
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import JointState

from brs_hardware import calibration_store as store
from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.joycon_calibration import stored_stick
from brs_hardware.joylo import load_leader
from brs_sim.emulators.joylo import EmulatedJoyLo

PATIENCE_S = 40.0
CALIBRATION = load_leader("joylo").calibration
assert CALIBRATION is not None
HANGING, SQUARE = CALIBRATION.poses


def patient_leader() -> str:
    """The emulated leader's file with the patience that a machine full of tests needs."""
    path = Path(os.environ["BRS_RUNTIME_DIR"]) / "patient.yaml"
    path.write_text("like: joylo_emulated\nreply_timeout_s: 1.0\n")
    return str(path)


class Terminal:
    """`brs calibrate ...` with a person's eyes and fingers."""

    def __init__(self, *arguments: str) -> None:
        self._screen, device = os.openpty()
        self._seen = ""
        arguments += ("--leader", patient_leader(), "--countdown", "0")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "brs_cli.main", "calibrate", *arguments],
            stdin=device,
            stdout=device,
            stderr=device,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
        )
        os.close(device)

    def wait_for(self, text: str) -> str:
        """What was shown up to this text, from the last one waited for."""
        end_s = time.monotonic() + PATIENCE_S
        while text not in self._seen:
            assert time.monotonic() < end_s, f"waited for {text!r}; saw:\n{self._seen}"
            if select.select((self._screen,), (), (), 0.1)[0]:
                self._seen += self._read()
        shown, self._seen = self._seen.split(text, 1)
        return shown

    def press_enter(self) -> None:
        os.write(self._screen, b"\n")

    def press_ctrl_c(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Its exit status; what it showed last is in `last`."""
        end_s = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < end_s, f"it does not end; saw:\n{self._seen}"
            if select.select((self._screen,), (), (), 0.1)[0]:
                self._seen += self._read()
        while select.select((self._screen,), (), (), 0.1)[0] and (data := self._read()):
            self._seen += data
        os.close(self._screen)
        return self.process.wait()

    @property
    def last(self) -> str:
        return re.sub(r"\s+", " ", self._seen)

    def _read(self) -> str:
        try:
            data = os.read(self._screen, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            return ""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedJoyLo]:
    """A leader whose right elbow was built in the other way round."""
    runtime = Path(tempfile.mkdtemp(prefix="brs"))  # Unix sockets want short paths
    monkeypatch.setenv("BRS_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("BRS_DATA", str(runtime / "data"))
    config = load_leader("joylo_emulated")
    right = dataclasses.replace(config.right, signs=np.array([-1.0, -1, -1, 1, -1, 1]))
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    with EmulatedJoyLo(dataclasses.replace(config, right=right)) as emulated:
        yield emulated
    sys.setswitchinterval(interval_s)
    shutil.rmtree(runtime, ignore_errors=True)


def stored() -> store.LeaderCalibration | None:
    path = store.calibration_path("joylo_emulated", "tty_joylo")
    return store.load(store.LeaderCalibration, path, "")


def pose_both(terminal: Terminal, hand: EmulatedJoyLo) -> None:
    for pose in (HANGING, SQUARE):
        terminal.wait_for(f"pose '{pose.name}'")
        hand.move_hand(pose.left, pose.right)
        terminal.wait_for("read this pose")
        terminal.press_enter()
        terminal.wait_for("the arms were still")


def test_a_person_calibrates_goes_wrong_once_and_checks(hand: EmulatedJoyLo) -> None:
    terminal = Terminal("joylo")
    terminal.wait_for("16 motors answer")
    terminal.wait_for("pose 'hanging'")
    hand.move_hand(HANGING.left, HANGING.right)
    terminal.press_enter()
    terminal.wait_for("the arms were still")
    terminal.press_enter()  # without having moved
    told = terminal.wait_for("Try:")
    assert "left_arm_joint1 did not move; left_arm_joint2 did not move" in re.sub(
        r"\s+", " ", told
    )
    pose_both(terminal, hand)
    assert "right_arm_joint3 turns the other way round" in terminal.wait_for("Step 3 of 3")
    assert stored() is None
    terminal.wait_for("Enter: store")
    terminal.press_enter()
    assert terminal.end() == 0
    assert "Stored in" in terminal.last
    made = stored()
    assert made is not None
    assert made.zeros.signs.tolist() == [-1, -1, 1, 1, 1, 1, -1, -1, -1, 1, -1, 1]
    assert len({motor.mark for motor in made.motors}) == 16

    hand.power_cycle()
    hand.move_hand(HANGING.left, HANGING.right)
    terminal = Terminal("joylo", "--check")
    terminal.wait_for("Enter, then 0 s: check")
    terminal.press_enter()
    assert terminal.end() == 0
    assert "Every joint is within 8.6 degrees" in terminal.last

    hand.move_hand(HANGING.left - np.array([0, 0, 0, 0.3, 0, 0]), HANGING.right)
    terminal = Terminal("joylo", "--check", "--yes")
    assert terminal.end() == 1
    assert "off from pose 'hanging': left_arm_joint4 by -17.2 degrees" in terminal.last


def test_giving_up_leaves_the_old_file_and_the_motors_alone(hand: EmulatedJoyLo) -> None:
    path = store.calibration_path("joylo_emulated", "tty_joylo")
    path.parent.mkdir(parents=True)
    path.write_text("what was there")
    marks = [motor.peek(store.MARK_REGISTER) for motor in hand.chain.motors]
    terminal = Terminal("joylo")
    pose_both(terminal, hand)
    terminal.wait_for("Enter: store")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert path.read_text() == "what was there"
    assert list(path.parent.iterdir()) == [path]
    assert [motor.peek(store.MARK_REGISTER) for motor in hand.chain.motors] == marks
    assert "Traceback" not in terminal.last


def test_a_port_in_use_is_told_in_one_line(hand: EmulatedJoyLo) -> None:
    first = Terminal("joylo")
    first.wait_for("pose 'hanging'")
    second = Terminal("joylo")
    assert second.end() == 1
    assert "another program uses the device. Try: stop that program" in second.last
    assert "Traceback" not in second.last
    first.press_ctrl_c()
    assert first.end() == 130


def test_a_stick_is_circled_and_stored(hand: EmulatedJoyLo) -> None:
    done = threading.Event()

    def circle() -> None:
        angle = 0.0
        while not done.wait(0.01):
            angle += 0.05
            hand.set_stick("right", (np.cos(angle), np.sin(angle)))

    terminal = Terminal("joycon", "--side", "right")
    terminal.wait_for("Enter: leave the stick alone")
    terminal.press_enter()
    terminal.wait_for("Now circle the stick")
    thumb = threading.Thread(target=circle)
    thumb.start()
    try:
        assert terminal.end() == 0
    finally:
        done.set()
        thumb.join()
    assert "16 of 16" in terminal.last
    found, real = stored_stick("00:00:00:00:00:02"), hand.joycons["right"].stick
    assert found is not None
    np.testing.assert_array_equal(found.centre, real.centre)
    # The thumb need not be at an end just when a report is sent.
    np.testing.assert_allclose(found.lower, real.lower, atol=30)
    np.testing.assert_allclose(found.upper, real.upper, atol=30)


def test_the_node_needs_no_binding_after_a_power_cycle(ros: Harness, hand: EmulatedJoyLo) -> None:
    terminal = Terminal("joylo")
    pose_both(terminal, hand)
    terminal.wait_for("Enter: store")
    terminal.press_enter()
    assert terminal.end() == 0
    hand.power_cycle()
    # Far from the neutral pose, to which the emulated leader would be bound otherwise.
    hand.move_hand(SQUARE.left - 0.7, SQUARE.right + 0.3)
    angles = ros.collect(JointState, "joylo/joint_states", SENSOR)
    node = ros.start_node("joylo", {"leader": patient_leader()})
    ros.wait_for(lambda: angles, "joylo/joint_states")
    assert "bound by the calibration of" in node.output
    np.testing.assert_allclose(
        angles[-1].position, np.concatenate(hand.joint_angles()), atol=2 * RAD_PER_TICK
    )
    node.stop()

    hand.chain.motor(6).poke(store.MARK_REGISTER, 10)  # replaced by one from the shop
    node = ros.start_node("joylo", {"leader": patient_leader()})
    ros.wait_for(lambda: "bound to the neutral pose" in node.output, "the fallback")
    angles.clear()
    ros.wait_for(lambda: angles, "joylo/joint_states")
    assert "ID 6 (left_arm_joint5) is not the motor that was calibrated" in node.output
    assert "Try: run `brs calibrate joylo`" in node.output
    neutral = np.concatenate([hand.config.left.neutral, hand.config.right.neutral])
    np.testing.assert_allclose(angles[-1].position, neutral, atol=2 * RAD_PER_TICK)
    node.stop()

    hand.chain.motor(6).poke(store.MARK_REGISTER, stored_marks()[6])
    hand.slip_coupling(8, 200.0)
    node = ros.start_node("joylo", {"leader": patient_leader()})
    ros.wait_for(lambda: "coupling slipped" in node.output, "the refusal")
    assert "ID 8 (right_arm_joint1) and ID 9 are 18 degrees apart" in node.output


def stored_marks() -> dict[int, int]:
    made = stored()
    assert made is not None
    return {motor.id: motor.mark for motor in made.motors}


def test_the_node_calibrates_without_a_keyboard(ros: Harness, hand: EmulatedJoyLo) -> None:
    node = ros.start_node("joylo", {"leader": patient_leader()})
    ros.wait_for(lambda: "arms: connected" in node.output, "the leader")
    client = ActionClient(ros.node, Calibrate, "joylo/calibrate")
    ros.wait_for(client.server_is_ready, "the action")
    feedback: list[Calibrate.Feedback] = []

    def ask(device: str) -> Any:
        goal = Calibrate.Goal(device=device)
        future = client.send_goal_async(goal, lambda message: feedback.append(message.feedback))
        ros.wait_for(future.done, "an answer")
        return future.result()

    assert not ask("toaster").accepted
    cancelled = ask("joylo")
    ros.wait_for(lambda: feedback, "feedback")
    cancelled.cancel_goal_async()
    result = cancelled.get_result_async()
    ros.wait_for(result.done, "the end of what was cancelled")
    assert result.result().status == GoalStatus.STATUS_CANCELED
    assert stored() is None

    feedback.clear()
    goal = ask("joylo")
    result = goal.get_result_async()
    for pose in (HANGING, SQUARE):
        ros.wait_for(
            lambda pose=pose: feedback and f"'{pose.name}'" in feedback[-1].instruction, pose.name
        )
        hand.move_hand(pose.left, pose.right)
    ros.wait_for(result.done, "the outcome")
    assert result.result().result.success
    progress = [message.progress for message in feedback]
    assert progress[0] == 0.0
    assert 0.5 <= progress[-1] <= 1.0
    made = stored()
    assert made is not None
    assert made.zeros.signs.tolist() == [-1, -1, 1, 1, 1, 1, -1, -1, -1, 1, -1, 1]
    ros.wait_for(lambda: "bound by the calibration of" in node.output, "the new binding")
    client.destroy()
