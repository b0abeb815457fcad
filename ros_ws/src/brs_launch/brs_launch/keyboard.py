"""Passes the keys of our terminal on to the processes that we start."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import termios
import threading
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def shared_terminal() -> Iterator[int | None]:
    """A terminal that all started processes have as stdin, fed with what is typed into ours.

    They are in process groups of their own, so the system would stop them for reading ours.
    Ctrl-C is not passed on: it stays a signal to us.

    Yields:
        its descriptor; None if we have no terminal, or are in its background.
    """
    source = 0
    if not os.isatty(source) or os.tcgetpgrp(source) != os.getpgrp():
        yield None
        return
    ours, theirs = pty.openpty()
    stop_reader, stop_writer = os.pipe()
    before = termios.tcgetattr(source)
    tty.setcbreak(source)
    tty.setcbreak(theirs)
    # Keys that nobody reads fill its buffer; further ones are dropped then.
    os.set_blocking(ours, False)

    def pass_on() -> None:
        while stop_reader not in (ready := select.select((source, stop_reader), (), ())[0]):
            keys = os.read(ready[0], 1024)
            if not keys:
                return
            with contextlib.suppress(BlockingIOError):
                os.write(ours, keys)

    thread = threading.Thread(target=pass_on, name="keyboard", daemon=True)
    thread.start()
    try:
        yield theirs
    finally:
        os.write(stop_writer, b"x")
        thread.join()
        termios.tcsetattr(source, termios.TCSADRAIN, before)
        for descriptor in (ours, theirs, stop_reader, stop_writer):
            os.close(descriptor)
