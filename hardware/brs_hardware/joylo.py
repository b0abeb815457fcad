"""The JoyLo leader arms: encoder ticks of 16 motors to joint angles of the robot, and back.

A joint's angle is `sign * (ticks - ticks at neutral) * pi / 2048 + neutral`: what the encoders
read while the operator holds the arms in the neutral pose is bound to that pose. Angles are not
clipped to the robot's limits; that is the follower's business.
"""

from __future__ import annotations

import logging

import numpy as np

from brs_hardware.dynamixel import DynamixelBus, check
from brs_hardware.dynamixel.control_table import (
    RAD_PER_TICK,
    TICKS_PER_TURN,
    DriveMode,
    OperatingMode,
)
from brs_hardware.errors import DeviceError
from brs_hardware.leader_config import (
    ArmConfig,
    JoyConConfig,
    JoyLoConfig,
    StickConfig,
    load_leader,
    runtime_folder,
)
from brs_hardware.types import LeaderSample

__all__ = [
    "ArmConfig",
    "JoyConConfig",
    "JoyLo",
    "JoyLoConfig",
    "StickConfig",
    "load_leader",
    "runtime_folder",
]

_log = logging.getLogger(__name__)


class JoyLo:
    """Both leader arms. One thread uses it at a time.

    Args:
        config: motors, signs and neutral pose.
        bus: to use another bus than the configured one, for tests.
    """

    def __init__(self, config: JoyLoConfig, bus: DynamixelBus | None = None) -> None:
        self.config = config
        self.bus = bus or DynamixelBus(
            config.port,
            config.baud,
            names=config.names,
            reply_timeout_s=config.reply_timeout_s,
            max_failures=config.max_failures,
        )
        arms = (config.left, config.right)
        self._motors = config.motors
        row = {motor: index for index, motor in enumerate(self._motors)}
        pairs = [(master, slave) for arm in arms for master, slave in arm.slaves.items()]
        self._pairs = dict(pairs)
        self._masters = np.array([row[motor] for arm in arms for motor in arm.masters])
        self._pair_masters = np.array([row[master] for master, _ in pairs], dtype=int)
        self._pair_slaves = np.array([row[slave] for _, slave in pairs], dtype=int)
        self._signs = np.concatenate([arm.signs for arm in arms])
        self._neutral = np.concatenate([arm.neutral for arm in arms])
        self._split = len(config.left.joints)
        self._neutral_ticks: np.ndarray | None = None
        self._pair_offset = np.zeros(len(pairs), dtype=np.int64)
        self._driven = False  # whether the motors' torque may be on

    @property
    def bound(self) -> bool:
        """Whether `bind_neutral` was called since `connect`."""
        return self._neutral_ticks is not None

    def connect(self) -> None:
        """Open the bus, see that all motors are there and sane, and make them slack.

        Raises:
            DeviceError: port, baud rate, missing or doubled motors, hardware errors, or a joint
                beyond `max_turns`.
        """
        self.bus.open()
        try:
            check(self.bus, self._motors)
            self.bus.torque(self._motors, False)
            self._neutral_ticks = None
            slaves = set(self._pairs.values())
            # 0: a delay of 16 motors adds up. Reversed: slaves turn the other way round.
            self.bus.configure("return_delay_time", dict.fromkeys(self._motors, 0))
            reverse = int(DriveMode.REVERSE)
            modes = {motor: reverse if motor in slaves else 0 for motor in self._motors}
            self.bus.configure("drive_mode", modes)
            self._home(dict.fromkeys(self._motors, 0))
            self._check_turns()
        except BaseException:
            self.bus.close()
            raise

    def bind_neutral(self) -> None:
        """Bind what the encoders read now to the neutral pose; the operator holds the arms so.

        Raises:
            DeviceError: the bus failed, or a gear slipped.
        """
        self._neutral_ticks = self._read_ticks()[self._masters]

    @property
    def neutral_ticks(self) -> np.ndarray:
        """(joints,) what the masters read in the neutral pose. Raises DeviceError: not bound."""
        return self._bound_ticks()

    def restore_neutral(self, ticks: np.ndarray) -> None:
        """Bind to (joints,) neutral ticks kept from before; valid while the motors had power."""
        self._neutral_ticks = np.asarray(ticks, dtype=np.int64)

    def read(self, stamp_s: float) -> LeaderSample:
        """Both arms now, in the robot's joint convention [rad].

        Args:
            stamp_s: time of this read, put into the sample [s].

        Raises:
            DeviceError: not bound to the neutral pose, bus failed, hardware error, or a master
                and its slave drifted apart by more than `pair_tolerance_rad`.
        """
        zero = self._bound_ticks()
        ticks = self._read_ticks()[self._masters]
        angles = self._signs * (ticks - zero) * RAD_PER_TICK + self._neutral
        return LeaderSample(stamp_s, angles[: self._split], angles[self._split :])

    def hold(self) -> None:
        """Torque on, each joint holding where it is, with at most `hold_current_ma`.

        Current-based position mode counts turns, so that goals need not lie within one.

        Raises:
            DeviceError: not bound to the neutral pose, or the bus failed.
        """
        self._bound_ticks()
        self.slacken()
        # Offsets make a slave read what its master reads: both then take the same goal.
        positions = dict(zip(self._motors, self._raw_ticks(), strict=True))
        self._home({s: int(positions[m] - positions[s]) for m, s in self._pairs.items()})
        mode = int(OperatingMode.CURRENT_BASED_POSITION)
        self.bus.configure("operating_mode", dict.fromkeys(self._motors, mode))
        current = self.config.hold_current_ma
        self.bus.sync_write("goal_current", dict.fromkeys(self._motors, current))
        self._driven = True
        self.bus.torque(self._motors, True)

    def move_to(self, left_arm: np.ndarray, right_arm: np.ndarray) -> None:
        """Goal of all joints after `hold`, in the robot's joint convention.

        Args:
            left_arm: (6,) [rad].
            right_arm: (6,) [rad].

        Raises:
            DeviceError: not bound to the neutral pose, or the bus failed.
        """
        angles = np.concatenate([left_arm, right_arm])
        turned = self._signs * (angles - self._neutral) / RAD_PER_TICK
        ticks = np.rint(self._bound_ticks() + turned).astype(int)
        masters = [self._motors[row] for row in self._masters]
        goals = dict(zip(masters, ticks.tolist(), strict=True))
        goals |= {slave: goals[master] for master, slave in self._pairs.items()}
        self.bus.sync_write("goal_position", goals)

    def slacken(self) -> None:
        """Torque off, and slaves read their own encoders again.

        Raises:
            DeviceError: the bus failed.
        """
        self.bus.torque(self._motors, False)
        self._driven = False
        self._home(dict.fromkeys(self._pairs.values(), 0))

    def close(self) -> None:
        """Torque off as far as the bus still works, and close it; a second time does nothing."""
        if not self.bus.sdk_port.is_open:
            return
        try:
            if self._driven:
                self.slacken()
        except DeviceError as error:
            _log.warning("torque could not be switched off: %s", error)
        finally:
            self._driven = False
            self.bus.close()

    def _home(self, offsets: dict[int, int]) -> None:
        """Set homing offsets, and learn anew how far masters and slaves are apart."""
        self.bus.configure("homing_offset", offsets)
        self.bus.watch(self._motors)
        ticks = self._raw_ticks()
        self._pair_offset = ticks[self._pair_slaves] - ticks[self._pair_masters]

    def _raw_ticks(self) -> np.ndarray:
        return self.bus.read_states()["position"].astype(np.int64)

    def _read_ticks(self) -> np.ndarray:
        """(motors,) positions, masters and slaves found to agree."""
        ticks = self._raw_ticks()
        apart = ticks[self._pair_slaves] - ticks[self._pair_masters] - self._pair_offset
        worst = int(np.argmax(np.abs(apart))) if apart.size else 0
        if apart.size and abs(apart[worst]) * RAD_PER_TICK > self.config.pair_tolerance_rad:
            master, slave = list(self._pairs.items())[worst]
            degrees = np.degrees(abs(apart[worst]) * RAD_PER_TICK)
            raise DeviceError(
                f"{self.bus.name(master)} and ID {slave} are {degrees:.0f} degrees apart:"
                " their coupling slipped",
                where=self.bus.port,
                remedy="tighten the horns of both motors, then calibrate again",
            )
        return ticks

    def _bound_ticks(self) -> np.ndarray:
        if self._neutral_ticks is None:
            raise DeviceError(
                "the leader is not calibrated",
                where=self.bus.port,
                remedy="hold both arms in the neutral pose (hanging) and calibrate",
            )
        return self._neutral_ticks

    def _check_turns(self) -> None:
        turns = self._raw_ticks() / TICKS_PER_TURN
        worst = int(np.argmax(np.abs(turns)))
        if abs(turns[worst]) > self.config.max_turns:
            raise DeviceError(
                f"{self.bus.name(self._motors[worst])} reads {turns[worst]:.1f} turns",
                where=self.bus.port,
                remedy="switch the motors' power off and on, which clears the turn count",
            )
