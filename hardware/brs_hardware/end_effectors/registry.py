"""Name -> end effector; an embodiment's `end_effector` is one of these names."""

from __future__ import annotations

from collections.abc import Callable

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Gripper
from brs_hardware.end_effectors.inspire_hand import InspireHand
from brs_hardware.end_effectors.interface import EndEffector
from brs_hardware.end_effectors.parallel_jaw import ParallelJaw
from brs_hardware.errors import ConfigError

Send = Callable[[float, float], None]


def _inspire_hand(gripper: Gripper, send: Send) -> EndEffector:
    if gripper.hand is None:
        raise ConfigError("an Inspire hand needs 'hand:' with its port", where="end_effector")
    return InspireHand(gripper.hand)


KINDS: dict[str, Callable[[Gripper, Send], EndEffector]] = {
    "parallel_jaw": ParallelJaw,
    "inspire_hand": _inspire_hand,
}


def make_end_effector(gripper: Gripper, send: Send) -> EndEffector:
    """The end effector that an embodiment names.

    Args:
        gripper: its section of the embodiment file.
        send: for those behind a vendor topic: takes a stamp [s] and a stroke [mm].

    Raises:
        ConfigError: an unknown name, or its settings are missing.
    """
    if gripper.end_effector not in KINDS:
        raise ConfigError(
            f"unknown end effector '{gripper.end_effector}'",
            remedy=did_you_mean(gripper.end_effector, KINDS),
        )
    return KINDS[gripper.end_effector](gripper, send)
