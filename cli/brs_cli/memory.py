"""Whether processes grow: their private memory over time, and its slope."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import psutil

# What a process takes while it begins to work is no leak. The recorder fills its queues and
# the middleware its pools in the first minute or two under faults: 7 MB, and no more after that.
WARM_UP_S = 120.0
# Below this much watching a slope says nothing.
SHORTEST_S = 300.0


@dataclass(frozen=True)
class Growth:
    """Memory of one kind of process over all of its lives."""

    slope_mb_per_min: float
    watched_s: float  # after warming up
    peak_mb: float

    @property
    def tells(self) -> bool:
        """Whether it was watched for long enough."""
        return self.watched_s >= SHORTEST_S


class MemoryWatch:
    """Samples of private memory (resident, without what is shared), by name and process id."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)

    def sample(self, now_s: float, running: Mapping[str, int]) -> None:
        """Look at processes; one that has just died is left out."""
        for name, pid in running.items():
            try:
                memory = psutil.Process(pid).memory_info()
            except psutil.NoSuchProcess:
                continue
            self._samples[name, pid].append((now_s, (memory.rss - memory.shared) / 1e6))

    def lives(self) -> dict[str, list[list[tuple[float, float]]]]:
        """All samples (time [s], memory [MB]) of each life, by name."""
        found: dict[str, list[list[tuple[float, float]]]] = defaultdict(list)
        for (name, _), life in self._samples.items():
            found[name].append([(round(now_s, 1), round(mb, 2)) for now_s, mb in life])
        return dict(found)

    def growth(self) -> dict[str, Growth]:
        """One slope a name: lives of a restarted process share it, each from its own level."""
        names = dict.fromkeys(name for name, _ in self._samples)
        return {
            name: _fit([life for (whose, _), life in self._samples.items() if whose == name])
            for name in names
        }


def _fit(lives: Iterable[list[tuple[float, float]]]) -> Growth:
    products = squares = watched_s = peak_mb = 0.0
    for life in lives:
        time_s, memory_mb = np.array(life).T
        peak_mb = max(peak_mb, float(memory_mb.max()))
        warm = time_s >= time_s[0] + WARM_UP_S
        if np.count_nonzero(warm) < 2:
            continue
        time_s, memory_mb = time_s[warm], memory_mb[warm]
        watched_s += float(time_s[-1] - time_s[0])
        centred_s = time_s - time_s.mean()
        products += float(centred_s @ memory_mb)
        squares += float(centred_s @ centred_s)
    slope = 60.0 * products / squares if squares else 0.0
    return Growth(round(slope, 3), round(watched_s, 1), round(peak_mb, 1))
