"""What currents the leader's motors get: one small law for each thing that a hand shall feel.

BRS's force feedback is current = Kp (q_follower - q_leader) - Kd (dq_leader - dq_follower)
- K dq_leader (paper, JoyLo). To it come gravity, friction, springs at the robot's joint limits,
holding and following a pose, a check that the feedback stays passive, and reasons to let go.

Joints are those of both arms, left then right; currents are of one motor of a joint, positive
towards greater angles.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from brs_hardware import config
from brs_hardware.dynamixel.control_table import (
    AMPERE_PER_UNIT,
    RAD_PER_S_PER_UNIT,
    RAD_PER_TICK,
)
from brs_hardware.leader_dynamics import LeaderModel
from brs_hardware.passivity import LoopTiming, PassivityConfig

MODES = ("free", "float", "lock", "wrist_lock", "mirror", "bilateral")
FOLLOWING = ("mirror", "bilateral")  # modes that need to know where the robot is
_AT_REST_RAD_S = 0.02
WRIST_JOINTS = 3  # the last ones of an arm


@dataclass(frozen=True)
class BilateralGains:
    """Force feedback; one number for each joint of an arm."""

    stiffness_a_rad: np.ndarray  # (n,)
    damping_a_s_rad: np.ndarray  # (n,) on the difference of the velocities
    constant_damping_a_s_rad: np.ndarray  # (n,) on the leader's own velocity
    follower_velocity: float = 1.0  # share of the robot's velocity in that difference
    current_limit_a: float = 0.35  # of the feedback alone

    def __post_init__(self) -> None:
        config.positive(self, "current_limit_a")
        if not 0.0 <= self.follower_velocity <= 1.0:
            raise ValueError("'follower_velocity' is a share")

    @property
    def whole_damping_a_s_rad(self) -> np.ndarray:
        """(n,) all damping together, for the check of passivity."""
        shared = (1.0 + self.follower_velocity) * self.damping_a_s_rad
        return shared + self.constant_damping_a_s_rad


@dataclass(frozen=True)
class HoldGains:
    """Holding a pose; one number for each joint of an arm."""

    stiffness_a_rad: np.ndarray  # (n,)
    damping_a_s_rad: np.ndarray  # (n,)
    integral_a_rad_s: float
    integral_limit_a: float
    integral_dead_band_rad: float
    current_limit_a: float

    def __post_init__(self) -> None:
        config.positive(self, "current_limit_a")
        if min(self.integral_a_rad_s, self.integral_limit_a, self.integral_dead_band_rad) < 0.0:
            raise ValueError("the numbers of the integral must not be negative")


@dataclass(frozen=True)
class MirrorPace:
    """How fast the leader goes to the robot, beyond the robot's own motion."""

    speed_rad_s: float = 0.8
    acceleration_rad_s2: float = 1.5

    def __post_init__(self) -> None:
        if self.speed_rad_s <= 0.0 or self.acceleration_rad_s2 <= 0.0:
            raise ValueError("speed and acceleration of the mirror must be above 0")


@dataclass(frozen=True)
class FrictionAssist:
    """How much of the motors' Coulomb friction is taken off a moving hand."""

    share: float = 0.7
    from_rad_s: float = 0.05  # below it nothing: the sensor's noise must not push
    full_rad_s: float = 0.3

    def __post_init__(self) -> None:
        # What is left is what keeps a joint passive and where it was left.
        if not 0.0 <= self.share <= 0.8:
            raise ValueError("'share' must lie between 0 and 0.8")
        if not 0.0 < self.from_rad_s < self.full_rad_s:
            raise ValueError("'from_rad_s' must be above 0 and below 'full_rad_s'")


@dataclass(frozen=True)
class LeaderControlConfig:
    """All numbers of the driven leader."""

    name: str
    model: LeaderModel
    bilateral: BilateralGains
    hold: HoldGains
    mirror: MirrorPace = field(default_factory=MirrorPace)
    friction: FrictionAssist = field(default_factory=FrictionAssist)
    passivity: PassivityConfig = field(default_factory=PassivityConfig)
    loop_hz: float = 300.0  # of the control loop in driven modes
    delay_s: float = 0.002  # from reading a position to the current that answers it
    follower_delay_s: float = 0.06  # from the leader's motion to the robot's, seen back here
    limit_stiffness_a_rad: float = 1.5  # of the springs at the robot's joint limits
    let_go_beyond_rad: float = 0.35  # past a limit
    let_go_speed_rad_s: float = 9.0
    current_limit_a: float = 0.9  # of a motor; 1.47 A is its stall current at 5 V
    current_slew_a_s: float = 20.0
    ramp_s: float = 0.3  # in which force feedback comes up
    follower_timeout_s: float = 0.1
    watchdog_s: float = 0.08  # silence after which the motors let go by themselves
    temperature_limit_c: int = 65  # the motors give up at 70
    least_voltage_v: float = 4.0  # 5 V less what the cables lose under load

    def __post_init__(self) -> None:
        joints = (len(self.model.left.links),)
        for gains in (self.bilateral, self.hold):
            for name, value in vars(gains).items():
                if isinstance(value, np.ndarray) and (value.shape != joints or np.any(value < 0)):
                    raise ValueError(f"'{name}' needs {joints[0]} numbers of at least 0")
        config.positive(self, "temperature_limit_c", *config.float_fields(self))
        if not 0.02 <= self.watchdog_s <= 0.1:
            raise ValueError("'watchdog_s' must lie between 0.02 and 0.1")

    @property
    def timing(self) -> LoopTiming:
        """What the gains of force feedback live with, by configuration."""
        return LoopTiming(1.0 / self.loop_hz, self.delay_s, self.follower_delay_s)


def load_leader_control(name: str = "joylo") -> LeaderControlConfig:
    """Gains and masses of config/leaders/control, or of a YAML file.

    Raises:
        ConfigError: unknown name, malformed YAML, unknown keys, wrong counts.
    """
    return config.load_named(LeaderControlConfig, "leaders/control", name, "leader control")


def gains_from_raw(stiffness: float, damping: float) -> tuple[float, float]:
    """BRS's raw gains in SI.

    Args:
        stiffness: mA for each tick.
        damping: mA for each velocity unit of 0.229 rev/min.

    Returns:
        [A/rad], [A s/rad].
    """
    return (
        stiffness * AMPERE_PER_UNIT / RAD_PER_TICK,
        damping * AMPERE_PER_UNIT / RAD_PER_S_PER_UNIT,
    )


def spring(
    gap_rad: np.ndarray, stiffness_a_rad: np.ndarray, limit_a: float
) -> tuple[np.ndarray, np.ndarray]:
    """A spring whose pull is limited, and the energy in it.

    Returns:
        (n,) current [A], (n,) energy [A rad].
    """
    linear = stiffness_a_rad * gap_rad
    current = np.clip(linear, -limit_a, limit_a)
    # Up to the limit a triangle, beyond it a rectangle: F x - F^2 / (2 K).
    stiff = np.maximum(stiffness_a_rad, 1e-9)
    return current, current * gap_rad - 0.5 * current**2 / stiff


def damper(
    leader_rad_s: np.ndarray, follower_rad_s: np.ndarray, gains: BilateralGains, arms: int = 2
) -> np.ndarray:
    """(joints,) current of BRS's two damping terms [A]."""
    shared, own = (
        np.tile(each, arms) for each in (gains.damping_a_s_rad, gains.constant_damping_a_s_rad)
    )
    difference = leader_rad_s - gains.follower_velocity * follower_rad_s
    current: np.ndarray = -shared * difference - own * leader_rad_s
    return current


def beyond_limits(position_rad: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """(n,) way back into the limits [rad], 0 within."""
    return np.clip(position_rad, lower, upper) - position_rad


def friction_current(
    velocity_rad_s: np.ndarray, coulomb_a: float, assist: FrictionAssist
) -> np.ndarray:
    """(n,) current along the motion that takes off a part of the Coulomb friction [A]."""
    speed = np.abs(velocity_rad_s)
    rise = (speed - assist.from_rad_s) / (assist.full_rad_s - assist.from_rad_s)
    current: np.ndarray = assist.share * coulomb_a * np.clip(rise, 0.0, 1.0)
    return current * np.sign(velocity_rad_s)


def approach(value: np.ndarray, target: np.ndarray, most: float) -> np.ndarray:
    """`value` moved towards `target` by at most `most` in each component."""
    return value + np.clip(target - value, -most, most)


class Holder:
    """Holds joints at a target that may move: spring, damper, and a slow integral.

    Args:
        gains: of one arm.
        target_rad: (joints,) where the joints are now.
    """

    def __init__(self, gains: HoldGains, target_rad: np.ndarray) -> None:
        self.gains = gains
        self.target_rad = target_rad.copy()
        arms = len(target_rad) // len(gains.stiffness_a_rad)
        self._stiffness = np.tile(gains.stiffness_a_rad, arms)
        self._damping = np.tile(gains.damping_a_s_rad, arms)
        self._integral_a = np.zeros(len(target_rad))
        self.speed_rad_s = np.zeros(len(target_rad))  # of the target
        self._approach_rad_s = np.zeros(len(target_rad))  # the part of it that is ours

    def lead(
        self,
        goal_rad: np.ndarray,
        goal_rad_s: np.ndarray,
        pace: MirrorPace,
        dt_s: float,
        position_rad: np.ndarray,
    ) -> np.ndarray:
        """Move the target along with a goal and, at its own pace, towards it.

        Args:
            goal_rad: (joints,) where the goal is.
            goal_rad_s: (joints,) how fast it moves.
            pace: of the way to the goal.
            dt_s: time to move.
            position_rad: (joints,) where the joints are.

        Returns:
            (joints,) energy that this put into the springs [A rad].
        """
        before = self.stored(position_rad)
        self.target_rad = self.target_rad + goal_rad_s * dt_s
        left = goal_rad - self.target_rad
        stoppable = np.sqrt(2.0 * pace.acceleration_rad_s2 * np.abs(left))
        wanted = np.sign(left) * np.minimum(pace.speed_rad_s, stoppable)
        most = pace.acceleration_rad_s2 * dt_s
        self._approach_rad_s = approach(self._approach_rad_s, wanted, most)
        step = self._approach_rad_s * dt_s
        arrives = np.abs(step) >= np.abs(left)
        self.target_rad = self.target_rad + np.where(arrives, left, step)
        self._approach_rad_s = np.where(arrives, 0.0, self._approach_rad_s)
        self.speed_rad_s = goal_rad_s + self._approach_rad_s
        return self.stored(position_rad) - before

    def stored(self, position_rad: np.ndarray) -> np.ndarray:
        """(joints,) energy in the springs [A rad]."""
        gap = self.target_rad - position_rad
        return spring(gap, self._stiffness, self.gains.current_limit_a)[1]

    def current(
        self, position_rad: np.ndarray, velocity_rad_s: np.ndarray, dt_s: float
    ) -> np.ndarray:
        """(joints,) current towards the target [A]."""
        gains, gap = self.gains, self.target_rad - position_rad
        # Not while the target moves: what friction held back would be let loose at once.
        building = np.abs(gap) > gains.integral_dead_band_rad
        building &= np.abs(self.speed_rad_s) < _AT_REST_RAD_S
        change = np.where(building, gains.integral_a_rad_s * gap * dt_s, 0.0)
        most = gains.integral_limit_a
        self._integral_a = np.clip(self._integral_a + change, -most, most)
        pull = spring(gap, self._stiffness, gains.current_limit_a)[0]
        damping = self._damping * (velocity_rad_s - self.speed_rad_s)
        current: np.ndarray = pull - damping + self._integral_a
        return current
