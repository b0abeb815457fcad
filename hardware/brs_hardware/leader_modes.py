"""The leader's modes: which laws drive it in each, and when it is let go.

free: torque off · float: weightless, stays where it is left · lock: all joints hold ·
wrist_lock: the wrists hold, the rest floats · mirror: the leader follows the robot ·
bilateral: the hand feels how far the robot is behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.errors import BrsError, ConfigError
from brs_hardware.leader_config import JoyLoConfig
from brs_hardware.leader_control import (
    FOLLOWING,
    MODES,
    WRIST_JOINTS,
    Holder,
    LeaderControlConfig,
    approach,
    beyond_limits,
    damper,
    friction_current,
    spring,
)
from brs_hardware.leader_dynamics import GravityModel
from brs_hardware.passivity import (
    LoopTiming,
    PassivityObserver,
    check_gains,
    largest_stiffness_a_rad,
)
from brs_hardware.types import LeaderMotion

_PERIOD_SMOOTHING = 0.02  # of the measured loop period
_STEPS_TO_TRUST = 100  # of the loop before its measured period counts


class ModeRefused(BrsError):
    """A mode cannot be taken up now."""


@dataclass(frozen=True)
class FollowerMotion:
    """The robot's arms as the leader needs them; joints in the order left, right."""

    stamp_s: float
    position: np.ndarray  # (joints,) [rad]
    velocity: np.ndarray  # (joints,) [rad/s]


@dataclass(frozen=True)
class LeaderDrive:
    """What one step asks for."""

    current: np.ndarray  # (joints,) [A] of each motor
    gap: np.ndarray  # (joints,) follower minus leader [rad], NaN where not known
    passive: bool
    let_go: str = ""  # why the motors must be let go


class LeaderController:
    """Laws and rules of the driven leader. It reads no clock and no bus.

    Args:
        config: gains and masses.
        leader: names and motors of the joints.
        lower: (joints,) least angle of the robot's joints [rad].
        upper: (joints,) greatest [rad].

    Raises:
        ConfigError: gains that are not passive, or numbers of joints that do not fit.
    """

    def __init__(
        self,
        config: LeaderControlConfig,
        leader: JoyLoConfig,
        lower: np.ndarray,
        upper: np.ndarray,
    ) -> None:
        self.config = config
        arms = (leader.left, leader.right)
        self.joints = tuple(joint for arm in arms for joint in arm.joints)
        self._gravity = GravityModel(config.model)
        if not self._gravity.joints == len(self.joints) == len(lower) == len(upper):
            raise ConfigError(
                f"{self._gravity.joints} links, {len(self.joints)} leader joints and {len(lower)}"
                " robot joints do not fit",
                where=f"leader control '{config.name}'",
                remedy="give one link for each joint",
            )
        self.lower, self.upper = lower, upper
        motors = np.array([1 + (m in arm.slaves) for arm in arms for m in arm.masters])
        motor = config.model.motor
        self._torque_nm_a = motors * motor.torque_constant_nm_a
        self.observer = PassivityObserver(
            config.passivity, self._torque_nm_a, motor.coulomb_a, motor.viscous_a_s_rad
        )
        wrist = np.arange(len(leader.left.joints)) >= len(leader.left.joints) - WRIST_JOINTS
        self._holding = {
            "lock": np.ones(len(self.joints), dtype=bool),
            "wrist_lock": np.tile(wrist, 2),
            "mirror": np.ones(len(self.joints), dtype=bool),
        }
        self._stiffness = np.tile(config.bilateral.stiffness_a_rad, 2)
        self.mode = "free"
        self._current_a = np.zeros(len(self.joints))
        self._balance_a = np.zeros(len(self.joints))
        self._check(config.timing)
        self._start(np.zeros(len(self.joints)))

    def begin(
        self, mode: str, now_s: float, leader: LeaderMotion, follower: FollowerMotion | None
    ) -> None:
        """Take up a mode where the leader is now.

        Raises:
            ConfigError: there is no such mode.
            ModeRefused: it cannot be taken up; the mode stays.
        """
        if mode not in MODES:
            raise ConfigError(f"unknown mode '{mode}'", remedy=did_you_mean(mode, MODES))
        if mode != "free":
            why = self._outside(leader) or (
                self._unknown_follower(now_s, follower) if mode in FOLLOWING else ""
            )
            if why:
                raise ModeRefused(f"mode {mode} is not possible: {why}")
        if mode == "free" or self.mode == "free":
            self.abandon()
        self.mode = mode
        self._start(leader.position)

    def abandon(self) -> None:
        """Mode free, whatever the motors do; for who lets them go."""
        self.mode = "free"
        self._current_a = np.zeros(len(self.joints))

    def step(
        self, now_s: float, dt_s: float, leader: LeaderMotion, follower: FollowerMotion | None
    ) -> LeaderDrive:
        """Currents for now; when something is wrong, zero currents, mode free, and why.

        Args:
            now_s: on the clock of the follower's stamp [s].
            dt_s: since the last step [s].
            leader: as measured.
            follower: newest known, None before the first.
        """
        unknown = np.full(len(self.joints), np.nan)
        gap = unknown if follower is None else follower.position - leader.position
        why = self._trouble(now_s, dt_s, leader, follower)
        if why:
            self.abandon()
            return LeaderDrive(self._current_a, gap, self.observer.passive, why)
        config = self.config
        balance = self._gravity.torque(leader.position) / self._torque_nm_a
        feedback, stored, supplied = self._feedback(dt_s, leader, follower)
        wall, wall_stored = spring(
            beyond_limits(leader.position, self.lower, self.upper),
            np.full(len(self.joints), config.limit_stiffness_a_rad),
            config.current_limit_a,
        )
        self.observer.observe(
            leader.position, leader.current - self._balance_a, stored + wall_stored, supplied, dt_s
        )
        brake = self.observer.damping(leader.velocity)
        wanted = balance + self._friction(leader.velocity) + feedback + wall + brake
        limited = np.clip(wanted, -config.current_limit_a, config.current_limit_a)
        self._current_a = approach(self._current_a, limited, config.current_slew_a_s * dt_s)
        self._balance_a = balance
        return LeaderDrive(self._current_a, gap, self.observer.passive)

    def _start(self, position_rad: np.ndarray) -> None:
        self._holder = Holder(self.config.hold, position_rad)
        self._balance_a = self._gravity.torque(position_rad) / self._torque_nm_a
        self._ramp = 0.0
        self._period_s, self._steps = 0.0, 0
        self.observer.restart()

    def _feedback(
        self, dt_s: float, leader: LeaderMotion, follower: FollowerMotion | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Current of the mode [A], energy in its springs and what a target put in [A rad]."""
        nothing = np.zeros(len(self.joints))
        if self.mode == "bilateral" and follower is not None:
            return self._bilateral(dt_s, leader, follower)
        holding = self._holding.get(self.mode)
        if holding is None:
            return nothing, nothing, nothing
        supplied = nothing
        if self.mode == "mirror" and follower is not None:
            supplied = self._holder.lead(
                follower.position, follower.velocity, self.config.mirror, dt_s, leader.position
            )
        current = self._holder.current(leader.position, leader.velocity, dt_s)
        stored = self._holder.stored(leader.position)
        return np.where(holding, current, 0.0), np.where(holding, stored, 0.0), supplied

    def _friction(self, velocity_rad_s: np.ndarray) -> np.ndarray:
        """Current against friction [A]: a hand is helped by the joint's own speed, a joint that
        is led by that of its target."""
        motor, led = self.config.model.motor, self._holder.speed_rad_s
        holding = self._holding.get(self.mode, np.False_)
        moving = np.where(holding, led, velocity_rad_s)
        dry = friction_current(moving, motor.coulomb_a, self.config.friction)
        return dry + np.where(holding, motor.viscous_a_s_rad * led, 0.0)

    def _bilateral(
        self, dt_s: float, leader: LeaderMotion, follower: FollowerMotion
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gains = self.config.bilateral
        self._ramp = min(1.0, self._ramp + dt_s / self.config.ramp_s)
        gap = follower.position - leader.position
        pull, stored = spring(gap, self._ramp * self._stiffness, gains.current_limit_a)
        # The robot's own motion counts as no supply: late, it is what makes feedback unstable.
        return pull + damper(leader.velocity, follower.velocity, gains), stored, np.zeros_like(gap)

    # -- reasons to let go -----------------------------------------------------------------

    def _trouble(
        self, now_s: float, dt_s: float, leader: LeaderMotion, follower: FollowerMotion | None
    ) -> str:
        if dt_s > self.config.watchdog_s:
            return f"the control loop stood still for {1e3 * dt_s:.0f} ms"
        if self.mode in FOLLOWING and (why := self._unknown_follower(now_s, follower)):
            return why
        return self._outside(leader) or self._too_active() or self._too_slow(dt_s)

    def _outside(self, leader: LeaderMotion) -> str:
        config = self.config
        out = np.abs(beyond_limits(leader.position, self.lower, self.upper))
        worst = int(np.argmax(out))
        if not out[worst] <= config.let_go_beyond_rad:
            return f"{self.joints[worst]} is {out[worst]:.2f} rad beyond the robot's limits"
        worst = int(np.argmax(np.abs(leader.velocity)))
        speed = abs(float(leader.velocity[worst]))
        if not speed <= config.let_go_speed_rad_s:
            return f"{self.joints[worst]} turns at {speed:.1f} rad/s"
        return ""

    def _unknown_follower(self, now_s: float, follower: FollowerMotion | None) -> str:
        if follower is None:
            return "the robot's state is not known"
        age_s = now_s - follower.stamp_s
        if not abs(age_s) <= self.config.follower_timeout_s:
            return f"the robot's state is {age_s:.2f} s old"
        finite = np.isfinite(follower.position) & np.isfinite(follower.velocity)
        return "" if np.all(finite) else "the robot's state is not finite"

    def _too_active(self) -> str:
        joint = self.observer.active_joint
        if joint is None:
            return ""
        return f"the feedback of {self.joints[joint]} gives away energy in spite of damping"

    def _too_slow(self, dt_s: float) -> str:
        """The gains were checked for the configured rate; the real one may be lower."""
        self._steps += 1
        share = max(1.0 / self._steps, _PERIOD_SMOOTHING)
        self._period_s += share * (dt_s - self._period_s)
        if self._steps < _STEPS_TO_TRUST or self._steps % _STEPS_TO_TRUST:
            return ""
        try:
            self._check(self._timing(self._period_s), self.mode)
        except ConfigError as error:
            return f"the loop runs at only {1.0 / self._period_s:.0f} Hz: {error.what}"
        return ""

    def _timing(self, period_s: float) -> LoopTiming:
        return LoopTiming(period_s, self.config.delay_s, self.config.follower_delay_s)

    def _check(self, timing: LoopTiming, mode: str = "") -> None:
        """See that the gains of a mode (or of all) are passive; raises ConfigError."""
        config, motor = self.config, self.config.model.motor
        here = LoopTiming(timing.period_s, timing.delay_s)  # without a follower in the loop
        hold, feedback = config.hold, config.bilateral
        wall = np.full_like(hold.stiffness_a_rad, config.limit_stiffness_a_rad)
        checks = {
            "limit springs": (wall, np.zeros_like(wall), here),
            "hold": (hold.stiffness_a_rad, hold.damping_a_s_rad, here),
            "bilateral": (feedback.stiffness_a_rad, feedback.whole_damping_a_s_rad, timing),
        }
        idle = {"float": {"hold", "bilateral"}, "bilateral": {"hold"}, "": set()}
        joints = self.joints[: len(wall)]
        for what, (stiffness, damping, times) in checks.items():
            if what in idle.get(mode, {"bilateral"}):
                continue
            largest = largest_stiffness_a_rad(
                motor.viscous_a_s_rad, motor.coulomb_a, damping, times
            )
            where = f"leader control '{config.name}', {what}"
            check_gains(where, joints, stiffness, damping, largest)
