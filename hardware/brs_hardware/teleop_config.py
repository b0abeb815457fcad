"""How fast and in which modes the leader is mapped; see `brs_hardware.teleop`."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from brs_hardware.config import did_you_mean, float_fields
from brs_hardware.errors import ConfigError

TORSO_MODES = ("brs", "height")
GRIPPER_MODES = ("hold", "toggle", "proportional")
# Seconds of silence or of clocks apart that a moving robot may overlook; shares.
AT_MOST_ONE = (
    *("leader_timeout_s", "joycon_timeout_s", "state_timeout_s", "future_stamp_s"),
    *("arm_smoothing", "stick_smoothing", "gripper_open"),
)


@dataclass(frozen=True)
class TeleopConfig:
    """How the leader is mapped. Raises ConfigError: an unknown mode, or a number out of range."""

    leader_timeout_s: float = 0.1
    joycon_timeout_s: float = 0.25  # reports come at 66 Hz over Bluetooth, with gaps
    state_timeout_s: float = 0.2
    future_stamp_s: float = 0.1  # stamps further ahead than this come from another clock
    align_limit_rad: float = 0.6  # leader farther than this from the robot cannot engage
    jump_limit_rad: float = 0.6  # from one leader sample to the next; no hand is as fast
    ramp_s: float = 1.0  # time in which the robot is led to the leader
    arm_smoothing: float = 0.95  # weight of the newest sample, at 100 Hz
    stick_smoothing: float = 0.9
    hip_speed_rad_s: float = 0.4  # right stick up/down
    waist_speed_rad_s: float = 0.4  # right stick left/right
    knee_speed_rad_s: float = 0.6  # squat/stand: of the joint that has the longest way
    torso_lead_rad: float = 0.2  # commanded torso runs at most this far ahead of the measured
    torso_mode: str = "brs"  # up / down: stand and squat as BRS, or the height axis
    height_speed_m_s: float = 0.1  # of the waist
    gripper_open: float = 0.1  # closing fraction while the trigger is released (BRS)
    # hold: closed while the trigger is held; toggle: a press flips it; proportional: closes while
    # the trigger is held, opens while its arrow is held, else stays.
    gripper_mode: str = "hold"
    toggle_hold_s: float = 0.3
    gripper_speed: float = 0.8  # [1/s], closing fraction a second in the proportional mode

    def __post_init__(self) -> None:
        for name, known in (("torso_mode", TORSO_MODES), ("gripper_mode", GRIPPER_MODES)):
            if (value := getattr(self, name)) not in known:
                hint = did_you_mean(value, known)
                raise ConfigError(f"unknown {name} '{value}'", where="teleop", remedy=hint)
        for name in float_fields(self):
            most = 1.0 if name in AT_MOST_ONE else sys.float_info.max
            if not 0.0 <= (number := getattr(self, name)) <= most:
                limit = f" to {most:g}" if name in AT_MOST_ONE else " on"
                raise ConfigError(
                    f"{name} is {number:g}",
                    where="teleop",
                    remedy=f"give it a number from 0{limit}",
                )
