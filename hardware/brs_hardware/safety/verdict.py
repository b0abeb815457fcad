"""The words of the safety supervisor: modes, events, verdicts, thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from brs_hardware import config
from brs_hardware.embodiment import LONGEST_TIMEOUT_S
from brs_hardware.types import WholeBodyCommand

SOURCES = ("teleop", "policy", "replay")
# Rules that act at every start and stop: told, but no news to a log.
ROUTINE = frozenset({"base_acceleration", "gripper_speed", "lead_in"})


class Mode(IntEnum):
    """Same values as brs_interfaces/SafetyState."""

    DISARMED = 0
    ARMED = 1
    ESTOP = 2


class Severity(IntEnum):
    """Same values as brs_interfaces/SafetyEvent."""

    INFO = 0
    LIMITED = 1
    HELD = 2


@dataclass(frozen=True)
class SafetyEvent:
    """What one rule changed or refused, and why."""

    rule: str
    severity: Severity
    part: str  # joint or part concerned; empty for the whole robot
    message: str


@dataclass(frozen=True)
class SafetyVerdict:
    """What to send now. `command` is None while disarmed: then nothing may move."""

    command: WholeBodyCommand | None
    holding: bool
    events: tuple[SafetyEvent, ...]


@dataclass(frozen=True)
class SafetyConfig:
    """Thresholds of the supervisor; config/safety/*.yaml."""

    command_timeout_s: float = 0.08  # base must stand within 100 ms of the last good command
    future_stamp_s: float = 0.05  # stamps further ahead than this come from another clock
    distrust_s: float = 0.5  # a source that sent a malformed command is not followed for so long
    clock_settle_s: float = 0.5  # stillness after the clock was set back
    # A joint that lags its command by more than `tracking_limit_rad`, plus `tracking_lag_s` of
    # its speed, for `contact_time_s` has met something. So has one that pushes with more than
    # `effort_share` of its greatest effort.
    tracking_limit_rad: float = 0.25
    tracking_lag_s: float = 0.15
    effort_share: float = 0.95
    contact_time_s: float = 0.25
    release_s: float = 0.3  # without commands this long, a person has let go
    outside_limit_rad: float = 0.05  # a joint measured beyond its limits by more is not armed
    # A base told to stand that still moves faster than this after `base_obeys_s` disobeys.
    base_still_m_s: float = 0.15
    base_still_rad_s: float = 0.25
    base_obeys_s: float = 1.0
    # Policies begin with this share of the joint speed, and have all of it later.
    lead_in_share: float = 0.1
    lead_in_s: float = 1.0
    # Teleoperation commands take over from any other source at once.
    takeover: bool = True

    def __post_init__(self) -> None:
        numbers = config.float_fields(self)
        may_be_zero = {"distrust_s", "clock_settle_s", "tracking_lag_s", "release_s", "lead_in_s"}
        config.positive(self, *(name for name in numbers if name not in may_be_zero))
        for name in numbers:
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"'{name}' must be at least 0 and finite")
        for name in ("effort_share", "lead_in_share"):
            if getattr(self, name) > 1.0:
                raise ValueError(f"'{name}' is a share and at most 1")
        if self.command_timeout_s > LONGEST_TIMEOUT_S:
            raise ValueError(f"'command_timeout_s' is at most {LONGEST_TIMEOUT_S} s")
