"""The part of Stereolabs' `pyzed.sl` that the driver needs, and not one name more.

Names follow the ZED SDK's Python documentation (SDK 4 and 5). Whatever else is read, set or
called raises, as it would on the real module.
"""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace

import numpy as np


class ERROR_CODE(Enum):
    SUCCESS = 0
    CAMERA_NOT_DETECTED = 1
    CAMERA_REBOOTING = 2


class RESOLUTION(Enum):
    HD2K = 0
    HD1080 = 1
    HD1200 = 2
    HD720 = 3
    SVGA = 4
    VGA = 5


class DEPTH_MODE(Enum):
    NONE = 0
    PERFORMANCE = 1
    QUALITY = 2
    ULTRA = 3
    NEURAL = 4


class UNIT(Enum):
    MILLIMETER = 0
    METER = 2


class VIEW(Enum):
    LEFT = 0
    RIGHT = 1


class MEASURE(Enum):
    DISPARITY = 0
    DEPTH = 1


class TIME_REFERENCE(Enum):
    IMAGE = 0
    CURRENT = 1


class InitParameters:
    __slots__ = (
        "camera_fps",
        "camera_resolution",
        "coordinate_units",
        "depth_maximum_distance",
        "depth_minimum_distance",
        "depth_mode",
        "sdk_verbose",
        "serial",
    )

    def __init__(self) -> None:
        self.serial: int | None = None

    def set_from_serial_number(self, serial_number: int) -> None:
        assert isinstance(serial_number, int)
        self.serial = serial_number


class RuntimeParameters:
    __slots__ = ()


class Timestamp:
    def __init__(self, nanoseconds: int) -> None:
        self._nanoseconds = nanoseconds

    def get_nanoseconds(self) -> int:
        return self._nanoseconds


class Mat:
    def __init__(self) -> None:
        self._data: np.ndarray | None = None

    def get_data(self) -> np.ndarray:
        assert self._data is not None, "nothing was retrieved"
        return self._data


class Bench:
    """What the test holds in its hands: one ZED and its cable."""

    SERIAL = 31234567

    def __init__(self) -> None:
        self.plugged_in = True
        self.opened_with: InitParameters | None = None
        self.stamp_ns = 1_700_000_000_000_000_000
        self.dropped = 0
        self.bgra = np.zeros((376, 672, 4), np.uint8)
        self.depth = np.ones((376, 672), np.float32)


bench = Bench()


class Camera:
    def __init__(self) -> None:
        self._parameters: InitParameters | None = None

    @staticmethod
    def get_device_list() -> list[SimpleNamespace]:
        return [SimpleNamespace(serial_number=Bench.SERIAL)] if bench.plugged_in else []

    def open(self, parameters: InitParameters) -> ERROR_CODE:
        if not bench.plugged_in or parameters.serial not in (None, Bench.SERIAL):
            return ERROR_CODE.CAMERA_NOT_DETECTED
        self._parameters = bench.opened_with = parameters
        return ERROR_CODE.SUCCESS

    def close(self) -> None:
        self._parameters = None

    def grab(self, parameters: RuntimeParameters) -> ERROR_CODE:
        assert isinstance(parameters, RuntimeParameters)
        assert self._parameters is not None, "grab of a closed camera"
        return ERROR_CODE.SUCCESS if bench.plugged_in else ERROR_CODE.CAMERA_REBOOTING

    def retrieve_image(self, mat: Mat, view: VIEW) -> ERROR_CODE:
        assert view is VIEW.LEFT
        mat._data = bench.bgra
        return ERROR_CODE.SUCCESS

    def retrieve_measure(self, mat: Mat, measure: MEASURE) -> ERROR_CODE:
        assert measure is MEASURE.DEPTH
        mat._data = bench.depth
        return ERROR_CODE.SUCCESS

    def get_timestamp(self, reference: TIME_REFERENCE) -> Timestamp:
        assert reference is TIME_REFERENCE.IMAGE
        return Timestamp(bench.stamp_ns)

    def get_frame_dropped_count(self) -> int:
        return bench.dropped

    def get_camera_information(self) -> SimpleNamespace:
        left = SimpleNamespace(fx=260.0, fy=261.0, cx=335.5, cy=187.5)
        calibration = SimpleNamespace(left_cam=left)
        return SimpleNamespace(
            camera_configuration=SimpleNamespace(calibration_parameters=calibration)
        )
