"""Farthest-point sampling against plain loops, and on points that lie in awkward ways."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="clouds need brs[perception]")

from brs_hardware.perception.sampling import farthest


def naive(points: np.ndarray, wanted: int) -> np.ndarray:
    chosen = [0]
    near = np.full(len(points), np.inf, np.float32)
    while len(chosen) < wanted:
        off = points - points[chosen[-1]]
        near = np.minimum(near, off[:, 0] ** 2 + off[:, 1] ** 2 + off[:, 2] ** 2)
        near[chosen[-1]] = -1.0
        chosen.append(int(near.argmax()))
    return np.array(chosen)


def surface(seed: int, count: int = 700) -> np.ndarray:
    """(count, 3) float32 [m] of a bent sheet and a ball above it; no two distances are equal."""
    random = np.random.default_rng(seed)
    sheet = random.uniform(-0.5, 0.5, (count, 3))
    sheet[:, 2] = 0.1 * np.sin(7.0 * sheet[:, 0])
    ball = random.normal(size=(count // 4, 3))
    sheet[: len(ball)] = 0.1 * ball / np.linalg.norm(ball, axis=1, keepdims=True) + [0, 0, 0.4]
    return random.permutation(sheet).astype(np.float32)


@pytest.mark.parametrize("edge", [0.01, 0.06, 0.5, 40.0])
@pytest.mark.parametrize("wanted", [1, 30, 500])
def test_choices_are_those_of_plain_loops(edge: float, wanted: int) -> None:
    points = surface(seed=round(1000 * edge) + wanted)
    chosen = farthest(points, wanted, edge)
    assert chosen[0] == 0
    assert np.array_equal(chosen, naive(points, wanted))


def test_of_many_equal_distances_each_choice_is_one_of_the_farthest() -> None:
    points = np.stack(np.meshgrid(*3 * [np.arange(9)]), axis=-1).reshape(-1, 3).astype(np.float32)
    near = np.full(len(points), np.inf)
    for row in farthest(points, 200, 2.5):
        assert near[row] == near.max()
        near = np.minimum(near, ((points - points[row]) ** 2).sum(axis=1))


def test_every_point_is_chosen_once_though_some_are_equal() -> None:
    points = np.repeat(surface(seed=3, count=50), 4, axis=0)
    assert sorted(farthest(points, len(points), 0.05)) == list(range(len(points)))
    same = np.ones((20, 3), np.float32)
    assert sorted(farthest(same, 20, 0.05)) == list(range(20))


def test_a_point_far_away_takes_no_memory() -> None:
    points = np.concatenate([surface(seed=4), [[3e4, -2e4, 1e4]]]).astype(np.float32)
    chosen = farthest(points, 100, 0.001)
    assert chosen[1] == len(points) - 1
    assert np.array_equal(chosen, naive(points, 100))
