"""Windows lie where they may, each comes once an epoch, and a run goes on as if never stopped."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import Recipe, TellingClouds, layout, record
from synthetic_episodes import settings as build_settings

from brs_ml.dataset import (
    AugmentConfig,
    BatchPlan,
    Dataset,
    DatasetError,
    WindowLoader,
    WindowReader,
    WindowSpec,
    build,
    find_episodes,
    windows_of,
)
from brs_ml.dataset import augment as augmentation
from brs_ml.dataset.windows import action_steps


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two episodes, one with a camera that fails for a while."""
    root = tmp_path_factory.mktemp("loader")
    record(root / "episodes" / "a", Recipe(seconds=1.5))
    gap = Recipe(seconds=2.0, gap=lambda kind, s: kind == "head" and 0.75 < s < 1.25)
    record(root / "episodes" / "b", gap)
    episodes = find_episodes([root / "episodes"])
    build(episodes, root / "set", layout(), build_settings(), clouds=TellingClouds)
    return Dataset(root / "set")


RUNS = st.lists(st.lists(st.sampled_from("oa."), min_size=1, max_size=12), min_size=1, max_size=4)


@settings(deadline=None)
@given(RUNS, st.integers(1, 3), st.integers(1, 5), st.booleans())
def test_windows_are_those_found_by_looking_everywhere(
    episodes: list[list[str]], observations: int, actions: int, every: bool
) -> None:
    """`o`: all of a step is known; `a`: its action only; `.`: nothing."""
    flat = [step for episode in episodes for step in episode]
    firsts = list(itertools.accumulate((len(e) for e in episodes), initial=0))
    fake: Any = SimpleNamespace(
        root=Path(),
        column=lambda key: np.array([s == "o" or (s == "a" and key != "valid") for s in flat]),
        episodes=[
            SimpleNamespace(first=first, steps=len(episode), split="train")
            for first, episode in zip(firsts, episodes, strict=False)
        ],
    )
    spec = WindowSpec(observations, actions, every)
    expected = []
    for first, episode in zip(firsts, episodes, strict=False):
        for now in range(observations - 1, len(episode)):
            if all(s == "o" for s in episode[now - observations + 1 : now + 1]):
                end = ("".join(episode) + ".").index(".", now)
                expected.append((first + now, first + end))
    if not expected:
        with pytest.raises(DatasetError, match="no window"):
            windows_of(fake, spec, "train")
        return
    windows = windows_of(fake, spec, "train")
    assert list(zip(windows.now.tolist(), windows.end.tolist(), strict=True)) == expected
    for now, end in expected:
        steps, mask = action_steps(now, end, spec)
        starts = range(now - observations + 1, now + 1) if every else [now]
        naive = [[start + i for i in range(actions)] for start in starts]
        real = [[step < end for step in chunk] for chunk in naive]
        padded = [[min(step, end - 1) for step in chunk] for chunk in naive]
        assert steps.tolist() == (padded if every else padded[0])
        assert mask.tolist() == (real if every else real[0])


def test_a_sample_is_what_the_columns_hold(dataset: Dataset) -> None:
    reader = WindowReader(dataset, WindowSpec(2, 8), points=5)
    windows = windows_of(dataset, WindowSpec(2, 8), "train")
    for number in range(len(reader)):
        now, end = windows.now[number], windows.end[number]
        sample = reader.sample(number)
        assert np.array_equal(
            sample["proprioception"], dataset.column("proprioception")[[now - 1, now]]
        )
        rows = [min(now + i, end - 1) for i in range(8)]
        assert np.array_equal(sample["action"], dataset.column("action")[rows])
        assert sample["action_mask"].tolist() == [now + i < end for i in range(8)]
        assert np.array_equal(sample["cloud"][0], dataset.cloud(int(now) - 1, 5))
        assert np.array_equal(sample["image.head"][1], dataset.image("image.head", int(now)))
        assert dataset.episode_of(int(now) - 1) == dataset.episode_of(int(end) - 1)
        assert np.isfinite(sample["action"]).all()


def test_only_what_is_asked_for_is_read(dataset: Dataset) -> None:
    sample = WindowReader(dataset, WindowSpec(), features=["image.wrist"]).sample(0)
    assert set(sample) == {"proprioception", "action", "action_mask", "window", "image.wrist"}
    with pytest.raises(DatasetError, match=r"has no 'image\.nose'"):
        WindowReader(dataset, WindowSpec(), features=["image.nose"])
    with pytest.raises(DatasetError, match="split validation"):
        WindowReader(dataset, WindowSpec(), "validation")


def test_another_process_reads_the_same(dataset: Dataset) -> None:
    reader = WindowReader(dataset, WindowSpec())
    reader.sample(0)
    other = copy.deepcopy(reader)  # as what hands it to another process does
    for key, value in reader.sample(3).items():
        assert np.array_equal(value, other.sample(3)[key])


PLANS = st.tuples(st.integers(1, 200), st.integers(1, 9), st.integers(1, 4), st.integers(0, 3))


@given(PLANS, st.integers(0, 5))
def test_ranks_share_every_window_once_an_epoch(
    plan: tuple[int, int, int, int], epoch: int
) -> None:
    count, size, world, seed = plan
    plans = [
        BatchPlan(count, size, seed=seed, rank=rank, world=world, drop_last=False)
        for rank in range(world)
    ]
    batches = [list(plan.epoch(epoch)) for plan in plans]
    assert len({len(each) for each in batches}) == 1
    drawn = np.concatenate([batch for each in batches for batch in each])
    assert sorted(drawn.tolist()) == list(range(count))
    for together in zip(*batches, strict=True):
        sizes = [len(batch) for batch in together]
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= size


@given(PLANS)
def test_dropping_the_last_batch_keeps_all_batches_full(plan: tuple[int, int, int, int]) -> None:
    count, size, world, seed = plan
    if count < size * world:
        with pytest.raises(DatasetError, match="fewer than a batch"):
            BatchPlan(count, size, world=world)
        return
    drawn = []
    for rank in range(world):
        for batch in BatchPlan(count, size, seed=seed, rank=rank, world=world).epoch(0):
            assert len(batch) == size
            drawn += batch.tolist()
    assert len(set(drawn)) == len(drawn) == count // (size * world) * size * world


def test_order_hangs_on_seed_and_epoch_and_not_on_the_number_of_ranks() -> None:
    def order(epoch: int, **options: int) -> list[list[int]]:
        world = options.pop("world", 1)
        plans = [BatchPlan(97, 12 // world, rank=r, world=world, **options) for r in range(world)]
        return [
            np.concatenate(together).tolist()
            for together in zip(*(plan.epoch(epoch) for plan in plans), strict=True)
        ]

    assert order(0) == order(0) == order(0, world=2) == order(0, world=3)
    assert order(0) != order(1)
    assert order(0) != order(0, seed=1)
    # A batch is no run of neighbours, as it would be without shuffling.
    assert np.abs(np.diff(order(0)[0])).mean() > 10
    assert next(BatchPlan(97, 12, shuffle=False).epoch(3)).tolist() == list(range(12))


def drawn(batches: Sequence[dict[str, np.ndarray]]) -> list[dict[str, list[Any]]]:
    return [{key: value.tolist() for key, value in batch.items()} for batch in batches]


@pytest.mark.parametrize("stop", range(9))
def test_a_stopped_run_goes_on_as_if_it_had_not(dataset: Dataset, stop: int) -> None:
    reader = WindowReader(
        dataset,
        WindowSpec(),
        points=4,
        augmentation=AugmentConfig(cloud_jitter_m=0.01, proprioception_noise=0.1),
    )

    def loader() -> WindowLoader:
        return WindowLoader(reader, BatchPlan(len(reader), 6, seed=5))

    def batches(source: WindowLoader, count: int) -> list[dict[str, np.ndarray]]:
        endless = itertools.chain.from_iterable(iter(source) for _ in itertools.count())
        return list(itertools.islice(endless, count))

    whole = batches(loader(), 9)
    first = loader()
    before = batches(first, stop)
    state = json.loads(json.dumps(first.state_dict()))
    second = loader()
    second.load_state_dict(state)
    assert drawn(before + batches(second, 9 - stop)) == drawn(whole)
    assert whole[0]["cloud"].shape == (6, 2, 4, 6)


def test_a_state_of_another_run_is_refused() -> None:
    state = BatchPlan(50, 5).state(2, 3)
    assert BatchPlan(50, 5).position(state) == (2, 3)
    for other in (BatchPlan(51, 5), BatchPlan(50, 6), BatchPlan(50, 5, seed=1)):
        with pytest.raises(DatasetError, match="the same data, seed and global batch"):
            other.position(state)


def test_no_augmentation_is_no_change_and_each_sample_has_its_own(dataset: Dataset) -> None:
    plain = WindowReader(dataset, WindowSpec())
    nothing = WindowReader(dataset, WindowSpec(), augmentation=AugmentConfig())
    noisy = WindowReader(
        dataset, WindowSpec(), augmentation=AugmentConfig(proprioception_noise=0.1), seed=3
    )
    for key, value in plain.sample(2).items():
        assert np.array_equal(value, nothing.sample(2)[key])
    seen = [noisy.sample(w, e)["proprioception"].tobytes() for w in (1, 2) for e in (0, 1)]
    assert len(set(seen)) == 4
    assert noisy.sample(2, 1)["proprioception"].tobytes() == seen[3]
    evaluated = WindowReader(
        dataset,
        WindowSpec(),
        augmentation=AugmentConfig(proprioception_noise=0.1, crop=0.25),
        training=False,
    ).sample(2)
    assert np.array_equal(evaluated["proprioception"], plain.sample(2)["proprioception"])
    assert np.array_equal(evaluated["image.head"], plain.sample(2)["image.head"][:, 3:21, 4:28])


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_jitter_is_bounded_and_as_large_as_asked() -> None:
    points = np.zeros((20_000, 3), np.float32)
    moved = augmentation.jitter_points(random(), points, 0.01, 2.0)
    assert np.abs(moved).max() == pytest.approx(0.02)
    assert 0.0085 < moved.std() < 0.01
    assert moved.dtype == np.float32
    assert not points.any()


def test_a_moved_cloud_keeps_its_shape_and_its_heights() -> None:
    points = random().uniform(-1, 1, (2, 50, 3)).astype(np.float32)
    moved = augmentation.move_points(random(), points, 0.3, 0.0)

    def distances(cloud: np.ndarray) -> np.ndarray:
        return np.linalg.norm(cloud[:, :, None] - cloud[:, None], axis=-1)

    assert distances(moved) == pytest.approx(distances(points), abs=1e-5)
    assert moved[..., 2] == pytest.approx(points[..., 2])
    angle = np.arctan2(moved[..., 1], moved[..., 0]) - np.arctan2(points[..., 1], points[..., 0])
    turned = np.angle(np.exp(1j * angle))
    assert turned == pytest.approx(turned[0, 0], abs=1e-3)
    assert 0 < abs(turned[0, 0]) <= 0.3
    shifted = augmentation.move_points(random(), points, 0.0, 0.2) - points
    assert shifted.reshape(-1, 3) == pytest.approx(np.tile(shifted[0, 0], (100, 1)), abs=1e-6)
    assert 0 < np.abs(shifted).max() <= 0.2 + 1e-6


def test_colours_stay_colours() -> None:
    colors = random().uniform(0, 1, (100, 3)).astype(np.float32)
    for seed in range(20):
        generator = np.random.default_rng(seed)
        changed = augmentation.change_colors(generator, colors, 0.5, 0.5, 0.5)
        assert changed.min() >= 0.0
        assert changed.max() <= 1.0
        assert np.abs(changed - colors).max() > 0.01
    same = augmentation.change_colors(random(), colors, 0.0, 0.0, 0.0)
    assert same == pytest.approx(colors, abs=1e-6)
    brighter = augmentation.change_colors(random(), colors * 0.2 + 0.4, 0.2, 0.0, 0.0)
    shift = brighter - (colors * 0.2 + 0.4)
    assert shift == pytest.approx(shift[0, 0], abs=1e-6)
    assert 0 < abs(shift[0, 0]) <= 0.2


@pytest.mark.parametrize("chance", [None, 0, 1, 2])
def test_a_crop_is_a_part_of_all_pictures_alike(chance: int | None) -> None:
    images = np.arange(2 * 20 * 30 * 3, dtype=np.int64).reshape(2, 20, 30, 3)
    generator = None if chance is None else np.random.default_rng(chance)
    part = augmentation.crop_images(generator, images, 0.2)
    assert part.shape == (2, 16, 24, 3)
    top, left = divmod(int(part[0, 0, 0, 0]) // 3, 30)
    assert np.array_equal(part, images[:, top : top + 16, left : left + 24])
    if chance is None:
        assert (top, left) == (2, 3)


def test_noise_follows_each_numbers_own_deviation() -> None:
    noise = augmentation.add_noise(
        random(), np.zeros((50_000, 2), np.float32), np.array([1.0, 0.1]), 0.5
    )
    assert noise.std(axis=0) == pytest.approx([0.5, 0.05], rel=0.05)


@given(st.integers(0, 50), st.floats(0, 1))
def test_one_view_is_always_left(seed: int, probability: float) -> None:
    views = ("a", "b", "c")
    dropped = augmentation.views_to_drop(np.random.default_rng(seed), views, probability)
    assert dropped < set(views)
    if probability == 1.0:
        assert len(dropped) == 2
    if probability == 0.0:
        assert not dropped


@pytest.mark.parametrize(
    "wrong", [{"crop": 1.0}, {"drop_view": 1.5}, {"cloud_jitter_m": -1.0}, {"tint": np.nan}]
)
def test_impossible_augmentation_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        AugmentConfig(**wrong)
