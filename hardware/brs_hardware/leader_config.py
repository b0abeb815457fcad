"""What one JoyLo leader is: read from config/leaders/*.yaml."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brs_hardware import config
from brs_hardware.errors import ConfigError

_HIGHEST_ID = 252  # of Dynamixel's protocol 2.0


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
        if any(not 0 <= motor <= _HIGHEST_ID for motor in self.motors):
            raise ValueError(f"motor ids must lie within 0 and {_HIGHEST_ID}")
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
    rest: float = 0.0  # deflection that a stick left alone shows; widens the dead zone

    def __post_init__(self) -> None:
        for name in ("centre", "lower", "upper"):
            if getattr(self, name).shape != (2,):
                raise ValueError(f"'{name}' needs 2 numbers, horizontal and vertical")
        if not 0.0 <= self.rest < 1.0:
            raise ValueError("'rest' must be at least 0 and below 1")
        if not (np.all(self.lower < self.centre) and np.all(self.centre < self.upper)):
            raise ValueError("a stick needs lower < centre < upper")


@dataclass(frozen=True)
class JoyConConfig:
    """One controller."""

    serial: str | None = None  # Bluetooth address; None takes the first of its side
    socket: str | None = None  # path of an emulated controller; None is a real one
    # None takes what `brs calibrate joycon` stored, else the calibration in the flash.
    stick: StickConfig | None = None
    dead_zone: float = 0.2  # of full deflection; output starts from 0 at its edge
    # Reports come at 66 Hz; a Bluetooth hiccup lasts tens of ms.
    silent_after_s: float = 0.2

    def __post_init__(self) -> None:
        config.positive(self, "silent_after_s")
        if not 0.0 <= self.dead_zone < 1.0:
            raise ValueError("'dead_zone' must be at least 0 and below 1")


@dataclass(frozen=True)
class CalibrationPose:
    """A pose of both arms that a person can hold by eye, in the robot's joint convention."""

    name: str
    hold: str  # how to hold it, told to the person
    picture: str  # of characters
    left: np.ndarray  # (n,) [rad]
    right: np.ndarray  # (n,) [rad]


@dataclass(frozen=True)
class CalibrationConfig:
    """How the leader is calibrated: two poses that tell sign and zero of every joint."""

    poses: tuple[CalibrationPose, CalibrationPose]
    samples: int = 50  # of one pose
    still_rad: float = 0.02  # by which a joint may move while one pose is sampled
    pose_tolerance_rad: float = 0.2  # by which the movement between the poses may be off
    range_margin_rad: float = 0.2  # beyond the robot's joint range where a joint may still be
    drift_tolerance_rad: float = 0.15  # by which a pose held by hand may be off in a check

    def __post_init__(self) -> None:
        config.positive(self, "samples", *config.float_fields(self))
        first, second = self.poses
        move = np.concatenate([second.left - first.left, second.right - first.right])
        least, most = 2.0 * self.pose_tolerance_rad, np.pi - self.pose_tolerance_rad
        if np.any((np.abs(move) < least) | (np.abs(move) > most)):
            raise ValueError(
                f"between the two poses every joint must move by {np.degrees(least):.0f} to"
                f" {np.degrees(most):.0f} degrees, else its sign is not certain"
            )


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
    calibration: CalibrationConfig | None = None  # None: bound to `neutral` at every start

    def __post_init__(self) -> None:
        config.positive(
            self, "baud", "hold_current_ma", "max_failures", *config.float_fields(self)
        )
        for pose in self.calibration.poses if self.calibration else ():
            counts = len(pose.left), len(pose.right)
            if counts != (len(self.left.joints), len(self.right.joints)):
                raise ValueError(f"pose '{pose.name}' needs a number for each joint of the arms")
        motors = (*self.left.motors, *self.right.motors)
        doubled = {motor for motor in motors if motors.count(motor) > 1}
        if doubled:
            raise ValueError(f"motor ids {sorted(doubled)} are named twice")

    @cached_property
    def motors(self) -> tuple[int, ...]:
        """Ids of all motors, in rising order."""
        return tuple(sorted((*self.left.motors, *self.right.motors)))

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of all joints, left arm first."""
        return (*self.left.joints, *self.right.joints)

    @cached_property
    def master_rows(self) -> np.ndarray:
        """(joints,) place of each joint's master in `motors`."""
        return np.array([self.motors.index(m) for m in (*self.left.masters, *self.right.masters)])

    @cached_property
    def pairs(self) -> dict[int, int]:
        """Master id -> id of the motor geared to it."""
        return self.left.slaves | self.right.slaves

    @cached_property
    def pair_rows(self) -> np.ndarray:
        """(2, pairs) places of masters and of their slaves in `motors`."""
        rows = [[self.motors.index(motor) for motor in pair] for pair in self.pairs.items()]
        return np.array(rows, dtype=int).reshape(-1, 2).T

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
    path = config.named_file("leaders", name, "leader")
    loaded = config.build(JoyLoConfig, _merged(path), str(path))
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


def _merged(path: Path, below: tuple[Path, ...] = ()) -> Any:
    """The file's keys over those of the leader that its key `like` names, if it has one."""
    values = config.load_yaml(path)
    if not isinstance(values, dict) or "like" not in values:
        return values
    other = config.named_file("leaders", str(values.pop("like")), "leader")
    if other in (path, *below):
        raise ConfigError("is like itself", where=str(path), remedy="name another leader")
    others = _merged(other, (path, *below))
    return others | values if isinstance(others, dict) else others
