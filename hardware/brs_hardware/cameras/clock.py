"""A device's clock in terms of the host's."""

from __future__ import annotations

from collections import deque


class ClockMap:
    """Maps stamps of a device with a clock of its own to the host's clock.

    A frame arrives some delay after its stamp; the delay is never below its minimum, but often
    above. So the line under all (stamp, arrival - stamp) points that touches the lowest of them
    is the clocks' offset, plus that minimum; its slope is their drift. (Minimum-delay filter over
    a convex hull, as in network time measurement: Moon, Skelly, Towsley 1999.)

    Args:
        window_s: points older than this are forgotten; drift may change within minutes.
        jump_s: a point so far off the line is a jump of one of the clocks when below it at once,
            when above it after `patience` points in a row, as a stalled host delays frames too.
        patience: see `jump_s`.
        fit_s: before this span of points, drift is taken as zero.
    """

    def __init__(
        self,
        window_s: float = 60.0,
        jump_s: float = 0.5,
        patience: int = 10,
        fit_s: float = 5.0,
    ) -> None:
        self._window_s, self._jump_s = window_s, jump_s
        self._patience, self._fit_s = patience, fit_s
        self.jumps = 0
        self._hull: deque[tuple[float, float]] = deque()  # lower hull, in the order of stamps
        self._above = 0
        self._slope = 0.0

    @property
    def drift(self) -> float:
        """Seconds that the host's clock gains on the device's in one second of the device's."""
        return self._slope

    def to_host(self, device_s: float, arrival_s: float) -> float:
        """Host time of a device stamp, never later than its arrival.

        Args:
            device_s: stamp of the device's clock [s].
            arrival_s: host clock when the frame was handed over [s].
        """
        offset = arrival_s - device_s
        if self._hull:
            late = offset - self._offset_at(device_s)
            backwards = device_s < self._hull[-1][0]
            self._above = self._above + 1 if late > self._jump_s else 0
            if backwards or late < -self._jump_s or self._above >= self._patience:
                self.jumps += 1
                self._forget()
        self._admit(device_s, offset)
        return min(device_s + self._offset_at(device_s), arrival_s)

    def _forget(self) -> None:
        self._hull.clear()
        self._above, self._slope = 0, 0.0

    def _admit(self, device_s: float, offset: float) -> None:
        hull, point = self._hull, (device_s, offset)
        while len(hull) >= 2 and _turn(hull[-2], hull[-1], point) <= 0.0:
            hull.pop()
        if len(hull) == 1 and hull[-1][0] == device_s:
            point = (device_s, min(offset, hull.pop()[1]))
        hull.append(point)
        # The edge that reaches into the window stays: points above it were not kept.
        while len(hull) > 1 and hull[1][0] < device_s - self._window_s:
            hull.popleft()
        self._slope = self._middle_slope()

    def _middle_slope(self) -> float:
        """Slope of the hull's edge in the middle of the window: the ends lack support."""
        first, last = self._hull[0][0], self._hull[-1][0]
        if last - first < self._fit_s:
            return 0.0
        middle = 0.5 * (first + last)
        for left, right in zip(self._hull, list(self._hull)[1:], strict=False):
            if left[0] <= middle <= right[0]:
                return (right[1] - left[1]) / (right[0] - left[0])
        raise AssertionError("the middle lies on the hull")

    def _offset_at(self, device_s: float) -> float:
        """The line of that slope under all points, at a stamp."""
        base = min(offset - self._slope * stamp for stamp, offset in self._hull)
        return base + self._slope * device_s


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Positive where a, b, c turn left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
