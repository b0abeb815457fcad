"""Streams with stamps to what a policy sees: T_o observations at the rate of its data.

The rule of the data set (`brs_ml.dataset.steps`), live. An observation of a moment is

    proprioception   linear between the states around the moment
    cloud, pictures  of each the newest at or before the moment, not older than `max_source_age_s`

The newest moment is the latest that all clouds and pictures have reached. A window is made of it
each period, up to a quarter of one early where the streams' own beat asks for it; the older
observations lie one period apart before it. One that was made before at nearly the same moment is
taken again, so that it need not be encoded again.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from brs_ml.dataset.align import interpolated, period_ns
from brs_ml.policy.observation import Observation

STATE = "state"
_AHEAD_S = 0.05  # stamps further ahead than this come from another clock
_EARLY = 0.25  # share of a period
_JUMP_S = 1.0  # a stream that steps back by more begins anew


@dataclass(frozen=True)
class SyncConfig:
    """What belongs together; ages as in the data set."""

    rate_hz: float  # of the policy's data
    observations: int  # T_o
    sources: tuple[str, ...]  # "cloud", "image.<camera>": what is seen besides the state
    max_state_gap_s: float = 0.1  # between two states that are interpolated
    max_source_age_s: float = 0.2  # of a cloud or picture at its moment
    max_age_s: float = 0.4  # of the newest observation; then there is none
    same_s: float = 0.015  # moments this near are one

    def __post_init__(self) -> None:
        ages = (self.max_state_gap_s, self.max_source_age_s, self.max_age_s, self.rate_hz)
        if not all(0.0 < value < math.inf for value in ages):
            raise ValueError("rate and ages must be positive")
        if self.observations < 1 or not 0.0 <= self.same_s < 0.5 / self.rate_hz:
            raise ValueError("'same_s' must be less than half a period, 'observations' positive")
        if not self.sources:
            raise ValueError("a policy sees something besides the state")


@dataclass(frozen=True)
class _Moment:
    """One observation, as it was made."""

    stamp_ns: int
    proprioception: np.ndarray  # (d,)
    values: dict[str, np.ndarray]


class _Stream:
    """Samples by rising stamps, of the last while."""

    def __init__(self, keep_s: float) -> None:
        self._keep_ns = round(keep_s * 1e9)
        self._samples: deque[tuple[int, Any]] = deque()

    def add(self, stamp_ns: int, value: Any) -> bool:
        """Take a sample; False if it is not newer than the newest."""
        newest_ns = self.newest_ns
        if newest_ns is not None and stamp_ns <= newest_ns:
            if newest_ns - stamp_ns < _JUMP_S * 1e9:
                return False
            self._samples.clear()
        self._samples.append((stamp_ns, value))
        while self._samples[0][0] < stamp_ns - self._keep_ns:
            self._samples.popleft()
        return True

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest sample."""
        return self._samples[-1][0] if self._samples else None

    def at_or_before(self, time_ns: int) -> tuple[int, Any] | None:
        """The newest sample that is not after a time."""
        index = bisect_right(self._samples, time_ns, key=lambda sample: sample[0])
        return self._samples[index - 1] if index else None

    def around(self, time_ns: int) -> list[tuple[int, Any]]:
        """The samples at and before, and at and after a time, as far as there are any."""
        index = bisect_left(self._samples, time_ns, key=lambda sample: sample[0])
        return [self._samples[i] for i in (index - 1, index) if 0 <= i < len(self._samples)]


class ObservationSync:
    """See the module. Not thread-safe.

    Args:
        config: rate, sources and ages.
    """

    def __init__(self, config: SyncConfig) -> None:
        self.config = config
        self._period_ns = period_ns(config.rate_hz)
        keep_s = config.observations / config.rate_hz + config.max_source_age_s + config.max_age_s
        self._streams = {name: _Stream(keep_s) for name in (STATE, *config.sources)}
        self.clear()

    def clear(self) -> None:
        """Forget which windows there were; streams stay."""
        self._made: deque[_Moment] = deque(maxlen=2 * self.config.observations)
        self._due_ns: int | None = None

    def add(self, stream: str, stamp_ns: int, value: np.ndarray) -> bool:
        """Take a sample.

        Args:
            stream: STATE with (d,) proprioception, or one of the sources.
            stamp_ns: when it was captured.
            value: kept, not copied.

        Returns:
            Whether it is newer than what is there; others are of no use.
        """
        before_ns = self._streams[stream].newest_ns
        taken = self._streams[stream].add(stamp_ns, value)
        if taken and before_ns is not None and stamp_ns < before_ns:
            self.clear()  # time began anew, and its moments are others
        return taken

    def newest_state(self) -> np.ndarray | None:
        """(d,) the state that came last."""
        newest_ns = self._streams[STATE].newest_ns
        found = None if newest_ns is None else self._streams[STATE].at_or_before(newest_ns)
        return None if found is None else found[1]

    def take(self, now_s: float) -> Observation | None:
        """The window that is due, if it is whole and fresh."""
        newest_ns = self._newest_ns()
        if newest_ns is None or self.problem(now_s):
            return None
        due_ns = newest_ns if self._due_ns is None else self._due_ns
        if newest_ns < due_ns - _EARLY * self._period_ns:
            return None
        last = self.config.observations - 1
        moments = [
            self._moment(newest_ns - i * self._period_ns, again=i > 0) for i in range(last, -1, -1)
        ]
        whole = [moment for moment in moments if moment is not None]
        if len(whole) != len(moments):
            return None
        # At least half a period apart, whatever beat they come in.
        soonest_ns = newest_ns + round((0.5 + _EARLY) * self._period_ns)
        self._due_ns = max(due_ns + self._period_ns, soonest_ns)
        self._made.append(whole[-1])
        return _joined(whole)

    def problem(self, now_s: float) -> str:
        """Why there can be no observation now; empty if nothing is missing or old."""
        for name, stream in self._streams.items():
            newest_ns = stream.newest_ns
            if newest_ns is None:
                return f"no {name} yet"
            age_s = now_s - newest_ns * 1e-9
            if age_s > self.config.max_age_s:
                return f"the newest {name} is {age_s:.2f} s old"
            if age_s < -_AHEAD_S:
                return f"{name} is stamped {-age_s:.2f} s ahead; set the clocks alike"
        return ""

    def _newest_ns(self) -> int | None:
        """The latest moment that all sources have reached."""
        stamps = [self._streams[name].newest_ns for name in self.config.sources]
        known = [stamp for stamp in stamps if stamp is not None]
        return min(known) if len(known) == len(stamps) else None

    def _moment(self, time_ns: int, again: bool) -> _Moment | None:
        """The observation of a moment; an earlier one of nearly that moment if `again`."""
        if again:
            for made in self._made:
                if abs(made.stamp_ns - time_ns) <= self.config.same_s * 1e9:
                    return made
        state = self._state(time_ns)
        values = {name: self._seen(name, time_ns) for name in self.config.sources}
        if state is None or any(value is None for value in values.values()):
            return None
        return _Moment(time_ns, state, {k: v for k, v in values.items() if v is not None})

    def _state(self, time_ns: int) -> np.ndarray | None:
        around = self._streams[STATE].around(time_ns)
        if not around:
            return None
        stamps = np.array([stamp for stamp, _ in around])
        values = np.array([value for _, value in around])
        gap_ns = round(self.config.max_state_gap_s * 1e9)
        found, valid = interpolated(stamps, values, np.array([time_ns]), gap_ns)
        return found[0] if valid[0] else None

    def _seen(self, source: str, time_ns: int) -> np.ndarray | None:
        found = self._streams[source].at_or_before(time_ns)
        if found is None or time_ns - found[0] > self.config.max_source_age_s * 1e9:
            return None
        value: np.ndarray = found[1]
        return value


def _joined(moments: list[_Moment]) -> Observation:
    def stacked(name: str) -> np.ndarray:
        return np.stack([moment.values[name] for moment in moments])

    names = moments[0].values
    return Observation(
        tuple(moment.stamp_ns for moment in moments),
        np.stack([moment.proprioception for moment in moments]),
        stacked("cloud") if "cloud" in names else None,
        {name.removeprefix("image."): stacked(name) for name in names if name != "cloud"},
    )
