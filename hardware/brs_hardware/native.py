"""Shared libraries that some wheels expect of the system, taken from another wheel instead."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

from brs_hardware.errors import ConfigError


def import_with_libusb(module: str) -> Any:
    """Import `open3d` or `pyrealsense2`, which want libusb-1.0 even where no device is used.

    A system's own libusb is preferred; where there is none, that of the package libusb-package is
    loaded first and found by its name.

    Raises:
        ConfigError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise _missing(module) from None
    except ImportError as error:
        if "libusb-1.0" not in str(error):
            raise
    try:
        package = importlib.import_module("libusb_package")
    except ModuleNotFoundError:
        raise ConfigError(
            f"{module} needs libusb-1.0, which is not installed",
            remedy="apt install libusb-1.0-0, or pip install libusb-package",
        ) from None
    ctypes.CDLL(str(package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    return importlib.import_module(module)


def _missing(module: str) -> ConfigError:
    return ConfigError(f"{module} is not installed", remedy="pip install brs[perception]")
