"""Keyboard and gamepad of this computer, read as events for `brs_hardware.leaders.hands`."""

from __future__ import annotations

import contextlib
import os
import select
import struct
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

from brs_hardware.errors import DeviceError


@contextlib.contextmanager
def read_keys(file: int | None = None) -> Iterator[Callable[[float], str]]:
    """The terminal in a mode that gives each key at once; Ctrl-C still ends the program.

    Args:
        file: descriptor of a terminal; None is standard input.

    Yields:
        a function of a timeout [s] that gives the keys typed, often none.

    Raises:
        DeviceError: it is no terminal, or it was closed.
    """
    source = sys.stdin.fileno() if file is None else file
    if not os.isatty(source):
        raise DeviceError(
            "standard input is no terminal", where="keyboard", remedy="run it in a terminal"
        )
    before = termios.tcgetattr(source)
    tty.setcbreak(source)
    changed = termios.tcgetattr(source)
    changed[0] &= ~termios.ICRNL  # Enter stays a carriage return
    termios.tcsetattr(source, termios.TCSANOW, changed)

    def keys(timeout_s: float) -> str:
        if not select.select((source,), (), (), timeout_s)[0]:
            return ""
        try:
            typed = os.read(source, 64)
        except OSError:
            typed = b""
        if not typed:
            raise DeviceError("the terminal was closed", where="keyboard", remedy="start anew")
        return typed.decode(errors="replace")

    try:
        yield keys
    finally:
        with contextlib.suppress(termios.error):  # a closed one has no mode to give back
            termios.tcsetattr(source, termios.TCSADRAIN, before)


class Gamepad:
    """A Linux joystick device.

    Args:
        path: such as /dev/input/js0.

    Raises:
        DeviceError: not there or not readable.
    """

    _EVENT = struct.Struct("<IhBB")  # time [ms], value, type, number
    _KINDS = {1: "button", 2: "axis"}
    _INITIAL = 0x80  # bit of the type: the state at opening, not a change

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise DeviceError(
                f"cannot be opened ({error.strerror})",
                where=self.path,
                remedy="plug in the gamepad; see which /dev/input/js* appears",
            ) from None

    def events(self, timeout_s: float) -> list[tuple[str, int, int]]:
        """(kind, number, value) of what happened, for `GamepadHand.event`.

        Raises:
            DeviceError: it was unplugged.
        """
        if not select.select((self._file,), (), (), timeout_s)[0]:
            return []
        try:
            data = os.read(self._file, 64 * self._EVENT.size)
        except OSError:
            data = b""
        if not data:
            raise DeviceError("was unplugged", where=self.path, remedy="plug it in again")
        whole = data[: len(data) // self._EVENT.size * self._EVENT.size]
        return [
            (self._KINDS[kind & ~self._INITIAL], number, value)
            for _, value, kind, number in self._EVENT.iter_unpack(whole)
            if kind & ~self._INITIAL in self._KINDS
        ]

    def close(self) -> None:
        """Close the device."""
        os.close(self._file)
