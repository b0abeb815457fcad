"""An emulated JoyLo: 16 motors on a serial device and two Joy-Cons, moved by a program."""

from __future__ import annotations

import time
from types import TracebackType

import numpy as np

from brs_hardware.dynamixel.control_table import RAD_PER_TICK, DriveMode, HardwareError
from brs_hardware.joylo import ArmConfig, JoyConConfig, JoyLoConfig
from brs_hardware.leader_control import load_leader_control
from brs_hardware.leader_dynamics import LeaderModel
from brs_sim.emulators.chain import MotorChain
from brs_sim.emulators.dynamixel_bus import EmulatedBus, joylo_motors
from brs_sim.emulators.joycon import EmulatedJoyCon
from brs_sim.emulators.joycon_socket import JoyConServer
from brs_sim.emulators.leader_physics import LeaderPhysics

_SIDES = ("left", "right")
# Where the encoders happen to stand in the neutral pose: assembly, not design, decides it.
_ENCODER_AT_NEUTRAL = 2048.0
_SLAVE_MISMATCH = 37.0  # ticks that a slave's horn is off by
_SERIALS = {"left": "00:00:00:00:00:01", "right": "00:00:00:00:00:02"}


class EmulatedJoyLo:
    """The leader that `config` describes, behind `config.port` and the Joy-Cons' sockets.

    It is switched on in the neutral pose. Without sockets in the configuration the controllers
    are reached in this process only: `joycons["left"]` is what a device factory returns.

    Args:
        config: as the driver's.
        model: what the arms weigh; None takes what the driver believes.
        wire_time: also let the bytes on the bus take their time.
        seed: of injected faults.
    """

    def __init__(
        self,
        config: JoyLoConfig,
        *,
        model: LeaderModel | None = None,
        wire_time: bool = False,
        seed: int = 0,
    ) -> None:
        self.config = config
        self._wire_time = wire_time
        self.chain = MotorChain(
            joylo_motors(config.motors, config.baud, shaft=_ENCODER_AT_NEUTRAL), seed=seed
        )
        self.joycons = {
            side: EmulatedJoyCon(side, self._joycon_config(side).serial or _SERIALS[side])
            for side in _SIDES
        }
        self.bus: EmulatedBus | None = None
        self._servers: list[JoyConServer] = []
        self._moved_s: float | None = None
        self._shafts: dict[int, float] = {}
        for arm in self._arms:
            for master, slave in arm.slaves.items():
                geared = self.chain.motor(slave)
                geared.poke("drive_mode", int(DriveMode.REVERSE))
                geared.leader = self.chain.motor(master)
                geared.leader_offset = 2.0 * _ENCODER_AT_NEUTRAL + _SLAVE_MISMATCH
                geared.step(0.0)
                geared.clear_turns()
        model = model or load_leader_control().model
        self.physics: LeaderPhysics | None = None
        # Chains of another kind than JoyLo have no known masses: their motors move one by one.
        if len(model.left.links) == len(config.left.joints) == len(config.right.joints):
            self.physics = LeaderPhysics(config, model, self.chain.motors, _ENCODER_AT_NEUTRAL)
        self.chain.physics = self.physics

    def __enter__(self) -> EmulatedJoyLo:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _arms(self) -> tuple[ArmConfig, ArmConfig]:
        return self.config.left, self.config.right

    def _joycon_config(self, side: str) -> JoyConConfig:
        return self.config.left_joycon if side == "left" else self.config.right_joycon

    def start(self) -> None:
        """Plug everything in: the device file and the sockets exist afterwards."""
        self.bus = EmulatedBus(self.chain, self.config.port, wire_time=self._wire_time)
        for side, joycon in self.joycons.items():
            path = self._joycon_config(side).socket
            if path is not None:
                self._servers.append(JoyConServer(path, joycon))

    def stop(self) -> None:
        """Remove the device file and the sockets; a second time does nothing."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self.bus is not None:
            self.bus.close()
            self.bus = None

    def move_hand(self, left_arm: np.ndarray, right_arm: np.ndarray) -> None:
        """Hold both arms there, in the robot's joint convention.

        Args:
            left_arm: (6,) [rad].
            right_arm: (6,) [rad].
        """
        now_s = time.monotonic()
        elapsed_s = now_s - self._moved_s if self._moved_s is not None else 0.0
        self._moved_s = now_s
        with self._running().changing() as chain:
            for arm, angles in zip(self._arms, (left_arm, right_arm), strict=True):
                shafts = shaft_ticks(arm, np.asarray(angles, dtype=float))
                for motor, shaft in zip(arm.masters, shafts.tolist(), strict=True):
                    speed = (shaft - self._shafts.get(motor, shaft)) / max(elapsed_s, 1e-3)
                    self._shafts[motor] = shaft
                    chain.motor(motor).grasp(shaft, speed)
            chain.step(time.monotonic())

    def release_hand(self) -> None:
        """Let go of the arms; slack joints stay where they are."""
        with self._running().changing() as chain:
            for arm in self._arms:
                for motor in arm.masters:
                    chain.motor(motor).grasp(None)
        self._shafts.clear()

    def push(self, torque_nm: np.ndarray) -> None:
        """Push every joint of both arms with a torque (joints,) [N m] while the motors are on."""
        if self.physics is None:
            raise RuntimeError("this leader has no known masses")
        with self._running().changing():
            self.physics.push_nm[:] = torque_nm

    def joint_angles(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the arms really are, in the robot's joint convention: (6,), (6,) [rad]."""
        with self._running().changing() as chain:
            left, right = (
                joint_angles(arm, np.array([chain.motor(motor).shaft for motor in arm.masters]))
                for arm in self._arms
            )
        return left, right

    def set_stick(self, side: str, deflection: tuple[float, float] | np.ndarray) -> None:
        """Push a stick: (2,) -1..1 of its travel, right + and up +."""
        self.joycons[side].set_stick(deflection)

    def set_buttons(self, side: str, held: frozenset[str]) -> None:
        """Hold exactly these buttons. Raises ValueError for one that side does not have."""
        self.joycons[side].set_buttons(held)

    def power_cycle(self) -> None:
        """The motors' supply goes off and on: turn counts and RAM are lost, EEPROM is kept."""
        with self._running().changing() as chain:
            for motor in chain.motors:
                motor.reboot()

    def unplug_bus(self) -> None:
        """The motors' adapter is pulled out."""
        self._running().unplug()

    def overheat(self, motor: int) -> None:
        """A motor gets too hot, reports it and goes slack."""
        with self._running().changing() as chain:
            chain.motor(motor).fail(HardwareError.OVERHEATING)

    def kill_motor(self, motor: int) -> None:
        """A motor answers no more."""
        with self._running().changing() as chain:
            chain.faults.dead |= {motor}

    def double_id(self, motor: int) -> None:
        """Two motors have this id."""
        with self._running().changing() as chain:
            chain.faults.doubled |= {motor}

    def lose_bytes(self, probability: float) -> None:
        """So great a part of the answers loses a byte."""
        with self._running().changing() as chain:
            chain.faults.drop_probability = probability

    def slip_coupling(self, master: int, ticks: float) -> None:
        """The slave of a joint slips by so many ticks against its master."""
        slave = next(arm.slaves[master] for arm in self._arms if master in arm.slaves)
        with self._running().changing() as chain:
            chain.motor(slave).leader_offset += ticks

    def _running(self) -> EmulatedBus:
        if self.bus is None:
            raise RuntimeError("call start() first")
        return self.bus


def shaft_ticks(arm: ArmConfig, angles: np.ndarray) -> np.ndarray:
    """Shaft of each master [ticks] for joint angles [rad] of the robot."""
    return _ENCODER_AT_NEUTRAL + arm.signs * (angles - arm.neutral) / RAD_PER_TICK


def joint_angles(arm: ArmConfig, shafts: np.ndarray) -> np.ndarray:
    """Joint angles [rad] of the robot for shafts of the masters [ticks]."""
    angles: np.ndarray = arm.signs * (shafts - _ENCODER_AT_NEUTRAL) * RAD_PER_TICK + arm.neutral
    return angles
