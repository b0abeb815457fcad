"""Leaders other than JoyLo. All give what JoyLo gives, so that teleop needs no change."""

from brs_hardware.leaders.chains import ChainLeader
from brs_hardware.leaders.direct import LEADERS, DirectLeader, LeaderSamples, make_leader
from brs_hardware.leaders.poses import PoseLeader
from brs_hardware.leaders.rates import GamepadLeader, KeyboardLeader

__all__ = [
    "LEADERS",
    "ChainLeader",
    "DirectLeader",
    "GamepadLeader",
    "KeyboardLeader",
    "LeaderSamples",
    "PoseLeader",
    "make_leader",
]
