"""What a policy learns from: a few observations, and the actions that followed.

    step            now-1   now   now+1  ...  now+7
    observations      o      o
    actions                  a      a    ...    a        T_a from the newest observation on
                      a      a    ...                    and, if asked for, from each other one

All observations of a window lie in one run of valid steps of one episode. Its actions may reach
beyond, as far as actions are known without a gap; behind that they repeat the last one and are
masked out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brs_ml.dataset.align import segments
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.reader import Dataset


@dataclass(frozen=True)
class WindowSpec:
    """Size of a window; the defaults are BRS's."""

    observations: int = 2  # T_o, steps that are seen
    actions: int = 8  # T_a, steps of the chunk that is to be predicted
    every_observation: bool = False  # a chunk for each observation, not for the newest alone

    def __post_init__(self) -> None:
        if self.observations < 1 or self.actions < 1:
            raise ValueError("a window needs observations and actions")


@dataclass(frozen=True)
class Windows:
    """Where windows lie; of equal length n."""

    now: np.ndarray  # (n,) int64 step of the newest observation
    end: np.ndarray  # (n,) int64 one past the last step whose action is known, without a gap

    def __len__(self) -> int:
        return len(self.now)


def windows_of(dataset: Dataset, spec: WindowSpec, split: str | None = None) -> Windows:
    """All windows of a data set, in the order of time.

    Args:
        dataset: where they lie.
        spec: their size.
        split: train or validation; None for both.

    Raises:
        DatasetError: there is none.
    """
    valid, action_valid = dataset.column("valid"), dataset.column("action_valid")
    now, end = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for episode in dataset.episodes:
        if split is not None and episode.split != split:
            continue
        steps = slice(episode.first, episode.first + episode.steps)
        ends = segments(action_valid[steps])[:, 1]
        for first, last in segments(valid[steps]):
            found = np.arange(first + spec.observations - 1, last, dtype=np.int64)
            now.append(episode.first + found)
            end.append(episode.first + ends[np.searchsorted(ends, found, side="right")])
    windows = Windows(np.concatenate(now), np.concatenate(end))
    if not len(windows):
        raise DatasetError(
            f"has no window of {spec.observations} observations in split {split or 'any'}",
            where=str(dataset.root),
            remedy="ask for fewer observations, or build it with another share for validation",
        )
    return windows


def observation_steps(now: int, spec: WindowSpec) -> np.ndarray:
    """(T_o,) steps that are seen, the newest last."""
    return np.arange(now - spec.observations + 1, now + 1)


def action_steps(now: int, end: int, spec: WindowSpec) -> tuple[np.ndarray, np.ndarray]:
    """Steps whose actions are to be predicted, and which of them are real.

    Returns:
        (T_a,) steps and (T_a,) bool; with `every_observation` (T_o, T_a) each.
    """
    starts = observation_steps(now, spec) if spec.every_observation else np.array(now)
    steps = starts[..., None] + np.arange(spec.actions)
    return np.minimum(steps, end - 1), steps < end
