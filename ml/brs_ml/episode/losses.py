"""Counts the messages that a recorder knows it missed."""

from __future__ import annotations

from collections import defaultdict


class LossCounter:
    """Two witnesses of one loss are not counted twice.

    The middleware reports lost messages, and gaps in a publisher's sequence numbers show them,
    too; either may see more than the other, so the larger count of each topic is taken. What the
    queue refused had arrived before and is counted on top.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, bytes], int] = {}
        self._gaps: dict[str, int] = defaultdict(int)
        self._reported: dict[str, int] = defaultdict(int)
        self._refused: dict[str, int] = defaultdict(int)

    def received(self, topic: str, publisher: bytes, sequence: int) -> None:
        """A message came. A sequence of 0 or one that steps back (restart) opens no gap."""
        last = self._last.get((topic, publisher), 0)
        self._last[topic, publisher] = sequence
        if 0 < last < sequence - 1:
            self._gaps[topic] += sequence - last - 1

    def reported(self, topic: str, count: int) -> None:
        """The middleware reports `count` more lost messages."""
        self._reported[topic] += count

    def refused(self, topic: str) -> None:
        """The queue was full."""
        self._refused[topic] += 1

    def reset(self) -> None:
        """Count from zero; sequences go on, so that a loss right after is seen."""
        for counts in (self._gaps, self._reported, self._refused):
            counts.clear()

    @property
    def by_topic(self) -> dict[str, int]:
        """Losses of each topic that has any."""
        topics = {*self._gaps, *self._reported, *self._refused}
        counts = {
            topic: max(self._gaps.get(topic, 0), self._reported.get(topic, 0))
            + self._refused.get(topic, 0)
            for topic in topics
        }
        return {topic: count for topic, count in sorted(counts.items()) if count}

    @property
    def total(self) -> int:
        """Losses of all topics."""
        return sum(self.by_topic.values())
