"""`Launch`: a launch file carried out in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType

from brs_launch.console import Console, OnOutput
from brs_launch.packages import find_launch_file
from brs_launch.session import Session


class Launch:
    """One launch file, run with arguments.

    `with Launch("teleop.launch.py", {"sim": "true"}) as launch:` starts it and, at the end of
    the block, stops it in order: SIGINT, then SIGTERM, then SIGKILL, to the group of each process.

    Args:
        path: path of a launch file, or the name of one of package `brs`.
        arguments: launch arguments, name to text.
        on_output: receives (process name, "stdout" or "stderr", line) instead of the terminal;
            called in the launch's thread, with process name `launch` for its own lines.
        stdin: descriptor that all processes read from; None means nothing to read.
    """

    def __init__(
        self,
        path: str,
        arguments: dict[str, str] | None = None,
        on_output: OnOutput | None = None,
        stdin: int | None = None,
    ) -> None:
        self.path = find_launch_file(str(path))
        self._arguments = dict(arguments or {})
        self._console, self._stdin = Console(on_output), stdin
        self._session: Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Read the file and start its processes.

        Raises:
            LaunchError: file or arguments are wrong; nothing has been started then.
        """
        if self._thread is not None:
            raise RuntimeError("a Launch starts once")
        self._session = Session(self.path, self._arguments, self._console, self._stdin)
        # The thread that starts processes must outlive them: they die with it (see child.py).
        self._thread = threading.Thread(target=self._run, name="brs_launch", daemon=True)
        self._thread.start()
        self._ready.wait()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the end of all processes.

        Returns:
            0 after an ordered end, 1 if a required process died or a step failed; None if it
            still runs after `timeout_s`.
        """
        assert self._thread is not None and self._session is not None, "start() comes first"
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return None
        if self._failure is not None:
            raise self._failure
        return self._session.status

    def shutdown(self, reason: str = "asked to") -> None:
        """Begin to stop everything; `wait` tells when that is done. Harmless if repeated."""
        session = self._session
        if session is not None:
            self._call(lambda: session.request_shutdown(reason))

    def hurry(self) -> None:
        """While stopping: send the next, harder signal now."""
        if self._session is not None:
            self._call(self._session.hurry)

    @property
    def running(self) -> dict[str, int]:
        """Names and pids of the processes that run now."""
        children = self._session.children if self._session is not None else {}
        return {name: child.pid for name, child in list(children.items())}

    @property
    def escalated(self) -> dict[str, str]:
        """Names of processes that SIGINT did not end, and what did: SIGTERM or SIGKILL."""
        return dict(self._session.escalated) if self._session is not None else {}

    def __enter__(self) -> Launch:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown("the caller has finished")
        self.wait()

    def _call(self, function: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None and self._thread is not None and self._thread.is_alive():
            try:
                loop.call_soon_threadsafe(function)
            except RuntimeError:
                if not loop.is_closed():
                    raise

    def _run(self) -> None:
        assert self._session is not None
        try:
            asyncio.run(self._main(self._session))
        except BaseException as error:  # noqa: BLE001 - handed to the caller of wait()
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self, session: Session) -> None:
        self._loop = asyncio.get_running_loop()
        # After the tasks made by run() have had their first turn, all processes are started.
        self._loop.call_soon(lambda: asyncio.get_running_loop().call_soon(self._ready.set))
        await session.run()
