"""A chain of emulated motors behind a serial device: a pseudo terminal and a thread.

As a process of its own: `python -m brs_sim.emulators.dynamixel_bus --link /tmp/my/tty_joylo`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import termios
import threading
import time
import tty
from collections.abc import Iterator, Sequence
from pathlib import Path

from brs_hardware.dynamixel.control_table import BAUD_RATES
from brs_sim.emulators.chain import MotorChain
from brs_sim.emulators.motor import EmulatedMotor

# Value of termios' speed field -> baud.
_SPEEDS = {
    getattr(termios, f"B{baud}"): baud
    for baud in BAUD_RATES.values()
    if hasattr(termios, f"B{baud}")
}


class EmulatedBus:
    """Serves a chain at a device file until closed.

    Args:
        chain: the motors.
        link: symbolic link to make to the device file, so that its name is known beforehand.
        wire_time: also let bytes take the time that the baud rate needs.
    """

    def __init__(
        self, chain: MotorChain, link: str | Path | None = None, *, wire_time: bool = False
    ) -> None:
        self.chain = chain
        self.lock = threading.Lock()  # held while the chain changes
        self.wire_time = wire_time
        self._link = Path(link) if link else None
        self._host, self._device = os.openpty()
        # Our own handle of the device side keeps the terminal alive between two hosts.
        tty.setraw(self._device)
        os.set_blocking(self._host, False)
        self.port = os.ttyname(self._device)
        if self._link:
            self._link.parent.mkdir(parents=True, exist_ok=True)
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.port)
            self.port = str(self._link)
        self._wake, self._woken = os.pipe()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="emulated-bus", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def changing(self) -> Iterator[MotorChain]:
        """The chain, for a change while it is served."""
        with self.lock:
            self.chain.step(time.monotonic())
            yield self.chain

    def unplug(self) -> None:
        """The adapter is pulled out: the device vanishes under the host's hands."""
        self.close()

    def close(self) -> None:
        """Stop serving and remove the device; a second time does nothing."""
        if self._closing:
            return
        self._closing = True
        os.write(self._woken, b"x")
        self._thread.join()
        for handle in (self._device, self._host, self._wake, self._woken):
            os.close(handle)
        if self._link and self._link.is_symlink():
            self._link.unlink()

    def _serve(self) -> None:
        while True:
            ready = select.select((self._host, self._wake), (), ())[0]
            if self._wake in ready:
                return
            data = os.read(self._host, 4096)
            baud = self._baud()
            with self.lock:
                answer = self.chain.hear(data, baud, time.monotonic())
            wire_s = 10.0 * (len(data) + len(answer.data)) / baud if self.wire_time else 0.0
            if answer.delay_s + wire_s > 0.0:
                time.sleep(answer.delay_s + wire_s)
            # A host that does not read loses bytes, as on a real line.
            with contextlib.suppress(BlockingIOError):
                os.write(self._host, answer.data)

    def _baud(self) -> int:
        """Baud rate that the host has set."""
        return _SPEEDS.get(termios.tcgetattr(self._device)[5], 9600)


def joylo_motors(
    ids: Sequence[int], baud: int, return_delay_time: int = 0, shaft: float = 2048.0
) -> list[EmulatedMotor]:
    """Motors set up as a JoyLo wants them."""
    value = next(value for value, rate in BAUD_RATES.items() if rate == baud)
    motors = [EmulatedMotor(number, shaft) for number in ids]
    for motor in motors:
        motor.poke("baud_rate", value)
        motor.poke("return_delay_time", return_delay_time)
        motor.poke("temperature_limit", 70)
    return motors


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve motors until SIGINT or SIGTERM; the link exists once they answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--link", required=True, help="device file to make")
    parser.add_argument("--motors", type=int, default=16, help="ids 0 .. motors - 1")
    parser.add_argument("--baud", type=int, default=3_000_000, choices=BAUD_RATES.values())
    parser.add_argument("--return-delay", type=int, default=0, help="in 2 us, as the register")
    parser.add_argument("--wire-time", action="store_true", help="bytes take their time")
    parser.add_argument("--no-fast-sync-read", action="store_true", help="as older firmware")
    options = parser.parse_args(arguments)
    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before the thread starts, so that only sigwait below receives them.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    motors = joylo_motors(range(options.motors), options.baud, options.return_delay)
    chain = MotorChain(motors, fast_sync_read=not options.no_fast_sync_read)
    bus = EmulatedBus(chain, options.link, wire_time=options.wire_time)
    signal.sigwait(signals)
    bus.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
