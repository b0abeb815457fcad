"""What an arm carries at its end, behind one small interface."""

from brs_hardware.end_effectors.inspire_hand import InspireHand
from brs_hardware.end_effectors.interface import EndEffector, EndEffectorState
from brs_hardware.end_effectors.parallel_jaw import ParallelJaw
from brs_hardware.end_effectors.registry import KINDS, make_end_effector

__all__ = [
    "KINDS",
    "EndEffector",
    "EndEffectorState",
    "InspireHand",
    "ParallelJaw",
    "make_end_effector",
]
