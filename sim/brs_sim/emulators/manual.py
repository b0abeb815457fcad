"""The emulated leader moved by hand: a keyboard or a gamepad instead of two arms."""

from __future__ import annotations

import numpy as np

from brs_hardware.leaders.hands import ManualAction
from brs_sim.emulators.joylo import EmulatedJoyLo


class ManualOperator:
    """Moves an emulated leader by actions, starting from its neutral pose."""

    def __init__(self, leader: EmulatedJoyLo) -> None:
        self.leader = leader
        self.left_arm = np.array(leader.config.left.neutral)
        self.right_arm = np.array(leader.config.right.neutral)

    def apply(self, action: ManualAction) -> None:
        """Do one action."""
        self.left_arm = self.left_arm + action.left_step
        self.right_arm = self.right_arm + action.right_step
        self.leader.move_hand(self.left_arm, self.right_arm)
        self.leader.set_stick("left", action.left_stick)
        self.leader.set_stick("right", action.right_stick)
        self.leader.set_buttons("left", action.left_buttons)
        self.leader.set_buttons("right", action.right_buttons)
