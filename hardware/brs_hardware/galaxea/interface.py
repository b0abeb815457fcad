"""How one generation of the vendor's SDK speaks; the `vendor:` section of an embodiment file.

Topic names and limits of joints, grippers and base stand with those. Here is what differs between
SDK generations besides: message types, order and count of feedback entries, status topics.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# Types a vendor topic may have; conversion is in the node layer.
GRIPPER_COMMANDS = ("joint_state", "float32")
BASE_COMMANDS = ("twist_stamped", "twist")
BASE_FEEDBACKS = ("body", "wheels")
JOINT_ORDERS = ("names", "position")
DURABILITIES = ("volatile", "transient_local")


@dataclass(frozen=True)
class BatteryLevels:
    """Where the battery reports, and when that is worth a word."""

    topic: str = "hdas/bms"
    low_percent: float = 25.0  # finish what is under way, then charge
    critical_percent: float = 10.0  # the arms have no brakes and drop when power goes

    def __post_init__(self) -> None:
        if not 0.0 <= self.critical_percent < self.low_percent <= 100.0:
            raise ValueError("levels must rise: 0 <= 'critical_percent' < 'low_percent' <= 100")


@dataclass(frozen=True)
class VendorInterface:
    """One generation of the SDK. The defaults are the ROS 2 SDK as third parties measured it."""

    gripper_command: str = "joint_state"  # or float32: ROS 1 SDK through a bridge
    base_command: str = "twist_stamped"  # or twist; the acceleration limit has the same type
    # transient_local only where the vendor's nodes ask for it: one that is restarted then gets our
    # last target at once, however old.
    command_durability: str = "volatile"
    # What /hdas/feedback_chassis holds in `velocity`: vx, vy, wz of the body first ("body"), or
    # the rolling speed [m/s] of each wheel, with its steering angle in `position` ("wheels").
    base_feedback: str = "body"
    # Feedback entries are told by name ("names"), or are the first ones in our order
    # ("position"): drivers that leave names out or use their own.
    joint_order: str = "names"
    # The vendor's names of a group's joints, in our order, where they differ from ours.
    feedback_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Entries the driver sends for a group, where they are more than its joints.
    feedback_counts: dict[str, int] = field(default_factory=dict)
    # Part -> topic of its fault codes (hdas_msg/FeedbackStatus).
    status_topics: dict[str, str] = field(default_factory=dict)
    battery: BatteryLevels | None = None
    # hdas_msg/ControllerSignalStamped of the remote control, "" where there is none.
    controller_topic: str = ""
    # The chassis takes our commands in this mode of the remote control only.
    controller_host_mode: int = 5
    # The chassis controller's acceleration limit starts at zero: untold, nothing moves.
    acceleration_limit_topic: str = ""
    acceleration_limit: np.ndarray = field(default_factory=lambda: np.array([2.5, 1.0, 1.0]))
    # The chassis controller idles unless somebody listens here.
    chassis_speed_topic: str = ""
    brake_value: bool = True  # what the brake topic carries to brake
    # Part -> the vendor's node that must listen to its command and how to start it.
    listeners: dict[str, str] = field(default_factory=dict)
    # Expected rate of each feedback topic [Hz], for the bring-up check.
    feedback_hz: float = 200.0

    def __post_init__(self) -> None:
        for name, known in (
            ("gripper_command", GRIPPER_COMMANDS),
            ("base_command", BASE_COMMANDS),
            ("base_feedback", BASE_FEEDBACKS),
            ("joint_order", JOINT_ORDERS),
            ("command_durability", DURABILITIES),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"'{name}' is '{getattr(self, name)}', none of {known}")
        if self.acceleration_limit.shape != (3,) or np.any(self.acceleration_limit <= 0):
            raise ValueError("'acceleration_limit' needs 3 numbers above zero")
