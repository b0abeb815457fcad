"""Fault codes and battery are told in words; nothing unknown is dropped."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.galaxea.battery import Battery, battery_problem
from brs_hardware.galaxea.faults import FaultSeverity, decode
from brs_hardware.galaxea.interface import BatteryLevels, VendorInterface


@pytest.mark.parametrize(
    ("code", "says", "severity"),
    [
        (1, "motor disabled", FaultSeverity.WARNING),
        (2, "motor disconnected", FaultSeverity.ERROR),
        (11, "voltage too low", FaultSeverity.ERROR),
        (14, "winding too hot", FaultSeverity.ERROR),
        (20, "overflows", FaultSeverity.WARNING),
    ],
)
def test_codes_of_the_guide(code: int, says: str, severity: FaultSeverity) -> None:
    fault = decode("torso", "joint2", code)
    assert fault is not None and fault.severity is severity
    assert (
        says in str(fault)
        and str(fault).startswith("torso joint2:")
        and f"code {code}" in str(fault)
    )
    assert fault.remedy


def test_healthy_motor_is_no_fault_but_its_words_are_kept() -> None:
    assert decode("torso", "joint1", 0) is None
    fault = decode("torso", "joint1", 0, ["brake engaged"])
    assert fault is not None and "brake engaged" in str(fault)


@settings(deadline=None)
@given(st.integers(21, 2**32 - 1), st.lists(st.text(max_size=10), max_size=3))
def test_unknown_codes_are_errors_shown_as_hex_with_the_drivers_words(
    code: int, words: list[str]
) -> None:
    fault = decode("base", "", code, words)
    assert fault is not None and fault.severity is FaultSeverity.ERROR
    assert f"0x{code:08X}" in str(fault) and all(word in str(fault) for word in words)


@settings(deadline=None)
@given(st.floats(0.0, 105.0))
def test_battery_levels(percent: float) -> None:
    problem = battery_problem(Battery(50.0, 1.0, percent), BatteryLevels())
    if percent <= 10.0:
        assert problem is not None and problem[0] == "battery_critical"
    elif percent <= 25.0:
        assert problem is not None and problem[0] == "battery_low"
    else:
        assert problem is None


def test_unreadable_and_missing_battery() -> None:
    problem = battery_problem(Battery(48.0, 0.0, math.nan), BatteryLevels())
    assert problem is not None and problem[0] == "battery_unreadable"
    assert battery_problem(None, BatteryLevels()) is None


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="levels must rise"):
        BatteryLevels(low_percent=10.0, critical_percent=20.0)
    with pytest.raises(ValueError, match="'base_command' is 'twists'"):
        VendorInterface(base_command="twists")
