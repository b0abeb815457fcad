"""Poses held by hand are read without a keyboard, and only when they are held."""

from __future__ import annotations

import numpy as np
import pytest
from calibration_samples import CONFIG, HANGING, SETTINGS, SIGNS, SQUARE, encoders, pose_angles

from brs_hardware.hands_free_calibration import HandsFreeCalibration
from brs_hardware.leader_calibration import LeaderZeros


class Guided:
    """A person who holds poses, in steps of 0.1 s."""

    def __init__(self) -> None:
        self.guide = HandsFreeCalibration(CONFIG, SETTINGS, hold_s=2.0)
        self.now_s = 100.0

    def hold(
        self, angles: np.ndarray, duration_s: float, shake_rad: float = 0.0
    ) -> LeaderZeros | None:
        for step in range(round(duration_s * 10)):
            self.now_s += 0.1
            ticks = encoders(angles + shake_rad * (step % 2), SIGNS, np.full(12, 2048.0))
            found = self.guide.update(ticks, self.now_s)
            if found is not None:
                return found
        return None


def test_poses_are_read_when_held_still_and_only_then() -> None:
    person = Guided()
    assert person.hold(pose_angles(HANGING), 9.0) is None
    assert person.guide.progress == 0.0  # nobody has taken the arms yet
    person.hold(pose_angles(HANGING) + 0.3, 0.1)
    person.hold(pose_angles(HANGING), 5.0, shake_rad=0.1)
    assert person.guide.progress < 0.1  # not still
    person.hold(pose_angles(HANGING), 1.5)
    assert 0.3 < person.guide.progress < 0.5
    assert "hold 'hanging'" in person.guide.instruction
    person.hold(pose_angles(HANGING), 1.0)
    assert "hold 'square'" in person.guide.instruction
    near = pose_angles(SQUARE)
    near[3] -= 0.4
    assert person.hold(near, 5.0) is None
    assert person.guide.instruction.endswith("Not there yet: left_arm_joint4.")
    found = person.hold(pose_angles(SQUARE), 3.0)
    assert found is not None
    assert np.array_equal(found.signs, SIGNS)
    assert found.zero_ticks == pytest.approx(np.full(12, 2048.0), abs=0.5)


def test_a_wrong_first_pose_never_becomes_a_calibration() -> None:
    person = Guided()
    person.hold(pose_angles(HANGING) + 1.0, 0.1)
    person.hold(pose_angles(HANGING) + 0.4, 3.0)
    assert "hold 'square'" in person.guide.instruction
    assert person.hold(pose_angles(SQUARE), 9.0) is None
