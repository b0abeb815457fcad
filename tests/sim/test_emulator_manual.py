"""The emulated leader moved by the actions of a person's hands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brs_hardware.joylo import load_leader
from brs_hardware.leaders.hands import KeyboardHand
from brs_sim.emulators.joylo import EmulatedJoyLo
from brs_sim.emulators.manual import ManualOperator


def test_actions_move_the_leader(tmp_path: Path) -> None:
    with EmulatedJoyLo(load_leader("joylo_emulated", tmp_path)) as leader:
        operator, hand = ManualOperator(leader), KeyboardHand(step_rad=0.2)
        for key in "]wtn":
            hand.press(key, 0.0)
        operator.apply(hand.action(0.0))
        left, right = leader.joint_angles()
        assert np.allclose(left - leader.config.left.neutral, [0.2, 0, 0, 0, 0, 0])
        assert np.allclose(right, leader.config.right.neutral)
        assert leader.joycons["left"].state.buttons == {"up"}
        assert leader.joycons["right"].state.buttons == {"a"}
        assert leader.joycons["left"].state.stick[1] == leader.joycons["left"].stick.upper[1]
