"""A policy's steps: what it looks at, which actions are done, and that seeds decide the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brs_ml.policy.driving import ChunkDriver, Horizon, Seen
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.observation import Chunk, Observation


class Clockwork:
    """A policy whose actions tell the step they are for, and that remembers what it saw."""

    def __init__(self, actions: int) -> None:
        self._actions, self.resets = actions, 0
        self.seen: list[Observation] = []
        self.noises: list[np.ndarray] = []

    def reset(self) -> None:
        self.resets += 1

    def chunk(self, observation: Observation, noise: np.ndarray) -> Chunk:
        self.seen.append(observation)
        self.noises.append(noise)
        now = observation.stamps_ns[-1]
        steps = np.arange(now, now + self._actions, dtype=float)
        # Which step the action is for, and which one it was made at.
        actions = np.stack([steps, np.full(self._actions, float(now))], axis=1)
        return Chunk(actions, 0.1, now)


def drive(
    horizon: Horizon, steps: int, seed: int = 0
) -> tuple[Clockwork, list[np.ndarray | None], list[int]]:
    policy, looked = Clockwork(horizon.actions), []
    driver = ChunkDriver(policy, horizon, 2)
    driver.reset(seed)
    actions = []
    for step in range(steps):

        def look(step: int = step) -> Seen:
            looked.append(step)
            return Seen(step, np.array([step, 0.0]), np.full((3, 6), step))

        actions.append(driver.step(look))
    return policy, actions, looked


def test_chunks_of_the_paper_are_done_whole() -> None:
    policy, actions, looked = drive(Horizon(observations=2, actions=8), 17)
    assert looked == [0, 7, 8, 15, 16]
    assert [seen.stamps_ns for seen in policy.seen] == [(0, 0), (7, 8), (15, 16)]
    assert policy.seen[1].cloud is not None and policy.seen[1].cloud[:, 0, 0].tolist() == [7, 8]
    for step, action in enumerate(actions):
        assert action is not None
        assert action[0].tolist() == [step, step // 8 * 8]
        assert action[1, 0] == (step if step % 8 == 7 else step + 1)


@given(st.integers(1, 4), st.integers(1, 10), st.integers(0, 10), st.integers(0, 10), st.data())
def test_actions_are_those_of_a_naive_schedule(
    observations: int, length: int, execute: int, delay: int, data: st.DataObject
) -> None:
    if delay + max(execute, 1) > length:
        with pytest.raises(PolicyError, match="has none for a delay"):
            Horizon(observations, length, execute, delay)
        return
    horizon = Horizon(observations, length, execute, delay)
    done, steps = horizon.done, data.draw(st.integers(1, 40))
    policy, actions, looked = drive(horizon, steps)
    asked = [step for step in range(steps) if step % done == 0]
    assert [seen.stamps_ns[-1] for seen in policy.seen] == asked
    for seen in policy.seen:
        now = seen.stamps_ns[-1]
        assert seen.stamps_ns == tuple(max(now - back, 0) for back in range(observations))[::-1]
    needed = {max(now - back, 0) for now in range(0, steps + length, done) for back in
              range(observations)}  # fmt: skip
    assert looked == sorted(step for step in needed if step < steps)
    for step, action in enumerate(actions):
        ready = [now for now in asked if now + delay <= step]
        if not ready:
            assert action is None
        else:
            assert action is not None
            assert action[0].tolist() == [step, ready[-1]]
            assert action[1].tolist() == [min(step + 1, ready[-1] + length - 1), ready[-1]]


def test_the_seed_decides_the_noise_and_nothing_else_does() -> None:
    horizon = Horizon(2, 8)
    one, again, other = (drive(horizon, 17, seed)[0] for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one.noises, again.noises, strict=True))
    assert not np.array_equal(one.noises[0], one.noises[1])
    assert not np.array_equal(one.noises[0], other.noises[0])
    assert one.noises[0].shape == (8, 2)


def test_a_new_episode_knows_nothing_of_the_last() -> None:
    policy = Clockwork(8)
    driver = ChunkDriver(policy, Horizon(2, 8), 2)
    for _ in range(2):
        driver.reset(0)
        first = driver.step(lambda: Seen(5, np.zeros(2)))
        driver.step(lambda: Seen(6, np.zeros(2)))
        assert first is not None and first[0, 0] == 5
    assert [seen.stamps_ns for seen in policy.seen] == [(5, 5), (5, 5)]
    assert policy.resets == 3 and policy.seen[0].cloud is None
