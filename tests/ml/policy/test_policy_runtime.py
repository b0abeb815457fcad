"""Inference beside a control loop: what fits is answered, what does not is refused by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import policy_batches as batches
import pytest
import torch
from test_policy_checkpoint import card, observation, write

from brs_ml.policy.act import ActPolicy
from brs_ml.policy.checkpoint import PolicyCard, load_policy
from brs_ml.policy.config import ActConfig, DiffusionConfig
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.model import build_model
from brs_ml.policy.observation import Chunk, Committed, Observation
from brs_ml.policy.policy import Policy
from brs_ml.policy.runtime.engine import Answer, ChunkEngine
from brs_ml.policy.runtime.predictor import (
    LocalPredictor,
    card_from_text,
    card_to_text,
    check_fit,
    checked,
    described,
)

BOX = ((0.0, -0.5, -0.3), (2.0, 0.5, 2.0))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runtime") / "policy.safetensors")


# -- the predictor ---------------------------------------------------------------------------


def test_a_checkpoint_answers_the_same_warmed_up_or_not(file: Path) -> None:
    cold, warm = (LocalPredictor(file, batches.robot(), BOX, seed=3) for _ in range(2))
    warm.warm_up()
    asked = observation()
    assert np.array_equal(cold(asked, None).actions, warm(asked, None).actions)
    other = LocalPredictor(file, batches.robot(), BOX, seed=4)
    assert not np.array_equal(cold(asked, None).actions, other(asked, None).actions)
    assert "diffusion of clouds, epsilon in 16 steps" in described(cold.card)


@pytest.mark.parametrize(
    ("robot", "box", "told"),
    [
        (batches.robot("r2"), BOX, "robot is 'r1', not 'r2'"),
        (batches.robot(arm=7), BOX, "left_arm|parts"),
        (batches.robot(), ((0.0, -0.5, -0.3), (2.0, 0.5, 1.5)), "upper corner of the clouds' box"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_the_difference(
    file: Path, robot: Any, box: Any, told: str
) -> None:
    with pytest.raises(PolicyError, match=told) as error:
        LocalPredictor(file, robot, box)
    assert error.value.where == str(file) and error.value.remedy


def test_other_limits_than_the_robots_are_refused_unless_they_are_of_the_data(file: Path) -> None:
    _, good = load_policy(file)
    upper = (*good.normalisation.upper[:5], 9.0, *good.normalisation.upper[6:])
    wrong = replace(good, normalisation=replace(good.normalisation, upper=upper))
    with pytest.raises(PolicyError, match="upper limit of torso_2 is 9, not 2"):
        check_fit(wrong, batches.robot(), BOX, "x")
    of_data = replace(good.config.normalisation, joints="data")
    check_fit(
        replace(wrong, config=replace(good.config, normalisation=of_data)),
        batches.robot(),
        BOX,
        "x",
    )


def test_what_it_cannot_see_is_an_error_of_one_line(file: Path) -> None:
    predictor = LocalPredictor(file, batches.robot(), BOX)
    for wrong in (
        observation(cloud=None),
        observation(proprioception=np.full((2, 21), np.nan)),
        observation(proprioception=np.zeros((2, 20))),
    ):
        with pytest.raises(PolicyError, match="cannot see this"):
            predictor(wrong, None)
    predictor(observation(), None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: replace(c, actions=c.actions[:5]), "shape"),
        (lambda c: replace(c, actions=np.full((8, 21), np.nan)), "finite"),
        (lambda c: replace(c, actions=c.actions + 5.0 * np.eye(8, 21, 4)), "torso_1 3 rad beyond"),
        (lambda c: replace(c, stamp_ns=1), "another observation"),
        (lambda c: replace(c, period_s=0.2), "steps of 0.2 s"),
    ],
)
def test_a_chunk_that_may_not_be_followed_is_refused(
    change: Callable[[Chunk], Chunk], told: str
) -> None:
    good = Chunk(np.zeros((8, 21)), 0.1, 2)
    known: PolicyCard = card(batches.small())
    assert checked(good, known, observation()) is good
    with pytest.raises(PolicyError, match=told):
        checked(change(good), known, observation())


def test_a_card_goes_to_another_machine_and_back() -> None:
    known = card(batches.small())
    assert card_from_text(card_to_text(known), "there") == known
    for text in ("", "{}", card_to_text(known).replace('"steps"', '"stairs"')):
        with pytest.raises(PolicyError, match="tells of no policy"):
            card_from_text(text, "there")


# -- what is committed -----------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["epsilon", "flow", "consistency", "reflow"])
def test_a_chunk_agrees_with_what_is_committed(objective: str) -> None:
    """Exactly where it is settled, not at all where it is free; the same compiled or not."""
    windows = {"windows": 2} if objective == "reflow" else {}
    diffusion = DiffusionConfig(objective=objective, sampling_steps=4, **windows)
    config = batches.small(diffusion=diffusion)
    torch.manual_seed(1)
    policy = Policy(build_model(config, batches.robot()), card(config))
    noise = np.random.default_rng(0).standard_normal((8, 21)).astype(np.float32)
    free = policy.chunk(observation(), noise).actions
    plan = np.where(np.arange(21) < 3, 0.1, 0.7) * np.ones((8, 1))
    plan[:, [13, 20]] = 1.0
    known = np.array([1, 1, 1, 0.5, 0, 0, 0, 0.0])
    bound = policy.chunk(observation(), noise, Committed(plan, known)).actions
    assert np.allclose(bound[:3], plan[:3], atol=1e-5)
    assert not np.allclose(free[:3], plan[:3], atol=1e-2)
    none = policy.chunk(observation(), noise, Committed(plan, np.zeros(8))).actions
    assert np.array_equal(none, free)
    for stage in policy._fast._stages:  # type: ignore[union-attr]
        stage._compiled = None
    eager = policy.chunk(observation(), noise, Committed(plan, known)).actions
    assert np.allclose(bound, eager, atol=1e-4)


def test_a_policy_without_a_sampler_does_not_pretend_to_heed_a_plan() -> None:
    act = ActConfig(width=8, heads=2, feed_forward=8, encoder_layers=1, latent=4)
    config = batches.small(kind="act", act=act)
    policy = Policy(ActPolicy(config, batches.robot()), card(config))
    plan = Committed(np.zeros((8, 21)), np.ones(8))
    assert not policy.inpaints
    with pytest.raises(ValueError, match="committed"):
        policy.chunk(observation(), np.zeros((8, 21)), plan)


# -- the engine ------------------------------------------------------------------------------


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Slow:
    """A predictor that answers when it is let, and fails when it is told to."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.let = clock, threading.Semaphore(0)
        self.error: Exception | None = None
        self.takes_s = 0.04

    def __call__(self, observation: Observation, committed: Committed | None) -> Chunk:
        assert self.let.acquire(timeout=20.0)
        self.clock.now_s += self.takes_s
        if self.error is not None:
            raise self.error
        return Chunk(np.zeros((8, 21)), 0.1, observation.stamps_ns[-1])


def test_the_engine_takes_one_question_at_a_time_and_tells_what_came_of_it() -> None:
    clock, answered = Clock(), threading.Semaphore(0)
    slow = Slow(clock)
    engine = ChunkEngine(slow, clock, on_answer=answered.release)
    engine.start()

    def answer() -> Answer:
        slow.let.release()
        assert answered.acquire(timeout=20.0)
        found = engine.take()
        assert found is not None and engine.take() is None
        return found

    assert engine.take() is None and engine.idle and engine.busy_s == 0.0
    assert engine.ask(observation(), None)
    assert not engine.ask(observation(), None), "one is being worked on"
    clock.now_s += 1.0
    assert engine.busy_s == 1.0
    found = answer()
    assert found.chunk is not None and found.chunk.stamp_ns == 2 and not found.problem
    assert engine.idle and engine.typical_s >= 0.04
    # What fails is told, and the next question is answered.
    for error in (PolicyError("predicts no finite actions"), RuntimeError("out of memory")):
        slow.error = error
        assert engine.ask(observation(), None)
        found = answer()
        assert found.chunk is None and str(error) in found.problem
    slow.error = None
    assert engine.ask(observation(), None)
    assert answer().chunk is not None
    engine.close()
    assert not engine.alive


def test_an_engine_that_hangs_is_left_behind() -> None:
    slow = Slow(Clock())
    engine = ChunkEngine(slow, slow.clock)
    engine.start()
    assert engine.ask(observation(), None)
    engine.close(patience_s=0.01)
    assert engine.alive
    slow.let.release()


def test_a_mistake_of_ours_ends_the_engine_instead_of_being_hidden() -> None:
    slow = Slow(Clock())
    slow.error = AttributeError("no such thing")
    engine = ChunkEngine(slow, slow.clock)
    threading.excepthook, kept = lambda _: None, threading.excepthook
    try:
        engine.start()
        assert engine.ask(observation(), None)
        slow.let.release()
        engine._thread.join(20.0)
    finally:
        threading.excepthook = kept
    assert not engine.alive
