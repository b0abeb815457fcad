"""Trains the small encoder and judge on pictures with known contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from brs_ml.anomaly.small import SmallConfig, SmallModels, content_words

# Of a concept's mean error, at each new answer; and the least error that it is drawn by.
_REMEMBERED, _NEVER_LESS = 0.98, 0.05


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast."""

    encoder_steps: int = 12_000
    judge_steps: int = 18_000
    encoder_batch: int = 64
    judge_batch: int = 16
    rate: float = 2e-3  # peak of the learning rate
    weight_decay: float = 0.02
    seed: int = 0


@dataclass(frozen=True)
class EncoderData:
    """Pictures and what they show."""

    pictures: np.ndarray  # (n, side, side, 3) uint8
    shows: np.ndarray  # (n, concepts) float32: 1 shown, 0 not, nan not said


@dataclass(frozen=True)
class JudgeData:
    """Questions of one kind of picture, and their answers."""

    moments: np.ndarray  # (n, t, h, w, 3) uint8
    concept: np.ndarray  # (n,) int that is asked about
    present: np.ndarray  # (n,) float32: 1, 0, or 0.5 where nobody can tell


def vocabulary_of(phrases: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """All words that say something, in order."""
    texts = [text for several in phrases.values() for text in several]
    return tuple(sorted({word for text in texts for word in content_words(text)}))


def train_small(
    phrases: Mapping[str, Sequence[str]],
    encoder_data: EncoderData,
    config: TrainingConfig,
) -> SmallModels:
    """Fresh networks whose encoder is trained: contrastive, by whether each pair matches.

    Args:
        phrases: concept -> ways to say it; in the order of the data's concepts.
        encoder_data: pictures.
        config: how.
    """
    models = SmallModels.fresh(SmallConfig(vocabulary_of(phrases)), config.seed)
    random = np.random.default_rng([config.seed, 1])
    network, ways = models.encoder.train(), list(phrases.values())

    def loss() -> Tensor:
        chosen = random.integers(len(encoder_data.pictures), size=config.encoder_batch)
        texts = [several[int(random.integers(len(several)))] for several in ways]
        pictures = disturbed(encoder_data.pictures[chosen], random)
        odds = network.match(torch.from_numpy(pictures), texts)
        shows = torch.from_numpy(encoder_data.shows[chosen])
        said = torch.isfinite(shows)
        return nn.functional.binary_cross_entropy_with_logits(odds[said], shows[said])

    _descend(network, loss, config.encoder_steps, config)
    network.eval()
    return models


def train_judge(
    models: SmallModels,
    phrases: Mapping[str, Sequence[str]],
    data: Sequence[JudgeData],
    config: TrainingConfig,
) -> None:
    """Trains the judge of `models` in place.

    Args:
        models: with a trained encoder, whose contexts `data` shows.
        phrases: as in `train_small`.
        data: one for each number of moments; each batch is of one of them, in turns.
        config: how.
    """
    random = np.random.default_rng([config.seed, 2])
    network, ways = models.judge.train(), list(phrases.values())
    draws = [QuestionDraw(each, len(ways)) for each in data]
    turn = 0

    def loss() -> Tensor:
        nonlocal turn
        kind, draw, turn = data[turn % len(data)], draws[turn % len(data)], turn + 1
        chosen = draw.samples(config.judge_batch, random)
        texts = [ways[c][int(random.integers(len(ways[c])))] for c in kind.concept[chosen]]
        moments = disturbed(kind.moments[chosen], random)
        odds = network(torch.from_numpy(moments), texts)
        present = torch.from_numpy(kind.present[chosen])
        each = nn.functional.binary_cross_entropy_with_logits(odds, present, reduction="none")
        draw.learn(kind.concept[chosen], (each.detach() - least_loss(present)).numpy())
        return each.mean()

    _descend(network, loss, config.judge_steps, config)
    network.eval()


class QuestionDraw:
    """Which samples are seen: concepts as often as they are badly known, each as often as not.

    What is learnt late, such as how an arm is held, is drowned otherwise by what is known already.

    Args:
        data: to draw from.
        concepts: that there are.
    """

    def __init__(self, data: JudgeData, concepts: int) -> None:
        there = data.present > 0.5
        sides = [
            [np.flatnonzero((data.concept == c) & (there == side)) for side in (True, False)]
            for c in range(concepts)
        ]
        self._sides = [[side for side in both if len(side)] for both in sides]
        self._wrong = np.array([float(bool(both)) for both in self._sides])

    def samples(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Numbers of samples."""
        share = self._wrong / self._wrong.sum()
        concepts = random.choice(len(share), count, p=share)
        sides = [self._sides[c][int(random.integers(len(self._sides[c])))] for c in concepts]
        return np.array([int(random.choice(side)) for side in sides])

    def learn(self, concepts: np.ndarray, wrong: np.ndarray) -> None:
        """How wrong answers about some concepts were, beyond what cannot be helped."""
        for concept, much in zip(concepts, wrong, strict=True):
            kept = _REMEMBERED * self._wrong[concept] + (1.0 - _REMEMBERED) * float(much)
            self._wrong[concept] = max(kept, _NEVER_LESS)


def least_loss(present: Tensor) -> Tensor:
    """Loss of the best answer to soft labels: their entropy."""
    return nn.functional.binary_cross_entropy(present, present, reduction="none")


def disturbed(pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Pictures (n, ..., 3) uint8 with another light, each with its own."""
    shape = (len(pictures), *[1] * (pictures.ndim - 2), 3)
    gain = random.uniform(0.8, 1.2, shape).astype(np.float32)
    offset = random.uniform(-12.0, 12.0, shape).astype(np.float32)
    return np.clip(pictures * gain + offset, 0.0, 255.0).astype(np.uint8)


def _descend(
    network: nn.Module, loss: Callable[[], Tensor], steps: int, config: TrainingConfig
) -> None:
    """AdamW with a one-cycle rate."""
    weights = list(network.parameters())
    optimiser = torch.optim.AdamW(weights, config.rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, total_steps=steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
