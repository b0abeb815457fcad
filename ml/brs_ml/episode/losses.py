"""Counts the messages that a recorder knows it missed."""

from __future__ import annotations

from collections import defaultdict


class LossCounter:
    """Gaps in each publisher's sequence numbers, and what the queue refused.

    A gap shows every loss on the way, in the network as in the reader's history, up to the
    message that came after it. The middleware's own events of lost messages see less (not what a
    full history overwrites), so they are not counted besides.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, bytes], int] = {}
        self._lost: dict[str, int] = defaultdict(int)

    def received(self, topic: str, publisher: bytes, sequence: int) -> None:
        """A message came. A sequence of 0 or one that steps back (restart) opens no gap."""
        last = self._last.get((topic, publisher), 0)
        self._last[topic, publisher] = sequence
        if 0 < last < sequence - 1:
            self._lost[topic] += sequence - last - 1

    def refused(self, topic: str) -> None:
        """The queue was full."""
        self._lost[topic] += 1

    def reset(self) -> None:
        """Count from zero; sequences go on, so that a loss right after is seen."""
        self._lost.clear()

    @property
    def by_topic(self) -> dict[str, int]:
        """Losses of each topic that has any."""
        return dict(sorted(self._lost.items()))

    @property
    def total(self) -> int:
        """Losses of all topics."""
        return sum(self._lost.values())
