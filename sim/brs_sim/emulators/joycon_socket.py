"""An emulated Joy-Con in another process: HID reports over a Unix socket, one a message."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from brs_hardware.joycon import HidDevice, hidapi_device
from brs_hardware.leader_config import JoyConConfig
from brs_sim.emulators.joycon import EmulatedJoyCon

_OPEN = struct.Struct("<HH")  # vendor, product; the serial number follows
_ACCEPTED = b"open"
_LONGEST = 1024  # bytes
_LONGEST_PATH = 107  # bytes, a limit of Linux
_POLL_MS = 50


class JoyConServer:
    """Serves one emulated controller to one client at a time, until closed.

    Args:
        path: of the socket; its folder is made, an old socket there replaced.
        controller: what answers.

    Raises:
        ValueError: the path is longer than a Unix socket's may be.
    """

    def __init__(self, path: str | Path, controller: EmulatedJoyCon) -> None:
        self.path, self.controller = Path(path), controller
        if len(str(self.path).encode()) > _LONGEST_PATH:
            raise ValueError(f"socket path is longer than {_LONGEST_PATH} bytes: {self.path}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(self.path))
        self._listener.listen(1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="joycon-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up and remove the socket; a second time does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accept below
        self._thread.join()
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                client = self._listener.accept()[0]
            except OSError:
                if self._closing.is_set():
                    return
                raise
            with client, contextlib.suppress(OSError):  # the client, or the controller, is gone
                self._attend(client)
            self.controller.close()

    def _attend(self, client: socket.socket) -> None:
        """One client from its opening message on, until it or the controller goes."""
        client.settimeout(1.0)
        request = client.recv(_LONGEST)
        vendor, product = _OPEN.unpack_from(request)
        serial = request[_OPEN.size :].decode() or None
        try:
            self.controller.open(vendor, product, serial)
        except OSError:
            client.send(b"open failed")
            return
        client.send(_ACCEPTED)
        client.settimeout(None)
        writer = threading.Thread(target=self._relay_writes, args=(client,), daemon=True)
        writer.start()
        try:
            while not self._closing.is_set() and writer.is_alive():
                report = bytes(self.controller.read(_LONGEST, _POLL_MS))
                if report:
                    client.send(report)
        finally:
            client.shutdown(socket.SHUT_RDWR)
            writer.join()

    def _relay_writes(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):  # the controller is gone: reads tell why
            while data := client.recv(_LONGEST):
                self.controller.write(data)


class SocketHidDevice:
    """The methods of hidapi's `hid.device`, for a controller behind a `JoyConServer`.

    Args:
        path: of the server's socket.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._socket: socket.socket | None = None
        self._blocking = True
        self._serial = ""

    def open(self, vendor_id: int, product_id: int, serial_number: str | None = None) -> None:
        """Connect. Raises OSError when nobody serves there or it is another controller."""
        self.close()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(1.0)
        try:
            connection.connect(self.path)
            connection.send(_OPEN.pack(vendor_id, product_id) + (serial_number or "").encode())
            if connection.recv(_LONGEST) != _ACCEPTED:
                raise OSError("open failed")
        except OSError:
            connection.close()
            raise
        self._socket, self._serial = connection, serial_number or ""

    def close(self) -> None:
        """Hang up; a second time does nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def set_nonblocking(self, nonblocking: int) -> int:
        """Whether `read` without a timeout returns at once."""
        self._blocking = not nonblocking
        return 0

    def get_serial_number_string(self) -> str:
        """The serial number it was opened by."""
        return self._serial

    def read(self, max_length: int, timeout_ms: int = 0) -> list[int]:
        """One report, or nothing after the timeout; OSError when the server is gone."""
        connection = self._opened()
        endless = timeout_ms <= 0 and self._blocking
        connection.settimeout(None if endless else max(timeout_ms, 0) * 1e-3)
        try:
            data = connection.recv(_LONGEST)
        except (TimeoutError, BlockingIOError):
            return []
        if not data:
            raise OSError("read error")
        return list(data[:max_length])

    def write(self, data: bytes) -> int:
        """Send one report; OSError when the server is gone."""
        return self._opened().send(bytes(data))

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise ValueError("not open")
        return self._socket


def device_factory(config: JoyConConfig) -> Callable[[], HidDevice]:
    """How to make the device of a controller: real, or behind the configured socket."""
    path = config.socket
    return hidapi_device if path is None else lambda: SocketHidDevice(path)
