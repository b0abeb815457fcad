"""RGB-D recordings as plain files, which any program can write and look at.

camera.json         width, height, fx, fy, cx, cy, distortion, depth_unit_m
stamps.csv          a line for each frame: number,stamp_s  (no header)
000000_color.png    8-bit RGB
000000_depth.png    16-bit grey, in units of depth_unit_m; 0 = no reading
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from brs_hardware import config as strict
from brs_hardware.cameras.driver import register
from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.cameras.recorded import RecordedCamera, pinhole
from brs_hardware.errors import ConfigError, DeviceError

_DESCRIPTION, _STAMPS = "camera.json", "stamps.csv"
_LARGEST = np.iinfo(np.uint16).max


@dataclasses.dataclass(frozen=True)
class _Description:
    """The content of camera.json."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    depth_unit_m: float
    distortion: tuple[float, ...] = (0.0,) * 5

    @property
    def intrinsics(self) -> Intrinsics:
        names = [field.name for field in dataclasses.fields(Intrinsics)]
        return Intrinsics(**{name: getattr(self, name) for name in names})


class FolderWriter:
    """Writes frames of one camera into a folder of this layout.

    Args:
        folder: made if need be; a recording in it is continued.
        depth_unit_m: step of the stored depth; 0.1 mm reaches to 6.5 m.

    Raises:
        ConfigError: Pillow is not installed.
    """

    def __init__(self, folder: Path, depth_unit_m: float = 1e-4) -> None:
        self._image = _pillow()
        self._folder, self._unit_m = folder, depth_unit_m
        folder.mkdir(parents=True, exist_ok=True)
        stamps = folder / _STAMPS
        self._count = len(stamps.read_text().splitlines()) if stamps.exists() else 0

    def write(self, frame: CameraFrame) -> None:
        """Append a frame. Its depth is rounded to the unit; beyond 65535 units it is no reading.

        Raises:
            OSError: the disk is full, or not writable.
        """
        if self._count == 0:
            values = dataclasses.asdict(frame.intrinsics) | {"depth_unit_m": self._unit_m}
            (self._folder / _DESCRIPTION).write_text(json.dumps(values, indent=2) + "\n")
        units = np.nan_to_num(np.round(frame.depth / self._unit_m), nan=0.0, posinf=0.0)
        stored = np.where((units >= 0) & (units <= _LARGEST), units, 0).astype(np.uint16)
        name = f"{self._count:06d}"
        self._image.fromarray(frame.color).save(self._folder / f"{name}_color.png")
        self._image.fromarray(stored).save(self._folder / f"{name}_depth.png")
        # Last, so that a reader never meets a line without its pictures.
        with (self._folder / _STAMPS).open("a") as file:
            file.write(f"{self._count},{frame.stamp_s!r}\n")
        self._count += 1


@register
class FolderCamera(RecordedCamera):
    """Plays a folder written by FolderWriter."""

    kind = "folder"

    def _recorded(self) -> Iterator[CameraFrame]:
        folder, image = Path(self.config.source), _pillow()
        description = _describe(folder)
        unit_m = np.float32(description.depth_unit_m)
        for number, stamp_s in _stamps(folder / _STAMPS):
            color = _load(image, folder / f"{number:06d}_color.png", np.uint8)
            depth = _load(image, folder / f"{number:06d}_depth.png", np.uint16)
            intrinsics = pinhole(description.intrinsics, color.shape, str(folder))
            metres = np.where(depth > 0, depth * unit_m, np.float32(np.nan))
            yield CameraFrame(stamp_s, color, metres, intrinsics, number)


def _describe(folder: Path) -> _Description:
    try:
        # JSON is YAML, and the strict loader names what is wrong.
        return strict.load(_Description, folder / _DESCRIPTION)
    except ConfigError as error:
        # It may be mounted or written in a moment, so this is no fault of the configuration.
        raise DeviceError(error.what, where=error.where, remedy=error.remedy) from None


def _stamps(path: Path) -> Iterator[tuple[int, float]]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise DeviceError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="check the recording"
        ) from None
    for row, line in enumerate(lines, start=1):
        try:
            number, stamp_s = line.split(",")
            yield int(number), float(stamp_s)
        except ValueError:
            raise DeviceError(
                f"'{line}' is not `number,stamp_s`", where=f"{path}:{row}", remedy="mend it"
            ) from None


def _load(image: Any, path: Path, kind: type[np.generic]) -> np.ndarray:
    try:
        with image.open(path) as picture:
            pixels = np.asarray(picture)
    except OSError as error:
        raise DeviceError(
            f"cannot be read: {error.strerror or error}",
            where=str(path),
            remedy="check the recording",
        ) from None
    # Some versions of Pillow widen 16-bit grey to 32 bits.
    if kind is np.uint16 and pixels.ndim == 2 and pixels.dtype == np.int32:
        pixels = pixels.astype(np.uint16)
    if pixels.dtype != kind or pixels.ndim != (3 if kind is np.uint8 else 2):
        raise DeviceError(
            "is not 8-bit RGB" if kind is np.uint8 else "is not 16-bit grey",
            where=str(path),
            remedy="write it as the module brs_hardware.cameras.folder tells",
        )
    return pixels


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError("Pillow is not installed", remedy="pip install brs[sim]") from None
    return Image
