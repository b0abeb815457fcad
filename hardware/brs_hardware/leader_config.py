"""What one JoyLo leader is: read from config/leaders/*.yaml."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from brs_hardware import config
from brs_hardware.embodiment import config_folder
from brs_hardware.errors import ConfigError


@dataclass(frozen=True)
class ArmConfig:
    """Motors of one leader arm, one master a joint; some joints have a geared slave too."""

    joints: tuple[str, ...]  # names for messages, the follower's order
    masters: tuple[int, ...]  # motor ids that are read
    slaves: dict[int, int]  # master id -> id of the motor geared to it, face to face
    signs: np.ndarray  # (n,) +1 or -1: robot angle over encoder angle
    neutral: np.ndarray  # (n,) [rad] robot pose in which the leader is calibrated

    def __post_init__(self) -> None:
        count = len(self.joints)
        if len(self.masters) != count:
            raise ValueError(f"'masters' needs {count} motor ids, one a joint")
        for name in ("signs", "neutral"):
            if getattr(self, name).shape != (count,):
                raise ValueError(f"'{name}' needs {count} numbers, one a joint")
        if not np.all(np.abs(self.signs) == 1.0):
            raise ValueError("'signs' must be 1 or -1")
        for master in self.slaves:
            if master not in self.masters:
                raise ValueError(f"'slaves' names master {master}, which is none of 'masters'")

    @property
    def motors(self) -> tuple[int, ...]:
        """Ids of masters and slaves."""
        return (*self.masters, *self.slaves.values())

    @property
    def names(self) -> dict[int, str]:
        """Motor id -> joint, for messages."""
        names = dict(zip(self.masters, self.joints, strict=True))
        return names | {slave: f"{names[m]} slave" for m, slave in self.slaves.items()}


@dataclass(frozen=True)
class StickConfig:
    """Calibration of one thumb stick, raw 12-bit values, (horizontal, vertical)."""

    centre: np.ndarray  # (2,)
    lower: np.ndarray  # (2,) raw value at full left, full down
    upper: np.ndarray  # (2,) raw value at full right, full up

    def __post_init__(self) -> None:
        for name in ("centre", "lower", "upper"):
            if getattr(self, name).shape != (2,):
                raise ValueError(f"'{name}' needs 2 numbers, horizontal and vertical")
        if not (np.all(self.lower < self.centre) and np.all(self.centre < self.upper)):
            raise ValueError("a stick needs lower < centre < upper")


@dataclass(frozen=True)
class JoyConConfig:
    """One controller."""

    serial: str | None = None  # Bluetooth address; None takes the first of its side
    socket: str | None = None  # path of an emulated controller; None is a real one
    stick: StickConfig | None = None  # None takes the calibration in the controller's flash
    dead_zone: float = 0.2  # of full deflection; output starts from 0 at its edge
    # Reports come at 66 Hz; a Bluetooth hiccup lasts tens of ms.
    silent_after_s: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 <= self.dead_zone < 1.0:
            raise ValueError("'dead_zone' must be at least 0 and below 1")


@dataclass(frozen=True)
class JoyLoConfig:
    """Both arms and both controllers."""

    name: str
    port: str
    baud: int
    left: ArmConfig
    right: ArmConfig
    left_joycon: JoyConConfig = field(default_factory=JoyConConfig)
    right_joycon: JoyConConfig = field(default_factory=JoyConConfig)
    max_turns: float = 10.0  # a joint beyond was never there: its turn count is wrong
    pair_tolerance_rad: float = 0.15  # between master and slave before the gear has slipped
    hold_current_ma: int = 400  # of motors that hold a goal; a hand overcomes it
    reply_timeout_s: float = 0.02  # above the adapter's latency
    max_failures: int = 4  # bus errors in a row that stop the leader

    def __post_init__(self) -> None:
        motors = (*self.left.motors, *self.right.motors)
        doubled = {motor for motor in motors if motors.count(motor) > 1}
        if doubled:
            raise ValueError(f"motor ids {sorted(doubled)} are named twice")

    @property
    def motors(self) -> tuple[int, ...]:
        """Ids of all motors, in rising order."""
        return tuple(sorted((*self.left.motors, *self.right.motors)))

    @property
    def names(self) -> dict[int, str]:
        """Motor id -> joint, for messages."""
        return self.left.names | self.right.names

    @property
    def emulated(self) -> bool:
        """Whether its controllers are emulated ones."""
        return self.left_joycon.socket is not None or self.right_joycon.socket is not None


def runtime_folder() -> Path:
    """Where sockets and devices of emulators live: $BRS_RUNTIME_DIR, else one of this user and
    ROS domain under the system's temporary folder. Not made here."""
    if override := os.environ.get("BRS_RUNTIME_DIR"):
        return Path(override)
    domain = os.environ.get("ROS_DOMAIN_ID") or "0"
    return Path(tempfile.gettempdir()) / f"brs-{os.getuid()}" / domain


def load_leader(name: str = "joylo", runtime: Path | None = None) -> JoyLoConfig:
    """The leader `name` (a file in config/leaders, or a path to a YAML file).

    Args:
        name: `joylo`, `joylo_emulated`, ...
        runtime: what `{runtime}` in paths stands for; None takes `runtime_folder()`.

    Raises:
        ConfigError: unknown leader, malformed YAML, unknown keys, wrong counts.
    """
    folder = config_folder() / "leaders"
    path = Path(name) if name.endswith(".yaml") else folder / f"{name}.yaml"
    if not path.is_file():
        known = [file.stem for file in folder.glob("*.yaml")]
        raise ConfigError(
            f"unknown leader '{name}'", where=str(path), remedy=config.did_you_mean(name, known)
        )
    loaded = config.load(JoyLoConfig, path)
    here = str(runtime or runtime_folder())

    def placed(joycon: JoyConConfig) -> JoyConConfig:
        socket = joycon.socket and joycon.socket.replace("{runtime}", here)
        return replace(joycon, socket=socket)

    return replace(
        loaded,
        port=loaded.port.replace("{runtime}", here),
        left_joycon=placed(loaded.left_joycon),
        right_joycon=placed(loaded.right_joycon),
    )
