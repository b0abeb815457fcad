"""Keeps one camera streaming in a thread of its own, through unplugging and back."""

from __future__ import annotations

import threading
from collections.abc import Callable

from brs_hardware.cameras.driver import Camera
from brs_hardware.cameras.frame import CameraFrame, CameraHealth
from brs_hardware.errors import BrsError

_FIRST_RETRY_S = 0.25
_LONGEST_RETRY_S = 4.0
_READ_TIMEOUT_S = 0.2


class CameraStream:
    """Owns a camera; a slow consumer gets the newest frame and costs the others none.

    Args:
        camera: not yet open.
        report: told each change in one line: (is it bad, line).
        hand_on: given every frame in the reading thread, besides `take`; must be quick.
    """

    def __init__(
        self,
        camera: Camera,
        report: Callable[[bool, str], None],
        hand_on: Callable[[CameraFrame], None] = lambda _: None,
    ) -> None:
        self.camera, self._report, self._hand_on = camera, report, hand_on
        self._is_open = False
        self._retry_s = _FIRST_RETRY_S
        self._told = ""
        self._newest: CameraFrame | None = None
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=camera.name, daemon=True)
        self.reopened = 0

    def start(self) -> None:
        """Begin to open and read in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the camera."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._close()

    def take(self, timeout_s: float) -> CameraFrame | None:
        """The newest frame that nobody took yet, waiting for it if need be; None if none came."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None, timeout_s)
            frame, self._newest = self._newest, None
        return frame

    def health(self, now_s: float) -> CameraHealth:
        """How the camera is doing."""
        return self.camera.health(now_s)

    def step(self) -> float:
        """Open or read once; what the thread does over and over.

        Returns:
            How long to wait before the next step [s].
        """
        try:
            if not self._is_open:
                self.camera.open()
                self._is_open = True
            self._deliver(self.camera.read(_READ_TIMEOUT_S))
        except BrsError as error:
            self._fail(error)
            wait_s, self._retry_s = self._retry_s, min(2 * self._retry_s, _LONGEST_RETRY_S)
            return wait_s
        return 0.0

    def _deliver(self, frame: CameraFrame | None) -> None:
        if frame is None:
            return
        if self._told:
            self._report(False, f"{self.camera.name}: streams again")
            self.reopened += 1
        self._told, self._retry_s = "", _FIRST_RETRY_S
        self._hand_on(frame)
        with self._changed:
            self._newest = frame
            self._changed.notify()

    def _fail(self, error: BrsError) -> None:
        self._close()
        self.camera.watch.problem = error.what
        if not self._told:  # once, and not for every attempt
            self._report(True, str(error))
        self._told = str(error)

    def _close(self) -> None:
        self._is_open = False
        self.camera.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._closing.wait(self.step())
