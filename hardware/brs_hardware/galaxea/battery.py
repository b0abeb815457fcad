"""The battery as `/hdas/bms` reports it (hdas_msg/Bms)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from brs_hardware.galaxea.interface import BatteryLevels


@dataclass(frozen=True)
class Battery:
    """State of the robot's battery; the R1's is nominally 48 V, 35 Ah."""

    voltage_v: float
    current_a: float  # sign as the driver gives it: not documented
    charge_percent: float  # field `capital`; a real robot was seen to report 101 when full


def battery_problem(battery: Battery | None, levels: BatteryLevels) -> tuple[str, str] | None:
    """What is wrong with the battery, as (rule, message), or None.

    The rules are `battery_low`, `battery_critical` and `battery_unreadable`. A battery that never
    reported is no problem of this function: the bring-up check asks for the topic.
    """
    if battery is None:
        return None
    values = (battery.charge_percent, battery.voltage_v)
    if not all(map(math.isfinite, values)):
        return "battery_unreadable", f"{levels.topic} reports a charge that is not a number"
    charge = f"{battery.charge_percent:.0f} % ({battery.voltage_v:.1f} V)"
    if battery.charge_percent <= levels.critical_percent:
        return (
            "battery_critical",
            f"battery at {charge}: rest the arms now, they drop when power goes, and charge",
        )
    if battery.charge_percent <= levels.low_percent:
        return "battery_low", f"battery at {charge}: finish and charge"
    return None
