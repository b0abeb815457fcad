"""Lines on the terminal, each with the name of the process that wrote it."""

from __future__ import annotations

import sys
from collections.abc import Callable

# Called with process name (`launch` for our own lines), stream and line without its newline.
OnOutput = Callable[[str, str, str], None]

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
OWN_NAME = "launch"


class Console:
    """Shows lines on stdout, or hands them to a callable instead.

    Args:
        on_output: receives every line; nothing is printed then.
    """

    def __init__(self, on_output: OnOutput | None = None) -> None:
        self._on_output = on_output
        self._coloured = on_output is None and sys.stdout.isatty()
        self._colours: dict[str, int] = {}

    def write(self, name: str, stream: str, line: str) -> None:
        """Show one line of a process."""
        if self._on_output is not None:
            self._on_output(name, stream, line)
            return
        prefix = f"[{name}]"
        if self._coloured:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            prefix = f"\033[{colour}m{prefix}\033[0m"
        try:
            print(f"{prefix} {line}", flush=True)
        except (BrokenPipeError, ValueError):
            # Whoever read our output has gone; the launch itself goes on.
            self._on_output = lambda *_: None

    def log(self, text: str) -> None:
        """Show a line of our own."""
        self.write(OWN_NAME, "stdout", text)

    def error(self, text: str) -> None:
        """Show a line of our own that tells of something wrong."""
        self.write(OWN_NAME, "stderr", text)
