"""Drives the leader's motors: one turn of the control loop, and every way out of it lets go.

Three nets under a driven leader: a rule of the controller says to let go; any exception on the
way lets go; and the motors' own bus watchdog lets go when nobody is there any more to do so.
"""

from __future__ import annotations

from collections.abc import Callable

from brs_hardware.errors import DeviceError
from brs_hardware.joylo import JoyLo
from brs_hardware.leader_modes import FollowerMotion, LeaderController, LeaderDrive
from brs_hardware.types import LeaderMotion

_HEALTH_PERIOD_S = 0.3  # between looks at one more of temperature, voltage and watchdog


class LeaderLoop:
    """A bound leader and the laws that drive it. One thread uses it.

    Args:
        leader: connected and bound.
        controller: laws and rules.
    """

    def __init__(self, leader: JoyLo, controller: LeaderController) -> None:
        self.leader, self.controller = leader, controller
        self.last: LeaderDrive | None = None  # of the newest step; None in free mode
        self.let_go = ""  # why the motors were let go last, until the next mode
        self._healthy_s = 0.0
        self._looks = 0

    @property
    def mode(self) -> str:
        """What the motors do now."""
        return self.controller.mode

    def take(self, mode: str, now_s: float, follower: FollowerMotion | None) -> None:
        """Take up a mode.

        Args:
            mode: one of `MODES`.
            now_s: on the clock of the follower's stamp [s].
            follower: newest known.

        Raises:
            ConfigError: no such mode.
            ModeRefused: not possible now; the mode stays.
            DeviceError: the bus failed; the motors are let go as far as they hear.
        """
        before = self.mode
        try:
            self.controller.begin(mode, now_s, self.leader.measure(now_s), follower)
            if mode == "free":
                self.leader.slacken()
            elif before == "free":
                self.leader.drive(self.controller.config.watchdog_s)
        except DeviceError:
            self.release()
            raise
        self.last, self.let_go = None, ""
        self._healthy_s = 0.0

    def step(self, now_s: float, dt_s: float, follower: FollowerMotion | None) -> LeaderMotion:
        """Read, compute and push once; in a driven mode only.

        Args:
            now_s: stamp of the measurement, on the clock of the follower's stamp [s].
            dt_s: since the last step or since `take` [s].
            follower: newest known.

        Raises:
            DeviceError: the bus failed or a motor is in trouble; the motors are let go as far as
                they hear.
        """
        try:
            motion = self.leader.measure(now_s)
            self.last = self.controller.step(now_s, dt_s, motion, follower)
            if self.last.let_go:
                self._let_go(self.last.let_go)
            else:
                self.leader.push(self.last.current)
                self._look_after_motors(dt_s)
        except BaseException:
            self.release()
            raise
        return motion

    def release(self) -> None:
        """Let go now, as far as the motors hear; the bus may be the very thing that failed."""
        self.controller.abandon()
        self.last = None
        try:
            self.leader.slacken()
        except DeviceError as error:
            # Without packets the motors' watchdogs trip by themselves.
            self.let_go = f"torque could not be switched off ({error.what}); watchdogs do it"

    def _let_go(self, why: str) -> None:
        self.leader.slacken()
        self.let_go = why

    def _look_after_motors(self, dt_s: float) -> None:
        """Now and then one more register of all motors; one transaction at most in a turn."""
        self._healthy_s += dt_s
        if self._healthy_s < _HEALTH_PERIOD_S:
            return
        self._healthy_s = 0.0
        config, bus, motors = self.controller.config, self.leader.bus, self.leader.config.motors
        # Register -> its worst value, whether that is bad, and how it is told.
        checks: tuple[tuple[str, Callable[[list[int]], int], Callable[[int], bool], str], ...] = (
            ("present_temperature", max, lambda c: c > config.temperature_limit_c, "is hot: {} C"),
            (
                "present_input_voltage",
                min,
                lambda dv: dv < 10 * config.least_voltage_v,
                "gets only {} x 0.1 V",
            ),
            ("bus_watchdog", min, lambda state: state < 0, "missed packets and let go by itself"),
        )
        register, worst_of, bad, text = checks[self._looks % len(checks)]
        self._looks += 1
        values = bus.sync_read(register, motors)
        worst = worst_of(values)
        if not bad(worst):
            return
        self.controller.abandon()
        self._let_go(f"{bus.name(motors[values.index(worst)])} {text.format(worst)}")
