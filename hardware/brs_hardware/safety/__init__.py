"""Safety rules of the robot node: pure decisions, with time and measurements as arguments."""

from brs_hardware.safety.supervisor import BaseGuard, BaseLimits, PostureGuard, SafetySupervisor
from brs_hardware.safety.verdict import (
    ROUTINE,
    SOURCES,
    Mode,
    SafetyConfig,
    SafetyEvent,
    SafetyVerdict,
    Severity,
)

__all__ = [
    "ROUTINE",
    "SOURCES",
    "BaseGuard",
    "BaseLimits",
    "Mode",
    "PostureGuard",
    "SafetyConfig",
    "SafetyEvent",
    "SafetySupervisor",
    "SafetyVerdict",
    "Severity",
]
