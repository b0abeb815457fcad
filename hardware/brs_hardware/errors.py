"""The one kind of error a user can mend; internal faults stay ordinary exceptions."""

from __future__ import annotations


class BrsError(Exception):
    """Something the user can put right.

    Args:
        what: what is wrong, one line.
        where: file, device or topic concerned.
        remedy: what to do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. Try: {self.remedy}" if self.remedy else text


class ConfigError(BrsError):
    """A configuration file or override is wrong."""


class DeviceError(BrsError):
    """A device is missing, broken or does not answer."""
