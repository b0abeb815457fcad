"""Carries a launch out: processes, timers, handlers, and the ordered end of it all."""

from __future__ import annotations

import asyncio
import itertools
import signal
import tempfile
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

from brs_launch.actions import Action, visit
from brs_launch.child import Child, first_of
from brs_launch.console import Console
from brs_launch.context import Context
from brs_launch.errors import LaunchError
from brs_launch.events import EventHandler, ProcessExited, ProcessStarted, Shutdown, react
from brs_launch.loading import carry_out
from brs_launch.shared_memory import tidy
from brs_launch.spec import ProcessSpec


class Session:
    """The host of one launch; everything after `__init__` happens in one asyncio loop.

    Args:
        path: launch file.
        arguments: given by the user.
        console: where lines go.
        stdin: descriptor that all processes read from, if any.

    Raises:
        LaunchError: file or arguments are wrong; nothing has been started.
    """

    def __init__(
        self, path: Path, arguments: dict[str, str], console: Console, stdin: int | None = None
    ) -> None:
        self.console, self._stdin = console, stdin
        self.children: dict[str, Child] = {}
        # Process name -> SIGTERM or SIGKILL, for those that SIGINT did not end.
        self.escalated: dict[str, str] = {}
        self.status = 0
        self._numbers, self._files = itertools.count(1), itertools.count(1)
        self._waiting: list[tuple[Action, ProcessSpec, str]] = []
        self._timers: list[tuple[float, list[Action]]] = []
        self._handlers: list[EventHandler] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping: asyncio.Event | None = None
        self._stop_asked = False
        self.context = Context(self, arguments)
        carry_out(path, self.context)

    # What actions ask for (see Host).

    def start_process(self, action: Action, spec: ProcessSpec) -> None:
        name = f"{spec.label}-{next(self._numbers)}"
        if self._stop_asked:
            self.log(f"{name} is not started, for everything is stopping")
            return
        self._waiting.append((action, spec, name))

    def start_timer(self, period_s: float, actions: Iterable[Action]) -> None:
        self._timers.append((period_s, list(actions)))

    def register_handler(self, handler: EventHandler) -> None:
        self._handlers.append(handler)

    def log(self, text: str) -> None:
        self.console.log(text)

    def request_shutdown(self, reason: str, *, required: str = "", status: int = 0) -> None:
        """Begin to stop; OnShutdown handlers react before any process is signalled."""
        if self._stop_asked:
            return
        self._stop_asked = True
        self.status = max(self.status, status)
        what = f"{required}, which is required, has ended: " if required else ""
        self.log(f"stopping everything: {what}{reason}")
        self._waiting.clear()
        self._emit(Shutdown(reason))
        if self._stopping is not None:
            self._stopping.set()

    def hurry(self) -> None:
        """Go on to the next, harder signal for whatever still runs."""
        if self._stop_asked:
            for child in self.children.values():
                child.hurry()

    async def run(self) -> int:
        """Run to the end. Gives the exit status: 1 if a required process died, else 0."""
        self._stopping = asyncio.Event()
        if self._stop_asked:
            self._stopping.set()
        with tempfile.TemporaryDirectory(prefix="brs_launch_") as folder:
            self._folder = Path(folder)
            self._tidy()
            self._start_waiting()
            while self._tasks or not self._stop_asked:
                if self._tasks:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                else:
                    self.request_shutdown("all processes have ended")
        return self.status

    # How it is done.

    def _tidy(self, *, ports: bool = True) -> None:
        if freed := tidy(ports=ports):
            self.log(f"freed {freed / 1e6:.0f} MB of /dev/shm that killed processes had left")

    def _store(self, text: str) -> Path:
        path = self._folder / f"parameters_{next(self._files)}.yaml"
        path.write_text(text)
        return path

    def _start_waiting(self) -> None:
        """Start what the visited actions asked for; before, an error leaves nothing behind."""
        timers, self._timers = self._timers, []
        waiting, self._waiting = self._waiting, []
        for action, spec, name in waiting:
            self._spawn(self._supervise(action, spec, name))
        for period_s, actions in timers:
            self._spawn(self._fire(period_s, actions))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None:
                self._fail(f"internal error {type(error).__name__}: {error}")

        task.add_done_callback(done)

    def _fail(self, text: str) -> None:
        self.console.error(text)
        self.status = 1
        self.request_shutdown("a step of the launch failed")

    async def _stopped_within(self, period_s: float) -> bool:
        assert self._stopping is not None
        try:
            await asyncio.wait_for(self._stopping.wait(), period_s)
        except asyncio.TimeoutError:
            return False
        return True

    async def _fire(self, period_s: float, actions: list[Action]) -> None:
        if not await self._stopped_within(period_s):
            self._visit(actions)

    def _visit(self, actions: Iterable[Action], event: object = None) -> None:
        outer, self.context.event = self.context.event, event
        try:
            visit(actions, self.context)
        except LaunchError as error:
            self._fail(str(error))
        finally:
            self.context.event = outer
        if self._stopping is not None:
            self._start_waiting()

    def _emit(self, event: object, reaction: object = None, place: str = "") -> None:
        reactions = [(reaction, place)] if reaction is not None else []
        reactions += [(h.reaction, h.place) for h in self._handlers if h.matches(event)]
        for item, where in reactions:
            try:
                actions = react(item, event, self.context, where)  # type: ignore[arg-type]
            except LaunchError as error:
                self._fail(str(error))
                continue
            self._visit(actions, event)

    async def _supervise(self, action: Action, spec: ProcessSpec, name: str) -> None:
        """Run a process, again and again if it is to respawn, until it or everything ends."""
        for attempt in itertools.count(1):
            if self._stop_asked:
                return
            command = spec.command(self._store)
            try:
                child = Child(name, spec, command, self.console, self._stdin)
            except OSError as error:
                reason = error.strerror or str(error)
                self._fail(f"{action.place}: {name} cannot be started: {command[0]}: {reason}")
                return
            await self._follow(action, child, command)
            retries_left = not 0 <= spec.respawn_max_retries < attempt
            if not spec.respawn or not retries_left or self._stop_asked:
                return
            self._tidy(ports=False)
            self.log(f"{name} starts again in {spec.respawn_delay_s:g} s")
            if await self._stopped_within(spec.respawn_delay_s):
                return

    async def _follow(self, action: Action, child: Child, command: list[str]) -> None:
        assert self._stopping is not None
        self.children[child.name] = child
        self.log(f"{child.name} started, pid {child.pid}")
        self._emit(ProcessStarted(action, child.name, command, child.pid))
        await first_of(child.exited, self._stopping.wait())
        if not child.exited.done():
            needed = await child.stop()
            if needed != signal.SIGINT:
                self.escalated[child.name] = needed.name
        await child.clear_group()
        del self.children[child.name]
        code = child.exited.result()
        if self._stop_asked or code == 0:
            self.log(f"{child.name} ended{how_ended(code)}")
        else:
            self.console.error(f"{child.name} died{how_ended(code)}: {' '.join(command)}")
        event = ProcessExited(action, child.name, command, child.pid, code)
        self._emit(event, child.spec.on_exit, action.place)


def how_ended(returncode: int) -> str:
    """A return code in words; empty for plain success."""
    if returncode >= 0:
        return f" with exit code {returncode}" if returncode else ""
    try:
        return f" of {signal.Signals(-returncode).name}"
    except ValueError:
        return f" of signal {-returncode}"
