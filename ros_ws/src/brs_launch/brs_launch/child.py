"""One running process: its group, its output, its end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any

from brs_launch.console import Console
from brs_launch.spec import ProcessSpec

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
# A line without an end is shown in pieces of this many bytes.
_LONGEST_LINE = 1 << 20
# Left-over children of an ended process get this long [s] between SIGTERM and SIGKILL.
_ORPHAN_PATIENCE_S = 2.0


def _prepare_child(parent: int) -> Callable[[], None]:
    def prepare() -> None:
        # A group of its own: Ctrl-C in the terminal reaches us alone, and we stop it in order.
        os.setpgid(0, 0)
        # Dies with us even if we are killed outright; the parent may have died before the call.
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


async def first_of(
    exited: asyncio.Future[int],
    other: Coroutine[Any, Any, object],
    timeout_s: float | None = None,
) -> bool:
    """Wait until a process has exited, `other` is done, or time is up. Gives: `other` is done."""
    waiter = asyncio.ensure_future(other)
    both: list[asyncio.Future[Any]] = [exited, waiter]
    await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    return not waiter.cancel()


class Child:
    """A started process; lives in one asyncio loop.

    Args:
        name: prefix of its lines.
        spec: what to run.
        command: its command line.
        console: where its lines go.
        stdin: descriptor it reads from; None means nothing to read.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        name: str,
        spec: ProcessSpec,
        command: list[str],
        console: Console,
        stdin: int | None = None,
    ) -> None:
        self.name, self.spec = name, spec
        self._console = console
        self._loop = asyncio.get_running_loop()
        # Python block-buffers a piped stdout, so lines would come late or, on SIGKILL, never.
        environment = {"PYTHONUNBUFFERED": "1", **spec.environment}
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=spec.cwd,
            env=environment,
            preexec_fn=_prepare_child(os.getpid()),
        )
        self.pid = self._popen.pid
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self._hurries = asyncio.Semaphore(0)
        self._partial: dict[int, bytes] = {}
        self._pipes: dict[int, str] = {}
        for stream, pipe in (("stdout", self._popen.stdout), ("stderr", self._popen.stderr)):
            assert pipe is not None
            descriptor = pipe.fileno()
            os.set_blocking(descriptor, False)
            self._pipes[descriptor], self._partial[descriptor] = stream, b""
            self._loop.add_reader(descriptor, self._read, descriptor)
        # Readable once the process has ended, whoever still holds its pipes.
        self._handle = os.pidfd_open(self.pid)
        self._loop.add_reader(self._handle, self._ended)

    def send(self, number: signal.Signals) -> None:
        """Signal the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def hurry(self) -> None:
        """Let `stop` go on to the next signal at once."""
        self._hurries.release()

    async def stop(self) -> signal.Signals:
        """Ask, insist, kill. Gives the signal that it took; reports what was needed."""
        steps = (
            (signal.SIGINT, self.spec.sigterm_timeout_s),
            (signal.SIGTERM, self.spec.sigkill_timeout_s),
        )
        for number, patience_s in steps:
            self.send(number)
            hurried = await first_of(self.exited, self._hurries.acquire(), patience_s)
            if self.exited.done():
                return number
            following = signal.SIGTERM if number == signal.SIGINT else signal.SIGKILL
            why = "when hurried" if hurried else f"within {patience_s:g} s"
            self._console.error(
                f"{self.name} did not stop {why} of {number.name}: sending {following.name}"
            )
        self.send(signal.SIGKILL)
        await asyncio.wait([self.exited])
        return signal.SIGKILL

    async def clear_group(self) -> None:
        """End what the process left running in its group, and close its pipes."""
        if self._group_lives():
            self.send(signal.SIGTERM)
            deadline = self._loop.time() + _ORPHAN_PATIENCE_S
            while self._group_lives() and self._loop.time() < deadline:
                await asyncio.sleep(0.02)
            self.send(signal.SIGKILL)
        for descriptor in list(self._pipes):
            self._read(descriptor)
            self._close(descriptor)

    def _group_lives(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _ended(self) -> None:
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        self.exited.set_result(self._popen.wait())

    def _read(self, descriptor: int) -> None:
        while descriptor in self._pipes:
            try:
                data = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                self._close(descriptor)
                return
            *lines, rest = (self._partial[descriptor] + data).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            self._partial[descriptor] = rest
            for line in lines:
                self._show(descriptor, line)

    def _close(self, descriptor: int) -> None:
        if descriptor not in self._pipes:
            return
        self._loop.remove_reader(descriptor)
        if self._partial[descriptor]:
            self._show(descriptor, self._partial[descriptor])
        stream = self._pipes.pop(descriptor)
        pipe = self._popen.stdout if stream == "stdout" else self._popen.stderr
        if pipe is not None:
            pipe.close()

    def _show(self, descriptor: int, line: bytes) -> None:
        stream = self._pipes[descriptor]
        if self.spec.screen or stream == "stderr":
            self._console.write(self.name, stream, line.decode(errors="replace").rstrip("\r"))
