"""Chunks that come late and one after another to one stream of commands without jumps.

A chunk tells what is to be done from the moment of its observation on. When it is there, part of
that time has passed: the stream enters it at the present (latency-matched start), never at its
beginning. Joints go straight from point to point; base and grippers hold each action for a period,
as the data set means them. Three ways to change from one chunk to the next:

    blend     what differs at the change is let go of smoothly within `blend_s`
    inpaint   the same, and the next chunk is made so as to agree with what will be done before it
              is there (real-time chunking, Black et al. 2025); see `CommandStream.committed`
    ensemble  weighted mean of all chunks that tell of the present, the oldest most (ACT); each
              fades in and out within `blend_s`

Grippers are always those of the newest chunk: half closed is neither open nor closed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.observation import Chunk, Committed

HANDOVERS = ("blend", "inpaint", "ensemble")


@dataclass(frozen=True)
class HandoverConfig:
    """How chunks follow each other."""

    way: str = "blend"
    blend_s: float = 0.2
    ensemble_decay: float = 0.01  # ACT's m: a chunk weighs exp(-m * its number, the oldest 0)
    # From an observation to the last command that may follow from it.
    max_chunk_age_s: float = 0.7

    def __post_init__(self) -> None:
        if self.way not in HANDOVERS:
            raise ValueError(f"'{self.way}' is none of {', '.join(HANDOVERS)}")
        if self.blend_s <= 0.0 or self.ensemble_decay < 0.0 or self.max_chunk_age_s <= 0.0:
            raise ValueError("'blend_s' and 'max_chunk_age_s' must be positive")


class _Path:
    """A chunk as a function of time.

    Args:
        chunk: the actions.
        held: (d,) bool, numbers that hold for a period.
        max_age_s: it ends so long after its observation, if it has not before.
    """

    def __init__(self, chunk: Chunk, held: np.ndarray, max_age_s: float) -> None:
        self.actions, self._held, self.period_s = chunk.actions, held, chunk.period_s
        self.stamp_ns, self.start_s = chunk.stamp_ns, chunk.stamp_ns * 1e-9
        self.end_s = self.start_s + min(len(chunk.actions) * chunk.period_s, max_age_s)
        self.entered_s = -np.inf  # when the stream changed to it from another

    def at(self, time_s: float) -> np.ndarray:
        """(d,) at a time; before and after it what it tells first and last."""
        last = len(self.actions) - 1
        # A stamp in seconds is exact to 0.2 us only; a step must not begin late for that.
        place = max((time_s - self.start_s) / self.period_s + 1e-5, 0.0)
        index = min(int(place), last)
        now, after = self.actions[index], self.actions[min(index + 1, last)]
        moving: np.ndarray = now + min(place - index, 1.0) * (after - now)
        return np.where(self._held, now, moving)


class CommandStream:
    """See the module. Not thread-safe.

    Args:
        layout: the robot.
        config: how chunks follow each other.
    """

    def __init__(self, layout: RobotLayout, config: HandoverConfig) -> None:
        self.config = config
        owner = [part.name for part in layout.parts for _ in part.names]
        self._grips = np.array([name.endswith("_gripper") for name in owner])
        self._base = np.array([name == "base" for name in owner])
        self._clear_bridge(np.zeros(layout.size), 0.0)
        self._paths: list[_Path] = []

    def clear(self) -> None:
        """Nothing is to be done; the next chunk begins from where the robot stands."""
        self._paths = []

    @property
    def stamp_ns(self) -> int:
        """Of the observation that the newest chunk follows from; 0 without one."""
        return self._paths[-1].stamp_ns if self._paths else 0

    def accept(self, now_s: float, chunk: Chunk, standing: np.ndarray) -> float | None:
        """Change to a chunk.

        Args:
            now_s: the present.
            chunk: of the newest inference.
            standing: (d,) proprioception; where a stream begins that has nothing to follow.

        Returns:
            Largest difference [rad] of a joint that the change bridges, or None: the chunk is
            refused, for its time is over or a newer one leads.
        """
        path = _Path(chunk, self._base | self._grips, self.config.max_chunk_age_s)
        if now_s >= path.end_s or chunk.stamp_ns <= self.stamp_ns:
            return None
        before = self.at(now_s)
        wanted = path.at(now_s)
        begins = before is None
        if before is None:
            before = np.where(self._base, 0.0, standing)
        else:
            path.entered_s = now_s
        differs = np.where(self._grips, 0.0, before - wanted)
        keeps = self.config.way == "ensemble" and not begins
        self._paths = [*self._paths, path] if keeps else [path]
        if not keeps:
            self._clear_bridge(differs, now_s)
        return float(np.abs(differs[~self._base]).max())

    def at(self, now_s: float) -> np.ndarray | None:
        """(d,) what to do at a time not before the last change; None: no chunk tells."""
        self._paths = [path for path in self._paths if now_s < path.end_s]
        if not self._paths:
            return None
        newest = self._paths[-1].at(now_s)
        mean = self._weights(now_s) @ np.stack([path.at(now_s) for path in self._paths])
        passed = min(max((now_s - self._bridged_s) / self.config.blend_s, 0.0), 1.0)
        bridge = self._bridge * (1.0 - passed * passed * (3.0 - 2.0 * passed))
        return np.where(self._grips, newest, mean + bridge)

    def committed(self, stamp_ns: int, ready_s: float) -> Committed | None:
        """What a chunk that is about to be made must agree with.

        What will be done before it is ready is settled; from there to the end of what is planned
        it is the less settled the later, to nothing.

        Args:
            stamp_ns: of its observation.
            ready_s: when it is expected.

        Returns:
            None if nothing is planned, or another way of changing was chosen.
        """
        if self.config.way != "inpaint" or not self._paths:
            return None
        path = self._paths[-1]
        times_s = stamp_ns * 1e-9 + path.period_s * np.arange(len(path.actions))
        # What is held for a period is asked for in the middle of it.
        middle = np.stack([path.at(time_s + 0.5 * path.period_s) for time_s in times_s])
        points = np.stack([path.at(time_s) for time_s in times_s])
        actions = np.where(self._base | self._grips, middle, points)
        left_s = max(path.end_s - ready_s, path.period_s)
        return Committed(actions, np.clip((path.end_s - times_s) / left_s, 0.0, 1.0))

    def _clear_bridge(self, differs: np.ndarray, now_s: float) -> None:
        self._bridge, self._bridged_s = differs, now_s

    def _weights(self, now_s: float) -> np.ndarray:
        """(paths,) that add up to one."""
        if len(self._paths) == 1:
            return np.ones(1)
        fade_s = self.config.blend_s
        ages = np.exp(-self.config.ensemble_decay * np.arange(len(self._paths)))
        enters = [(now_s - path.entered_s) / fade_s for path in self._paths]
        leaves = [(path.end_s - now_s) / fade_s for path in self._paths]
        shares = ages * np.clip(np.minimum(enters, leaves), 0.0, 1.0)
        if not shares.any():
            shares[-1] = 1.0
        return shares / shares.sum()
