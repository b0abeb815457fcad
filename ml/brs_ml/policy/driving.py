"""A policy that drives, step by step at its own rate, without ROS and without a clock.

T_o observations make a chunk of T_a actions, of which some are done before the next chunk:

    step           0  1  2  3  4  5  6  7  8  9 ..
    looked at      o                    o  o           T_o = 2; the first is seen twice
    first chunk    a  a  a  a  a  a  a  a
    second chunk                           a  a ..     `execute` = 8

With a `delay`, a chunk takes over so many steps after its newest observation, as if it were
computed meanwhile: the actions before are skipped, and the robot stands until the first is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from brs_ml.policy.errors import PolicyError
from brs_ml.policy.observation import Chunk, Observation


@dataclass(frozen=True)
class Seen:
    """What is observed at one step."""

    stamp_ns: int
    proprioception: np.ndarray  # (d,) in the order and units of the robot's layout
    cloud: np.ndarray | None = None  # (n, 6) x, y, z [m] in base_link, colours 0 to 1
    images: Mapping[str, np.ndarray] = field(default_factory=dict)  # (h, w, 3) uint8 RGB


class ChunkMaker(Protocol):
    """A policy; see `brs_ml.policy.policy.Policy`."""

    def reset(self) -> None:
        """A new episode begins."""

    def chunk(self, observation: Observation, noise: np.ndarray) -> Chunk:
        """(T_a, d) actions."""


@dataclass(frozen=True)
class Horizon:
    """How chunks follow each other.

    Attributes:
        observations, actions: T_o and T_a of the policy.
        execute: steps of each chunk that are done; 0: all that are left behind the delay.
        delay: steps from a chunk's newest observation to its first action that is done.

    Raises:
        PolicyError: a chunk is not long enough for that.
    """

    observations: int
    actions: int
    execute: int = 0
    delay: int = 0

    def __post_init__(self) -> None:
        done = self.delay + max(self.execute, 1)
        if min(self.execute, self.delay) < 0 or done > self.actions:
            raise PolicyError(
                f"a chunk of {self.actions} actions has none for a delay of {self.delay} steps "
                f"and {self.execute or 'all the'} steps done",
                remedy="choose a shorter delay, or do fewer steps of each chunk",
            )

    @property
    def done(self) -> int:
        """Steps of each chunk that are done."""
        return self.execute or self.actions - self.delay


class ChunkDriver:
    """Asks a policy for one chunk after another; see the module.

    Args:
        policy: that is asked.
        horizon: how its chunks follow each other.
        size: d, numbers of an action.
    """

    def __init__(self, policy: ChunkMaker, horizon: Horizon, size: int) -> None:
        self._policy, self._horizon, self._size = policy, horizon, size
        self.reset(0)

    def reset(self, seed: int) -> None:
        """A new episode begins; `seed` is that of the noise which chunks are made of."""
        self._policy.reset()
        self._seed, self._step, self._chunks = seed, 0, 0
        self._window: deque[Seen] = deque(maxlen=self._horizon.observations)
        # Chunks, the oldest being done, each with the step of its newest observation.
        self._asked: deque[tuple[int, Chunk]] = deque()

    def step(self, look: Callable[[], Seen]) -> np.ndarray | None:
        """(2, d) action of this step, and the chunk's next one; None before the first.

        The next one is what a controller may lead to; at a chunk's end it is the same again.

        Args:
            look: gives what is observed now; asked only where a chunk needs it.

        Raises:
            PolicyError: an action is no finite number.
            ValueError: the observation is not what this policy was trained to see.
        """
        horizon, now = self._horizon, self._step
        self._step += 1
        to_chunk = -now % horizon.done  # steps until the next chunk is asked for
        if to_chunk < horizon.observations:
            self._window.append(look())
        if to_chunk == 0:
            self._asked.append((now, self._ask()))
        if len(self._asked) > 1 and now >= self._asked[1][0] + horizon.delay:
            self._asked.popleft()
        begun, chunk = self._asked[0]
        at = now - begun
        if at < horizon.delay:
            return None
        return chunk.actions[[at, min(at + 1, horizon.actions - 1)]]

    def _ask(self) -> Chunk:
        window = list(self._window)
        window = [window[0]] * (self._horizon.observations - len(window)) + window
        first = window[0]
        observation = Observation(
            tuple(seen.stamp_ns for seen in window),
            np.stack([seen.proprioception for seen in window]),
            None if first.cloud is None else np.stack([np.asarray(s.cloud) for s in window]),
            {name: np.stack([seen.images[name] for seen in window]) for name in first.images},
        )
        shape = (self._horizon.actions, self._size)
        noise = np.random.default_rng([self._seed, self._chunks]).standard_normal(shape)
        self._chunks += 1
        return self._policy.chunk(observation, noise)
