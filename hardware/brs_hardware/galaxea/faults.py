"""Decodes the fault codes of `/hdas/feedback_status_*` (hdas_msg/FeedbackStatus).

A message carries, for each faulty motor, a name, a code and the driver's own words. The table is
the one that Galaxea's R1 guide lists as diagnostic trouble codes 0 to 20. Whether newer SDKs count
on with the same numbers is not documented: the driver's words are therefore always shown too, and
a code that is not in the table is shown as a number, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class FaultSeverity(IntEnum):
    """What a fault asks of the robot."""

    INFO = 0  # nothing to do
    WARNING = 1  # go on, but look at it
    ERROR = 2  # the joint cannot be trusted: stop


@dataclass(frozen=True)
class Fault:
    """One decoded entry."""

    part: str  # left_arm, torso, base, ...
    motor: str  # as the driver names it
    code: int
    text: str
    severity: FaultSeverity
    remedy: str

    def __str__(self) -> str:
        return f"{self.part} {self.motor}: {self.text} (code {_number(self.code)}). {self.remedy}"


_POWER_CYCLE = "Support the arms, switch the robot off and on, and check again"
_COOL = "Let it cool down for ten minutes, with less load or a rest pose"
_WIRING = "Check the motor's CAN cable and power plug, then restart the driver (can0 up, HDAS)"
_OVERLOADED = "Free the joint from what blocks it or take weight off, then clear the error"

# Code -> what it says, how bad it is, what to do.
_CODES: dict[int, tuple[str, FaultSeverity, str]] = {
    0: ("motor disabled", FaultSeverity.INFO, "It is enabled by the vendor's joint tracker"),
    1: ("motor disabled", FaultSeverity.WARNING, "Start the vendor's joint tracker"),
    2: ("motor disconnected", FaultSeverity.ERROR, _WIRING),
    3: ("position jumped", FaultSeverity.ERROR, "Check its encoder and zero; " + _POWER_CYCLE),
    4: ("high current for long", FaultSeverity.ERROR, _OVERLOADED),
    5: ("torque too high", FaultSeverity.ERROR, _OVERLOADED),
    6: ("controller board does not hear the computer", FaultSeverity.ERROR, _WIRING),
    7: (
        "beyond its position limit",
        FaultSeverity.ERROR,
        "Move it back inside by hand",
    ),
    8: ("beyond its speed limit", FaultSeverity.ERROR, "Clear the error and move slower"),
    9: ("beyond its torque limit", FaultSeverity.ERROR, _OVERLOADED),
    10: ("voltage too high", FaultSeverity.ERROR, "Check charger and battery; " + _POWER_CYCLE),
    11: ("voltage too low", FaultSeverity.ERROR, "Charge the battery"),
    12: ("overcurrent", FaultSeverity.ERROR, _OVERLOADED),
    13: ("power stage too hot", FaultSeverity.ERROR, _COOL),
    14: ("motor winding too hot", FaultSeverity.ERROR, _COOL),
    15: ("communication lost", FaultSeverity.ERROR, _WIRING),
    16: ("overload", FaultSeverity.ERROR, _OVERLOADED),
    17: ("no serial device", FaultSeverity.ERROR, "Check its USB plug"),
    18: ("serial device sends nothing", FaultSeverity.ERROR, _WIRING),
    19: ("serial read or write failed", FaultSeverity.ERROR, _WIRING),
    20: ("feedback overflows its buffer", FaultSeverity.WARNING, "Restart the driver (HDAS)"),
}
_UNKNOWN_REMEDY = "Look the code up in the guide of your SDK version, or ask Galaxea"


def decode(part: str, motor: str, code: int, words: Iterable[str] = ()) -> Fault | None:
    """One entry of a status message.

    Args:
        part: of the robot, from the topic.
        motor: its name in the message.
        code: its number in the message, unsigned 32 bit.
        words: the driver's own description, may be empty.

    Returns:
        The fault; None for code 0 without words, which is how a healthy motor is listed.
    """
    said = ", ".join(word for word in words if word)
    if code == 0 and not said:
        return None
    unknown = ("unknown fault", FaultSeverity.ERROR, _UNKNOWN_REMEDY)
    text, severity, remedy = _CODES.get(code, unknown)
    if said:
        text = f"{text} ('{said}')"
    return Fault(part, motor or "motor", code, text, severity, remedy)


def _number(code: int) -> str:
    return str(code) if code in _CODES else f"0x{code:08X}"
