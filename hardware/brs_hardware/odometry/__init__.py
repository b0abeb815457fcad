"""Where the base is, from whatever tells of its motion; no clock, no ROS.

T265 or other odometry -> LeverArm ---------> BaseMotion -----+
wheels or chassis feedback -> WheelOdometry -> BaseMotion ----+-> OdometryFilter -> estimate
RGB-D camera -> RgbdOdometry ----------------> RelativeMotion +

Drift of each on a simulated drive: `python -m brs_sim.emulators.odometry_drive`.
"""

from brs_hardware.odometry.fusion import FilterConfig, InputStatus, OdometryFilter
from brs_hardware.odometry.lever_arm import LeverArm
from brs_hardware.odometry.motion import BaseMotion, OdometryEstimate, RelativeMotion
from brs_hardware.odometry.rgbd import RgbdConfig, RgbdOdometry
from brs_hardware.odometry.wheels import WheelConfig, WheelOdometry

__all__ = [
    "BaseMotion",
    "FilterConfig",
    "InputStatus",
    "LeverArm",
    "OdometryEstimate",
    "OdometryFilter",
    "RelativeMotion",
    "RgbdConfig",
    "RgbdOdometry",
    "WheelConfig",
    "WheelOdometry",
]
