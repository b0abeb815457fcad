"""Measured camera mounts: kept in the user's data, laid over those of the description.

A description (`config/robots/<robot>.yaml`) says where cameras sit on every robot of its kind. One
robot's own mounts lie in `calibration/cameras/<robot>.yaml` under the user's data. Who looks
through real cameras asks for them by `with_measured_mounts`; a simulator has the cameras that are
described and does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from brs_hardware import config
from brs_hardware.camera_calibration.hand_eye import HandEye
from brs_hardware.embodiment import Camera, Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.user_data import data_folder, write_calibration

SCHEMA = 1
_COMMAND = "brs calibrate cameras"
# Optical axes in the camera's body frame: right is -y, down -z, ahead x.
_BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_HEADING = f"# Camera mounts of one robot, measured by `{_COMMAND}`; position [m], angles [rad].\n"


@dataclass(frozen=True)
class MeasuredMount:
    """Where one camera sits, and how well that is known."""

    link: str
    position: np.ndarray  # (3,) [m] in the link
    rpy: np.ndarray  # (3,) [rad] of the camera's body frame in the link
    made: str  # date and time, ISO 8601
    views: int  # used
    rms_px: float
    p95_px: float
    max_px: float
    position_std_m: np.ndarray  # (3,) along the link's axes
    rotation_std_rad: np.ndarray  # (3,) about them
    serial: str | None = None  # of the camera, where known

    def __post_init__(self) -> None:
        for name in ("position", "rpy", "position_std_m", "rotation_std_rad"):
            if getattr(self, name).shape != (3,):
                raise ValueError(f"'{name}' needs 3 numbers")


@dataclass(frozen=True)
class _MountFile:
    schema: int
    robot: str
    cameras: dict[str, MeasuredMount] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"it is of version {self.schema}, not {SCHEMA}")


def link_from_optical(camera: Camera | MeasuredMount) -> np.ndarray:
    """(4, 4) pose of the optical frame in the camera's link."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", camera.rpy).as_matrix() @ _BODY_FROM_OPTICAL
    pose[:3, 3] = camera.position
    return pose


def measured_mount(
    camera: Camera, outcome: HandEye, made: str, serial: str | None = None
) -> MeasuredMount:
    """The outcome of a calibration, to be kept.

    Args:
        camera: as described.
        outcome: of `hand_eye.solve`.
        made: date and time, ISO 8601.
        serial: of the camera.
    """
    turn = outcome.link_from_optical[:3, :3] @ _BODY_FROM_OPTICAL.T
    return MeasuredMount(
        link=camera.link,
        position=np.round(outcome.link_from_optical[:3, 3], 6),
        rpy=np.round(Rotation.from_matrix(turn).as_euler("xyz"), 6),
        made=made,
        views=len(outcome.view_rms_px) - len(outcome.outliers),
        rms_px=round(outcome.rms_px, 3),
        p95_px=round(outcome.p95_px, 3),
        max_px=round(outcome.max_px, 3),
        position_std_m=np.round(outcome.position_std_m, 6),
        rotation_std_rad=np.round(outcome.rotation_std_rad, 6),
        serial=serial,
    )


def difference(
    before: Camera | MeasuredMount, after: Camera | MeasuredMount
) -> tuple[float, float]:
    """How far [m] and by what angle [rad] one mount is from another on the same link."""
    change = np.linalg.inv(link_from_optical(before)) @ link_from_optical(after)
    turn = Rotation.from_matrix(change[:3, :3]).magnitude()
    return float(np.linalg.norm(change[:3, 3])), float(turn)


def mounts_path(robot: str) -> Path:
    """File of one robot's measured mounts; need not exist."""
    return data_folder() / "calibration" / "cameras" / f"{robot}.yaml"


def load_mounts(robot: str) -> dict[str, MeasuredMount]:
    """Measured mounts by camera; empty where none was measured.

    Args:
        robot: name of the embodiment.

    Raises:
        ConfigError: the file is malformed, of another version or of another robot.
    """
    path = mounts_path(robot)
    if not path.exists():
        return {}
    remedy = f"mend or delete it, then run `{_COMMAND}`"
    try:
        stored = config.load(_MountFile, path)
    except ConfigError as error:
        raise ConfigError(error.what, where=error.where, remedy=remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path), remedy=remedy) from None
    if stored.robot != robot:
        raise ConfigError(f"it is of robot '{stored.robot}'", where=str(path), remedy=remedy)
    return stored.cameras


def save_mount(robot: str, camera: str, mount: MeasuredMount | None) -> Path:
    """Keep one camera's mount beside those of the others; None forgets it.

    Returns:
        Where it is kept.

    Raises:
        ConfigError: the file cannot be written, or the present one is malformed.
    """
    mounts = load_mounts(robot) | ({} if mount is None else {camera: mount})
    if mount is None:
        mounts.pop(camera, None)
    values = {name: _plain(kept) for name, kept in mounts.items()}
    stored = {"schema": SCHEMA, "robot": robot, "cameras": values}
    path = mounts_path(robot)
    write_calibration(path, _HEADING + _yaml(stored))
    return path


def with_measured_mounts(
    embodiment: Embodiment, serials: Mapping[str, str | None] | None = None
) -> Embodiment:
    """The robot with its cameras where they were measured to be; for real cameras only.

    Args:
        embodiment: as described.
        serials: of the cameras that are there now, where known.

    Raises:
        ConfigError: the file is no good, or a mount is of another link or of another camera.
    """
    cameras = dict(embodiment.cameras)
    for name, mount in load_mounts(embodiment.name).items():
        if name not in cameras:
            raise _not_fitting(embodiment, name, f"the robot has no camera '{name}'")
        if mount.link != cameras[name].link:
            raise _not_fitting(embodiment, name, f"it was measured on link '{mount.link}'")
        serial = (serials or {}).get(name)
        if None not in (serial, mount.serial) and serial != mount.serial:
            raise _not_fitting(embodiment, name, f"it is of camera {mount.serial}, not {serial}")
        cameras[name] = dataclasses.replace(cameras[name], position=mount.position, rpy=mount.rpy)
    return dataclasses.replace(embodiment, cameras=cameras)


def mount_sources(embodiment: Embodiment) -> dict[str, str]:
    """Of each camera as described, a line for diagnostics: what was measured; "" if nothing.

    Raises:
        ConfigError: like `with_measured_mounts`.
    """
    with_measured_mounts(embodiment)
    measured = load_mounts(embodiment.name)
    lines = dict.fromkeys(embodiment.cameras, "")
    for name, mount in measured.items():
        way_m, turn_rad = difference(embodiment.cameras[name], mount)
        lines[name] = (
            f"measured {mount.made[:10]}: {1e3 * way_m:.1f} mm and {np.degrees(turn_rad):.2f}°"
            f" from the description, {mount.rms_px:.2f} px off"
        )
    return lines


def description_block(embodiment: Embodiment) -> str:
    """The section `cameras:` for a description, with the mounts that the embodiment has."""
    cameras = {name: _plain(camera) for name, camera in embodiment.cameras.items()}
    return _yaml({"cameras": cameras})


def _not_fitting(embodiment: Embodiment, camera: str, why: str) -> ConfigError:
    return ConfigError(
        f"measured mount of '{camera}' not used: {why}",
        where=str(mounts_path(embodiment.name)),
        remedy=f"run `{_COMMAND} {camera}`, or `{_COMMAND} {camera} --forget`",
    )


def _plain(value: Any) -> dict[str, Any]:
    """A dataclass as YAML has it, without what is not known."""
    plain = dataclasses.asdict(value)
    return {
        name: item.tolist() if isinstance(item, np.ndarray) else item
        for name, item in plain.items()
        if item is not None
    }


def _yaml(values: dict[str, Any]) -> str:
    return str(yaml.safe_dump(values, sort_keys=False, default_flow_style=None))
