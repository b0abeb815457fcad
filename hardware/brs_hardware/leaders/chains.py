"""Arms of Dynamixel motors other than JoyLo as a leader, such as GELLO's.

Any number of joints, any ids, one bus for both arms or one for each, a trigger motor instead of a
Joy-Con's for the gripper. Sticks, dead-man and the other buttons are those of a gamepad. Each bus
is driven by `JoyLo`; its binding to a neutral pose is the same: hold the arms there, triggers
released, when they are bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from brs_hardware import config
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.joylo import JoyLo
from brs_hardware.leader_config import ArmConfig, JoyLoConfig, runtime_folder
from brs_hardware.leaders.direct import ARMS, DirectLeader, DirectSettings, register
from brs_hardware.leaders.hands import SIDES, GamepadHand, ManualAction
from brs_hardware.leaders.joy import JoyGamepad
from brs_hardware.teleop import TRIGGER

_NO_ARM = ArmConfig((), (), {}, np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class TriggerConfig:
    """A motor that a finger pulls."""

    motor: int
    pulled_rad: float  # signed turn of its encoder from released to pulled fully

    def __post_init__(self) -> None:
        if abs(self.pulled_rad) < 0.1:
            raise ValueError("'pulled_rad' must be at least 0.1 either way")


@dataclass(frozen=True)
class ChainConfig:
    """One arm and the bus on which it is."""

    port: str
    baud: int
    arm: ArmConfig
    trigger: TriggerConfig | None = None

    def __post_init__(self) -> None:
        config.positive(self, "baud")


@dataclass(frozen=True, kw_only=True)
class ChainSettings(DirectSettings):
    """Both arms."""

    left: ChainConfig
    right: ChainConfig
    # The arms are where the person holds them: teleop checks how far that is from the robot.
    lead_rad: float = float("inf")
    reading_timeout_s: float = 0.15
    pull_closes: float = 0.5  # fraction of a trigger's way from which on it counts as pressed
    reply_timeout_s: float = 0.05  # a slow bus of GELLO's needs more than JoyLo's

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.left.port == self.right.port and self.left.baud != self.right.baud:
            raise ValueError("both arms are on one bus, at different baud rates")


@dataclass(frozen=True)
class ChainReading:
    """Both arms at one moment."""

    arms: dict[str, np.ndarray]  # by side, (n,) [rad] in the robot's joint convention
    pulls: dict[str, float]  # by side, 0 released .. 1 pulled; without a trigger 0


class ArmChains:
    """The motors of both arms, on one bus or two. One thread uses it at a time.

    Args:
        settings: ports and motors. `{runtime}` in a port is `runtime_folder()`.
    """

    def __init__(self, settings: ChainSettings) -> None:
        self._settings = settings
        sides = {"left": settings.left, "right": settings.right}
        shared = settings.left.port == settings.right.port
        buses = [SIDES] if shared else [(side,) for side in SIDES]
        self._buses = [JoyLo(self._bus_config({s: sides[s] for s in bus})) for bus in buses]
        self._chains = sides

    def connect(self) -> None:
        """Open both and make the motors slack. Raises DeviceError like `JoyLo.connect`."""
        try:
            for bus in self._buses:
                bus.connect()
        except BaseException:
            self.close()
            raise

    def bind_neutral(self) -> None:
        """The arms are in the neutral pose, triggers released. Raises DeviceError."""
        for bus in self._buses:
            bus.bind_neutral()

    def read(self) -> ChainReading:
        """Where arms and triggers are now. Raises DeviceError like `JoyLo.read`."""
        arms: dict[str, np.ndarray] = {}
        pulls = dict.fromkeys(SIDES, 0.0)
        for bus in self._buses:
            sample = bus.read(0.0)
            arms |= {s: getattr(sample, ARMS[s]) for s in SIDES if getattr(sample, ARMS[s]).size}
        for side, chain in self._chains.items():
            if chain.trigger is not None:
                pulls[side] = float(np.clip(arms[side][-1] / chain.trigger.pulled_rad, 0.0, 1.0))
                arms[side] = arms[side][:-1]
        return ChainReading(arms, pulls)

    def close(self) -> None:
        """Close both; a second time does nothing."""
        for bus in self._buses:
            bus.close()

    def _bus_config(self, chains: dict[str, ChainConfig]) -> JoyLoConfig:
        one = next(iter(chains.values()))
        arms = {side: _with_trigger(chain) for side, chain in chains.items()}
        return JoyLoConfig(
            name="_".join(chains),
            port=one.port.replace("{runtime}", str(runtime_folder())),
            baud=one.baud,
            left=arms.get("left", _NO_ARM),
            right=arms.get("right", _NO_ARM),
            reply_timeout_s=self._settings.reply_timeout_s,
        )


@register("chains")
class ChainLeader(DirectLeader):
    """What `ArmChains` reads, and a gamepad for all else."""

    Settings = ChainSettings
    settings: ChainSettings
    _barred = frozenset()

    def __init__(self, embodiment: Embodiment, settings: ChainSettings) -> None:
        super().__init__(embodiment, settings)
        for side, chain in (("left", settings.left), ("right", settings.right)):
            count = len(embodiment.group(ARMS[side]).joints)
            if len(chain.arm.joints) != count:
                raise ConfigError(
                    f"the {side} arm has {len(chain.arm.joints)} joints, the robot's has {count}",
                    where=chain.port,
                    remedy="name the robot with robot:=, or correct 'joints'",
                )
        self.gamepad = JoyGamepad(GamepadHand(), settings.input_timeout_s)
        self._reading: ChainReading | None = None
        self._read_s = -np.inf

    def hear(self, now_s: float, reading: ChainReading) -> None:
        """Arms and triggers as read now [s]."""
        self._reading, self._read_s = reading, now_s

    def _action(self, now_s: float) -> ManualAction:
        action = self.gamepad.action(now_s)
        if self._reading is None or now_s - self._read_s > self.settings.reading_timeout_s:
            raise DeviceError("leader arms: silent", remedy="check the adapters' cables and power")
        pressed = {
            side: frozenset(
                {TRIGGER[f"{side}_gripper"]} if pull > self.settings.pull_closes else ()
            )
            for side, pull in self._reading.pulls.items()
        }
        return replace(
            action,
            left_buttons=action.left_buttons | pressed["left"],
            right_buttons=action.right_buttons | pressed["right"],
        )

    def _move(
        self, arms: dict[str, np.ndarray], action: ManualAction, dt_s: float
    ) -> dict[str, np.ndarray]:
        return self._rest(arms)

    def _rest(self, measured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return measured if self._reading is None else dict(self._reading.arms)


def _with_trigger(chain: ChainConfig) -> ArmConfig:
    """The arm with its trigger as one more joint, at 0 in the neutral pose."""
    arm, trigger = chain.arm, chain.trigger
    if trigger is None:
        return arm
    return replace(
        arm,
        joints=(*arm.joints, "trigger"),
        masters=(*arm.masters, trigger.motor),
        signs=np.append(arm.signs, 1.0),
        neutral=np.append(arm.neutral, 0.0),
    )
