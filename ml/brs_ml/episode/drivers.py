"""Who drove when: spans of an episode in which a person, a policy or a replay led the robot."""

from __future__ import annotations

from typing import Any


class Drivers:
    """Collects spans from what the robot node says of itself."""

    def __init__(self) -> None:
        self._spans: list[dict[str, Any]] = []
        self._driver = ""

    def begin(self, now_ns: int) -> None:
        """Start anew with an episode; who drives now goes on driving."""
        driver, self._driver, self._spans = self._driver, "", []
        self.drives(driver, now_ns)

    def drives(self, source: str, now_ns: int) -> None:
        """Tell who drives from `now_ns` on: teleop, policy, replay, or "" for nobody."""
        if source == self._driver:
            return
        self._close(now_ns)
        if source:
            self._spans.append({"source": source, "start_ns": now_ns, "stop_ns": now_ns})
        self._driver = source

    def spans(self, now_ns: int) -> list[dict[str, Any]]:
        """`{"source", "start_ns", "stop_ns"}` of each span so far, in the order of time."""
        self._close(now_ns)
        return [dict(span) for span in self._spans]

    def _close(self, now_ns: int) -> None:
        if self._driver:
            span = self._spans[-1]
            span["stop_ns"] = max(now_ns, span["start_ns"])
