"""A policy learns from people who took over: their stretches alone, in a fixed share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import policy_batches as batches
import pytest
import tiny_data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import sha256
from brs_ml.dataset.streams import DRIVERS
from brs_ml.dataset.windows import WindowSpec, action_steps, observation_steps, windows_of
from brs_ml.policy.checkpoint import load_policy, read_tensors, write_tensors
from brs_ml.policy.config import ActConfig, PointNetConfig, PolicyConfig
from brs_ml.policy.corrections import (
    WeightedPlan,
    corrected_steps,
    human_steps,
    mixed_weights,
    windows_within,
)
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.run import make_trainer
from brs_ml.policy.trainer import POLICY_FILE, Trainer
from brs_ml.policy.training_config import CorrectionConfig, RunConfig, TrainConfig

NOBODY, TELEOP, POLICY = (DRIVERS.index(name) for name in ("nobody", "teleop", "policy"))
# Who drives in episodes with takeovers; a person begins, which is no correction.
TAKEN_OVER = np.repeat([TELEOP, POLICY, TELEOP, POLICY, TELEOP], [5, 9, 12, 8, 12])
LEARNER = batches.small(
    kind="act",
    width=32,
    proprioception_hidden=(32,),
    pointnet=PointNetConfig(hidden=(16,)),
    act=ActConfig(
        32, heads=2, feed_forward=32, encoder_layers=1, dropout=0.0, latent=4, kl_weight=0.1
    ),
)
RECIPE = TrainConfig(
    steps=60, batch_size=8, learning_rate=5e-3, warm_up=5, average=0.9, validate_every=60
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        yield


class Log:
    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def __call__(self, step: int, measured: Mapping[str, float]) -> None:
        self.rows.append(dict(measured))

    def column(self, name: str) -> list[float]:
        return [row[name] for row in self.rows if name in row]


class Sets:
    """Original data, episodes with takeovers, and a policy that learnt from the former."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = tiny_data.make(root / "original", seed=0)[0]
        driver = TAKEN_OVER.astype(np.uint8)
        self.corrections = tiny_data.make(root / "takeovers", seed=1, driver=driver)[0]
        config = RunConfig(LEARNER, replace(RECIPE, steps=250, validate_every=250))
        policy = make_trainer(config, self.data, batches.robot(), root / "policy", Log())
        policy.run()
        self.policy = policy.policy_path

    def run(self, out: str, **changes: Any) -> Trainer:
        given = {name: changes.pop(name) for name in ("corrections", "share") if name in changes}
        network: PolicyConfig = changes.pop("policy", LEARNER)
        log = changes.pop("log", Log())
        config = CorrectionConfig(
            str(given.get("corrections", self.corrections)),
            str(self.policy),
            given.get("share", 0.5),
        )
        run = RunConfig(network, replace(RECIPE, **changes), corrections=config)
        return make_trainer(run, self.data, batches.robot(), self.root / out, log)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    return Sets(tmp_path_factory.mktemp("corrections"))


# -- which windows -----------------------------------------------------------------------------


class Told(SimpleNamespace):
    """As much of a data set as windows ask for."""

    root = Path("told")

    def column(self, name: str) -> np.ndarray:
        return np.array(vars(self)[name])


@st.composite
def told(draw: st.DrawFn) -> Told:
    lengths = draw(st.lists(st.integers(1, 14), min_size=1, max_size=3))
    steps = sum(lengths)
    firsts = np.cumsum([0, *lengths[:-1]])
    episodes = [
        SimpleNamespace(first=int(first), steps=length, split="train")
        for first, length in zip(firsts, lengths, strict=True)
    ]
    who = st.sampled_from([NOBODY, TELEOP, TELEOP, TELEOP, POLICY])
    flags = st.lists(st.sampled_from([True, True, True, False]), min_size=steps, max_size=steps)
    valid = draw(flags)
    return Told(
        episodes=episodes,
        driver=draw(st.lists(who, min_size=steps, max_size=steps)),
        valid=valid,
        action_valid=[a or b for a, b in zip(valid, draw(flags), strict=True)],
    )


@settings(max_examples=150, deadline=None)
@given(told(), st.integers(1, 3), st.integers(1, 5))
def test_windows_are_those_of_one_persons_run(data: Any, seen: int, length: int) -> None:
    spec = WindowSpec(seen, length, every_observation=True)
    expected = []
    for episode in data.episodes:
        stop = episode.first + episode.steps
        for now in range(episode.first, stop):
            observed = range(now - seen + 1, now + 1)
            if observed[0] < episode.first:
                continue
            if not all(data.valid[i] and data.driver[i] == TELEOP for i in observed):
                continue
            end = now
            while end < stop and data.action_valid[end] and data.driver[end] == TELEOP:
                end += 1
            expected.append((now, end))
    try:
        found = windows_within(windows_of(data, spec), spec, human_steps(data))
    except DatasetError:  # no window at all, of anybody
        assert not expected
        return
    assert list(zip(found.now.tolist(), found.end.tolist(), strict=True)) == expected
    for now, end in zip(found.now, found.end, strict=True):
        steps, real = action_steps(int(now), int(end), spec)
        assert all(data.driver[step] == TELEOP for step in steps[real])
        assert real[:, 0].all()  # each observation's next action is a person's
        assert all(data.driver[step] == TELEOP for step in observation_steps(int(now), spec))


@settings(max_examples=100, deadline=None)
@given(told())
def test_corrections_are_what_people_did_after_the_policy(data: Any) -> None:
    expected = []
    for episode in data.episodes:
        driven = False
        for step in range(episode.first, episode.first + episode.steps):
            driven |= data.driver[step] == POLICY
            expected.append(driven and data.driver[step] == TELEOP)
    assert corrected_steps(data).tolist() == expected


# -- how often ---------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.booleans(), min_size=8, max_size=60).filter(lambda flags: sum(flags) > 0),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
)
def test_windows_are_seen_as_often_as_their_weight_says(
    flags: list[bool], share: float, epoch: int
) -> None:
    flags[0] = False
    if not any(flags):
        with pytest.raises(ValueError, match="needs corrections"):
            mixed_weights(np.array(flags), share)
        return
    weights = mixed_weights(np.array(flags), share)
    count, corrected = len(flags), sum(flags)
    naive = [share / corrected if flag else (1 - share) / (count - corrected) for flag in flags]
    assert weights.tolist() == pytest.approx(naive)
    order = WeightedPlan(weights, 2, seed=3).order(epoch)
    assert len(order) == count
    for window, weight in enumerate(naive):
        assert abs(np.sum(order == window) - count * weight) < 1.0 + 1e-6


def test_what_is_drawn_hangs_on_the_seed_and_is_dealt_to_ranks() -> None:
    weights = mixed_weights(np.arange(40) < 4, 0.5)

    def epoch(seed: int, number: int, **options: Any) -> list[int]:
        plan = WeightedPlan(weights, options.pop("size", 8), seed=seed, **options)
        return np.concatenate(list(plan.epoch(number))).tolist()

    assert epoch(1, 0) == epoch(1, 0)
    assert epoch(1, 0) != epoch(2, 0) and epoch(1, 0) != epoch(1, 1)
    assert sum(window < 4 for window in epoch(1, 0)) == 20
    both = [WeightedPlan(weights, 4, seed=1, rank=rank, world=2) for rank in (0, 1)]
    dealt = [np.concatenate(pair) for pair in zip(*(p.epoch(0) for p in both), strict=True)]
    assert np.concatenate(dealt).tolist() == epoch(1, 0)


# -- a run -------------------------------------------------------------------------------------


def test_corrections_are_learnt_and_the_rest_is_kept(sets: Sets) -> None:
    log = Log()
    recipe = {"steps": 150, "learning_rate": 1.5e-3, "warm_up": 50, "validate_every": 150}
    run = sets.run("better", log=log, **recipe)
    run._validate()  # of the policy as it was
    run.run()
    before, after = log.column("corrections/l1")
    assert after < 0.1 * before
    before, after = log.column("val/l1")
    assert before < 20.0  # of about 80 when nothing is learnt
    assert after < before + 15.0
    _, card = load_policy(run.policy_path)
    _, was = load_policy(sets.policy)
    assert card.origin is not None
    assert card.origin.checkpoint == sha256(sets.policy)
    assert (card.origin.steps, card.origin.share, card.steps) == (250, 0.5, 150)
    assert card.origin.corrections.checksum == sha256(sets.corrections / "dataset.json")
    assert card.data.checksum == was.data.checksum
    assert card.normalisation == was.normalisation
    assert set(card.data.scenes) == {*was.data.scenes, *card.origin.corrections.scenes}


def test_nothing_that_the_policy_did_is_a_label(sets: Sets) -> None:
    """Where people drove the point is at one place; all other windows are original."""
    run = sets.run("labels", steps=1)
    original = len(make_trainer(
        RunConfig(LEARNER, RECIPE), sets.data, batches.robot(), sets.root / "plain", Log()
    )._loader._loader.dataset)  # fmt: skip
    layout = batches.robot()
    lower, upper = np.array(layout.lower), np.array(layout.upper)
    sign = np.where(np.arange(layout.size) % 2, 1.0, -1.0)
    corrected = lower + (upper - lower) * (1.0 + sign * tiny_data.CORRECTED) / 2.0
    windows = run._loader._loader.dataset
    assert len(windows) > original
    for number in range(original, len(windows)):
        sample = windows[0, number]
        actions = sample["action"][sample["action_mask"]].numpy()
        assert np.allclose(actions, corrected, atol=1e-6)


def test_a_stopped_correction_goes_on_bit_for_bit_and_with_its_share_only(sets: Sets) -> None:
    sets.run("whole", steps=5).run()
    sets.run("parts", steps=5).run(until=3)
    rest = sets.run("parts", steps=5)
    rest.resume()
    assert rest.step == 3
    with pytest.raises(PolicyError, match=r"corrections.share 0.5, not 0.3"):
        sets.run("parts", steps=5, share=0.3).resume()
    rest.run()
    files = [(sets.root / name / POLICY_FILE).read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


# -- refusals ----------------------------------------------------------------------------------


def test_what_cannot_be_learnt_from_is_refused(sets: Sets) -> None:
    with pytest.raises(PolicyError, match="no window in which a person drove after the policy"):
        sets.run("a", corrections=sets.data)
    with pytest.raises(PolicyError, match=r"is another policy: width is 32, not 16"):
        sets.run("b", policy=replace(LEARNER, width=16))
    with pytest.raises(ValueError, match="need each other"):
        CorrectionConfig(data="somewhere")
    slow = tiny_data.make(sets.root / "slow", driver=TAKEN_OVER.astype(np.uint8))[0]
    told_index = json.loads((slow / "dataset.json").read_text())
    told_index["rate_hz"] = 5.0
    (slow / "dataset.json").write_text(json.dumps(told_index))
    with pytest.raises(PolicyError, match=r"has rate_hz 5.0, the policy learnt with 10.0"):
        sets.run("c", corrections=slow)


def test_checkpoints_from_before_corrections_are_read(sets: Sets, tmp_path: Path) -> None:
    header, tensors = read_tensors(sets.policy, "brs-policy", 1)
    assert header.pop("origin") is None
    write_tensors(tmp_path / "old.safetensors", tensors, header)
    assert load_policy(tmp_path / "old.safetensors")[1].origin is None


# -- trials ------------------------------------------------------------------------------------


def test_the_policy_is_tried_every_so_often(sets: Sets) -> None:
    log, tried = Log(), []

    def rollouts(path: Path) -> dict[str, float]:
        tried.append(load_policy(path)[1].steps)
        return {"success": 0.25}

    config = RunConfig(LEARNER, replace(RECIPE, steps=5, rollouts_every=2))
    out = sets.root / "tried"
    make_trainer(config, sets.data, batches.robot(), out, log, rollouts=rollouts).run()
    assert tried == [2, 4, 5]
    assert log.column("rollout/success") == [0.25] * 3
