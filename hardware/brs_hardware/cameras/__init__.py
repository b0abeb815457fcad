"""RGB-D cameras of any make behind one small interface.

device or recording -> driver (realsense, zed, folder, bag, or `sim` of brs_sim)
                          | Camera.read: FrameWatch refuses frozen, late and wrong frames
                       CameraStream: own thread, queue of one, reopens what went away
                          |
                       CameraFrame

To add a camera: a subclass of `Camera` with `@register`, in a module that `DRIVER_MODULES` names
(or that its user imports), and a test that drives it through the vendor's own SDK.
"""

from brs_hardware.cameras.clock import ClockMap
from brs_hardware.cameras.config import CameraConfig, CameraRig, load_cameras
from brs_hardware.cameras.driver import Camera, camera_drivers, make_camera, register
from brs_hardware.cameras.frame import CameraFrame, CameraHealth, Intrinsics
from brs_hardware.cameras.matching import FrameMatcher
from brs_hardware.cameras.stream import CameraStream
from brs_hardware.cameras.throttle import Throttle
from brs_hardware.cameras.watch import FrameWatch

__all__ = [
    "Camera",
    "CameraConfig",
    "CameraFrame",
    "CameraHealth",
    "CameraRig",
    "CameraStream",
    "ClockMap",
    "FrameMatcher",
    "FrameWatch",
    "Intrinsics",
    "Throttle",
    "camera_drivers",
    "load_cameras",
    "make_camera",
    "register",
]
