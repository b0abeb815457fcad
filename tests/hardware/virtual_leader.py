"""A leader whose motors live in virtual time: the real driver on an emulated chain, no port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from brs_hardware.dynamixel import DynamixelBus
from brs_hardware.dynamixel.bus import MOTOR_STATE
from brs_hardware.dynamixel.control_table import ITEMS
from brs_hardware.embodiment import Embodiment
from brs_hardware.joylo import JoyLo, load_leader
from brs_hardware.leader_control import LeaderControlConfig, load_leader_control
from brs_hardware.leader_dynamics import LeaderArmModel, LeaderModel
from brs_hardware.leader_loop import LeaderLoop
from brs_hardware.leader_modes import FollowerMotion, LeaderController
from brs_hardware.types import LeaderMotion
from brs_sim.emulators.joylo import EmulatedJoyLo


class ChainBus:
    """What JoyLo asks of a bus, spoken to the motors without packets on a wire."""

    port = "virtual"

    def __init__(self, emulated: EmulatedJoyLo) -> None:
        self.chain = emulated.chain
        self.now_s = 0.0
        self.delay_s = 0.0  # of currents on their way to the motors
        self._ids = [motor.id for motor in self.chain.motors]

    def name(self, motor: int) -> str:
        return f"ID {motor}"

    def advance(self, elapsed_s: float) -> None:
        self.now_s += elapsed_s
        self.chain.step(self.now_s)

    def _hear(self) -> None:
        for motor in self.chain.motors:
            motor.hear()

    def sync_write(self, item: str, values: Mapping[int, int]) -> None:
        if item == "goal_current":
            self.advance(self.delay_s)
        self._hear()
        for motor, value in values.items():
            self.chain.motor(motor).write(ITEMS[item].address, ITEMS[item].encode(value))

    configure = sync_write

    def sync_read(self, item: str, motors: Sequence[int]) -> list[int]:
        self._hear()
        return [self.chain.motor(motor).peek(item) for motor in motors]

    def watch(self, motors: Sequence[int]) -> None:
        """All motors are always read."""

    def torque(self, motors: Iterable[int], on: bool) -> None:
        self.sync_write("torque_enable", dict.fromkeys(motors, int(on)))

    def read_states(self) -> np.ndarray:
        self._hear()
        rows = [
            tuple(motor.peek(f"present_{name}") for name in MOTOR_STATE.names or ())
            for motor in self.chain.motors
        ]
        return np.array(rows, MOTOR_STATE)


def scaled(model: LeaderModel, left: float, right: float) -> LeaderModel:
    """The model with all masses of an arm times a number."""

    def arm(of: LeaderArmModel, by: float) -> LeaderArmModel:
        return replace(of, links=tuple(replace(k, mass_kg=k.mass_kg * by) for k in of.links))

    return replace(model, left=arm(model.left, left), right=arm(model.right, right))


class VirtualLeader:
    """Driver, controller and emulated arms; `run` lets time pass in turns of the control loop.

    Args:
        robot: whose limits hold.
        truth: what the arms really weigh; None is what the controller believes.
        control: gains; None are those of the YAML.
    """

    def __init__(
        self,
        robot: Embodiment,
        truth: LeaderModel | None = None,
        control: LeaderControlConfig | None = None,
    ) -> None:
        config = load_leader("joylo_emulated")
        self.emulated = EmulatedJoyLo(config, model=truth)
        assert self.emulated.physics is not None
        self.physics = self.emulated.physics
        self.bus = ChainBus(self.emulated)
        self.leader = JoyLo(config, cast(DynamixelBus, self.bus))
        self.leader.restore_neutral(np.full(12, 2048.0))
        self.control = control or load_leader_control()
        self.controller = LeaderController(self.control, config, *limits(robot))
        self.loop = LeaderLoop(self.leader, self.controller)
        self.neutral = np.concatenate([config.left.neutral, config.right.neutral])
        self.follower: FollowerMotion | None = None
        self.place(self.neutral)

    def place(self, pose: np.ndarray) -> None:
        """A hand brings the slack arms there and lets go."""
        config = self.emulated.config
        for arm, angles in zip((config.left, config.right), np.split(pose, 2), strict=True):
            ticks = arm.signs * (angles - arm.neutral) * 2048 / np.pi + 2048.0
            for motor, shaft in zip(arm.masters, ticks.tolist(), strict=True):
                self.bus.chain.motor(motor).grasp(shaft)
        self.bus.advance(0.1)
        for motor in self.bus.chain.motors:
            motor.grasp(None)

    def follow(self, pose: np.ndarray) -> None:
        """The robot is there now."""
        self.follower = FollowerMotion(self.bus.now_s, pose, np.zeros(12))

    def take(self, mode: str) -> None:
        self.loop.take(mode, self.bus.now_s, self.follower)

    def run(self, duration_s: float, robot_moves: bool = True) -> list[LeaderMotion]:
        """Turns of the loop for so long, or until the leader is let go; what it measured."""
        period_s, seen = 1.0 / self.control.loop_hz, []
        for _ in range(round(duration_s / period_s)):
            started_s = self.bus.now_s
            if self.follower is not None and robot_moves:
                self.follow(self.follower.position)
            seen.append(self.loop.step(self.bus.now_s, period_s, self.follower))
            if self.loop.mode == "free":
                break
            self.bus.advance(max(0.0, period_s - (self.bus.now_s - started_s)))
        return seen

    @property
    def powered(self) -> bool:
        """Whether any motor pushes or holds."""
        return any(motor.powered for motor in self.bus.chain.motors)


def limits(robot: Embodiment) -> tuple[np.ndarray, np.ndarray]:
    """(12,) least and greatest angles of both arms [rad]."""
    arms = (robot.left_arm, robot.right_arm)
    return np.concatenate([a.lower for a in arms]), np.concatenate([a.upper for a in arms])
