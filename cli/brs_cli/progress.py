"""A progress bar on the terminal, with lines that stay above it."""

from __future__ import annotations

from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

B = TypeVar("B", bound="Bar")


class Bar:
    """Shown between `with` and its end, on stderr.

    Args:
        text: what goes on.
        total: how many steps it has.
    """

    def __init__(self, text: str, total: int) -> None:
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        shown = [TextColumn(c) if isinstance(c, str) else c for c in columns]
        self.progress = Progress(*shown, console=Console(stderr=True))
        self.task = self.progress.add_task(text, total=total)

    def __enter__(self: B) -> B:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()
