"""A checkpoint made ready to drive one robot: refused if it does not fit, warmed up, checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.checkpoint import PolicyCard, check_robot, load_policy
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.normalisation import Normalisation
from brs_ml.policy.observation import Chunk, Committed, Observation
from brs_ml.policy.plain import from_plain

_WARM_UPS = 3
_PICTURE = (240, 320)  # to warm up with; others come
_POINTS = 4096  # likewise, of a policy that sees all
_EDGE = 1e-5  # float32 rounds an action at its limit so much beyond it, as a share of the range


class LocalPredictor:
    """A policy in this process, on one thread.

    Args:
        path: its checkpoint.
        layout: the robot that it is to drive.
        box: lower and upper corner [m] of the clouds that it will be given, None without clouds.
        device: where it runs.
        seed: of the noise that chunks are made of. It is the same for all of a run, so that like
            observations give like chunks, which follow each other smoothly.

    Attributes:
        card: what the checkpoint is.

    Raises:
        PolicyError: the file cannot be used, or it does not fit robot or clouds.
    """

    def __init__(
        self,
        path: str | Path,
        layout: RobotLayout,
        box: tuple[Sequence[float], Sequence[float]] | None,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        import torch

        from brs_ml.policy.policy import Policy

        # A second thread waits for the first more than it helps where cores are shared.
        torch.set_num_threads(1)
        model, card = load_policy(path)
        check_fit(card, layout, box, str(path))
        if device != "cpu" and not torch.cuda.is_available():
            raise PolicyError(
                f"no device '{device}' here", where="parameter device", remedy="device:=cpu"
            )
        self.card = card
        self._policy = Policy(model, card, device)
        self._noise = noise_of(card, seed)

    @property
    def inpaints(self) -> bool:
        """Whether it heeds what is committed."""
        return self._policy.inpaints

    def reset(self) -> None:
        """Forget what was seen; between two calls only."""
        self._policy.reset()

    def warm_up(self) -> None:
        """Compile, or load compiled, all that a chunk needs."""
        for number in range(_WARM_UPS):
            self._policy.chunk(blank(self.card, number), self._noise)
        self.reset()

    def __call__(self, observation: Observation, committed: Committed | None) -> Chunk:
        """See `engine.Predictor`."""
        try:
            chunk = self._policy.chunk(observation, self._noise, committed)
        except ValueError as error:
            raise PolicyError(f"cannot see this: {error}") from None
        return checked(chunk, self.card, observation)


def noise_of(card: PolicyCard, seed: int) -> np.ndarray:
    """(T_a, d) float32 normal."""
    shape = (card.config.actions, card.layout.size)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def blank(card: PolicyCard, number: int) -> Observation:
    """An observation of nothing, with the sizes of real ones."""
    steps = card.config.observations
    vector = (np.array(card.layout.lower) + np.array(card.layout.upper)) / 2.0
    cloud = None
    if card.config.vision == "cloud":
        cloud = np.zeros((steps, card.config.cloud_points or _POINTS, 6), np.float32)
    return Observation(
        tuple(range(number, number + steps)),
        np.tile(vector, (steps, 1)),
        cloud,
        {name: np.zeros((steps, *_PICTURE, 3), np.uint8) for name in card.cameras},
    )


def check_fit(
    card: PolicyCard,
    layout: RobotLayout,
    box: tuple[Sequence[float], Sequence[float]] | None,
    where: str,
) -> None:
    """Refuse a policy that would see or drive this robot otherwise than it learnt to.

    Raises:
        PolicyError: names the first difference of robot, box of clouds or limits.
    """
    check_robot(card, layout, where)
    seen = card.normalisation
    corners = (("lower", seen.cloud_lower), ("upper", seen.cloud_upper))
    if card.config.vision == "cloud" and box is not None:
        for (name, theirs), ours in zip(corners, box, strict=True):
            if not np.allclose(theirs, ours, atol=1e-6):
                raise PolicyError(
                    f"was trained with another normalisation: {name} corner of the clouds' box is "
                    f"{tuple(theirs)}, not {tuple(float(v) for v in ours)}",
                    where=where,
                    remedy="cloud:= names the configuration of clouds that it was trained with",
                )
    if card.config.normalisation.joints == "limits":
        _check_limits(seen, layout, where)


def _check_limits(seen: Normalisation, layout: RobotLayout, where: str) -> None:
    for name, theirs, ours in (
        ("lower", seen.lower, layout.lower),
        ("upper", seen.upper, layout.upper),
    ):
        for number, (their, our) in enumerate(zip(theirs, ours, strict=True)):
            if their != our:
                raise PolicyError(
                    f"was trained with another normalisation: {name} limit of "
                    f"{layout.names[number]} is {their:g}, not {our:g}",
                    where=where,
                    remedy="train it again with this robot's description",
                )


def checked(chunk: Chunk, card: PolicyCard, observation: Observation) -> Chunk:
    """A chunk that may be followed.

    Raises:
        PolicyError: of another size or moment, not finite, or beyond the robot's limits.
    """
    shape = (card.config.actions, card.layout.size)
    if chunk.actions.shape != shape:
        raise PolicyError(f"predicts actions of shape {chunk.actions.shape}, not {shape}")
    if not np.isfinite(chunk.actions).all():
        raise PolicyError("predicts no finite actions")
    if chunk.stamp_ns != observation.stamps_ns[-1]:
        raise PolicyError("answers another observation than it was asked")
    if not np.isclose(chunk.period_s * card.data.rate_hz, 1.0):
        raise PolicyError(f"predicts steps of {chunk.period_s:g} s, not {1 / card.data.rate_hz:g}")
    lower, upper = np.array(card.normalisation.lower), np.array(card.normalisation.upper)
    edge = _EDGE * (upper - lower)
    beyond = np.maximum(lower - edge - chunk.actions, chunk.actions - upper - edge).max(axis=0)
    if beyond.max() > 0.0:
        worst = int(beyond.argmax())
        raise PolicyError(
            f"predicts {card.layout.names[worst]} {beyond[worst]:.3g} {card.layout.units[worst]} "
            "beyond what it was trained for"
        )
    return chunk


def card_to_text(card: PolicyCard) -> str:
    """JSON of all that a policy is besides its weights."""
    return json.dumps(asdict(card), allow_nan=False)


def card_from_text(text: str, where: str) -> PolicyCard:
    """The opposite of `card_to_text`. Raises PolicyError: it is no such text."""
    try:
        return from_plain(PolicyCard, json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise PolicyError(
            f"tells of no policy ({error})",
            where=where,
            remedy="run the same version of brs there",
        ) from None


def described(card: PolicyCard) -> str:
    """A policy in a line: `diffusion of clouds, epsilon in 16 steps; 20000 steps on ...`."""
    config = card.config
    sampled = ""
    if config.kind == "diffusion":
        sampled = f", {config.diffusion.objective} in {config.diffusion.sampling_steps} steps"
    seen = "clouds" if config.vision == "cloud" else f"pictures of {', '.join(card.cameras)}"
    learnt = f"{card.steps} steps on '{card.data.name}' ({', '.join(card.data.tasks)})"
    return f"{config.kind} of {seen}{sampled}; {learnt}, seed {card.seed}"
