"""The JoyLo leader arms: encoder ticks of 16 motors to joint angles of the robot, and back.

A joint's angle is `sign * (ticks - ticks at neutral) * pi / 2048 + neutral`. Ticks at neutral come
from a stored absolute calibration (`bind_zeros`), or are what the encoders read while the operator
holds the arms in the neutral pose (`bind_neutral`). Angles are not clipped to the robot's limits;
that is the follower's business.
"""

from __future__ import annotations

import logging

import numpy as np

from brs_hardware.dynamixel import DynamixelBus, check
from brs_hardware.dynamixel.control_table import (
    AMPERE_PER_UNIT,
    BUS_WATCHDOG_S_PER_UNIT,
    RAD_PER_S_PER_UNIT,
    RAD_PER_TICK,
    TICKS_PER_TURN,
    DriveMode,
    OperatingMode,
)
from brs_hardware.errors import DeviceError
from brs_hardware.leader_calibration import (
    LeaderZeros,
    check_pairs,
    pair_offsets,
    zeros_of_this_turn,
)
from brs_hardware.leader_config import (
    ArmConfig,
    JoyConConfig,
    JoyLoConfig,
    StickConfig,
    load_leader,
    runtime_folder,
)
from brs_hardware.types import LeaderMotion, LeaderSample

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
        self._motors, self._pairs = config.motors, config.pairs
        self._masters = config.master_rows
        self._signs = np.concatenate([arm.signs for arm in arms])  # until a calibration tells
        self._neutral = np.concatenate([arm.neutral for arm in arms])
        self._split = len(config.left.joints)
        self._neutral_ticks: np.ndarray | None = None
        self._pair_offset = np.zeros(len(self._pairs))
        self._driven = False  # whether the motors' torque may be on
        self._coupled = False  # whether slaves have offsets to read what their masters read
        # Row of the joint that a motor belongs to; a slave's current has its master's sign.
        rows = {master: row for row, master in enumerate((*arms[0].masters, *arms[1].masters))}
        rows |= {slave: rows[master] for master, slave in self._pairs.items()}
        self._joint_rows = np.array([rows[motor] for motor in self._motors])

    @property
    def bound(self) -> bool:
        """Whether the encoders were bound to joint angles since `connect`."""
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
            self._signs = np.concatenate([self.config.left.signs, self.config.right.signs])
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
        self._neutral_ticks = self.read_ticks()[self._masters]

    def bind_zeros(self, zeros: LeaderZeros, ranges: np.ndarray) -> None:
        """Bind to a stored calibration, wherever the arms are now.

        Args:
            zeros: of these motors.
            ranges: (2, joints) least and greatest angle of the robot's joints [rad]; they tell
                the turn that an encoder lost with its power.

        Raises:
            DeviceError: the bus failed, a gear slipped since the calibration, or a joint is in
                its range in no turn or in several.
        """
        ticks = self.read_ticks()
        check_pairs(self.config, ticks, zeros.pair_ticks)
        margin_rad = self.config.calibration.range_margin_rad if self.config.calibration else 0.0
        zero = zeros_of_this_turn(self.config, zeros, ticks, ranges, margin_rad)
        self._signs = zeros.signs
        self._neutral_ticks = zero + zeros.signs * self._neutral / RAD_PER_TICK

    @property
    def signs(self) -> np.ndarray:
        """(joints,) +1 or -1, of the leader's YAML or of the calibration it is bound to."""
        return self._signs

    @property
    def neutral_ticks(self) -> np.ndarray:
        """(joints,) what the masters read in the neutral pose. Raises DeviceError: not bound."""
        return self._bound_ticks()

    def restore_neutral(self, ticks: np.ndarray) -> None:
        """Bind to (joints,) neutral ticks kept from before; valid while the motors had power."""
        self._neutral_ticks = np.asarray(ticks, dtype=float)

    def read(self, stamp_s: float) -> LeaderSample:
        """Both arms now, in the robot's joint convention [rad].

        Args:
            stamp_s: time of this read, put into the sample [s].

        Raises:
            DeviceError: not bound to the neutral pose, bus failed, hardware error, or a master
                and its slave drifted apart by more than `pair_tolerance_rad`.
        """
        zero = self._bound_ticks()
        ticks = self.read_ticks()[self._masters]
        angles = self._signs * (ticks - zero) * RAD_PER_TICK + self._neutral
        return LeaderSample(stamp_s, angles[: self._split], angles[self._split :])

    def read_ticks(self) -> np.ndarray:
        """(motors,) present positions in the order of the configuration's `motors`.

        Raises:
            DeviceError: bus failed, hardware error, or a master and its slave drifted apart.
        """
        ticks = self._raw_ticks()
        check_pairs(self.config, ticks, self._pair_offset)
        return ticks

    def hold(self) -> None:
        """Torque on, each joint holding where it is, with at most `hold_current_ma`.

        Current-based position mode counts turns, so that goals need not lie within one.

        Raises:
            DeviceError: not bound to the neutral pose, or the bus failed.
        """
        self._bound_ticks()
        self.slacken()
        self._coupled = True
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

    def drive(self, watchdog_s: float) -> None:
        """Torque on in current mode, no current asked for yet.

        The motors' bus watchdog is armed: one that hears no packet for so long asks no current of
        itself any more, whatever became of this process (manual of the XL330, address 98).

        Args:
            watchdog_s: silence after which the motors let go [s], in steps of 20 ms.

        Raises:
            DeviceError: not bound to the neutral pose, or the bus failed.
        """
        self._bound_ticks()
        if self._driven:
            self.slacken()
        mode = int(OperatingMode.CURRENT)
        if set(self.bus.sync_read("operating_mode", self._motors)) != {mode}:
            self.bus.configure("operating_mode", dict.fromkeys(self._motors, mode))
        units = max(1, round(watchdog_s / BUS_WATCHDOG_S_PER_UNIT))
        self._driven = True
        # 0 clears a watchdog that tripped before; only then are goals accepted.
        for item, value in (
            ("bus_watchdog", 0),
            ("goal_current", 0),
            ("bus_watchdog", units),
            ("torque_enable", 1),
        ):
            self.bus.sync_write(item, dict.fromkeys(self._motors, value))
        if set(self.bus.sync_read("torque_enable", self._motors)) != {1}:
            self.slacken()
            raise DeviceError(
                "some motors do not take torque",
                where=self.bus.port,
                remedy="switch the motors' power off and on",
            )

    def measure(self, stamp_s: float) -> LeaderMotion:
        """Angles, speeds and currents of both arms in one transaction.

        Args:
            stamp_s: time of this read, put into the result [s].

        Raises:
            DeviceError: as `read`.
        """
        zero = self._bound_ticks()
        states = self.bus.read_states()
        ticks = states["position"].astype(np.int64)
        check_pairs(self.config, ticks, self._pair_offset)
        of_joints = states[self._masters]
        return LeaderMotion(
            stamp_s,
            self._signs * (ticks[self._masters] - zero) * RAD_PER_TICK + self._neutral,
            self._signs * of_joints["velocity"] * RAD_PER_S_PER_UNIT,
            self._signs * of_joints["current"] * AMPERE_PER_UNIT,
        )

    def push(self, current_a: np.ndarray) -> None:
        """Ask a current of every joint after `drive`; both motors of a pair get it.

        Args:
            current_a: (joints,) [A], positive towards greater angles of the robot.

        Raises:
            DeviceError: the port is gone.
        """
        units = np.rint(self._signs * current_a / AMPERE_PER_UNIT).astype(int)
        goals = dict(zip(self._motors, units[self._joint_rows].tolist(), strict=True))
        self.bus.sync_write("goal_current", goals)

    def slacken(self) -> None:
        """Torque off, and slaves read their own encoders again.

        Raises:
            DeviceError: the bus failed.
        """
        # One packet lets go of all at once; who did not hear it is told by itself.
        self.bus.sync_write("torque_enable", dict.fromkeys(self._motors, 0))
        still_on = self.bus.sync_read("torque_enable", self._motors)
        self.bus.torque([m for m, on in zip(self._motors, still_on, strict=True) if on], False)
        self.bus.sync_write("bus_watchdog", dict.fromkeys(self._motors, 0))
        self._driven = False
        if self._coupled:
            self._home(dict.fromkeys(self._pairs.values(), 0))
            self._coupled = False

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
        self._pair_offset = pair_offsets(self.config, self._raw_ticks())

    def _raw_ticks(self) -> np.ndarray:
        return self.bus.read_states()["position"].astype(np.int64)

    def _bound_ticks(self) -> np.ndarray:
        if self._neutral_ticks is None:
            raise DeviceError(
                "the leader is not calibrated",
                where=self.bus.port,
                remedy="run `brs calibrate joylo`, or let the arms hang and run `brs bind`",
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
