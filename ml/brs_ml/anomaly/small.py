"""Small encoder and judge that need no download: trained on pictures of simulated homes.

They know the words they were trained with, and say of other texts that they do not know them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from brs_ml.anomaly.config import CELL_PX, PICTURE_PX
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.judge import Question, Verdict
from brs_ml.anomaly.windows import scaled
from brs_ml.episode.errors import EpisodeError
from brs_ml.policy.checkpoint import read_tensors, write_tensors
from brs_ml.policy.plain import from_plain

FORMAT, VERSION = "brs-anomaly-small", 1
_WORD = re.compile(r"[^\W_]+")
# Words that say nothing about what is seen, among them those of the templates.
_EMPTY = frozenset(
    _WORD.findall(
        "a an and at be been being by has have in is it its of on or scene security camera "
        "footage photo cropped close up bright dark blurry low resolution small large room "
        "someone something that the there this to was where which with"
    )
)


@dataclass(frozen=True)
class SmallConfig:
    """Sizes of both networks; they are stored with the weights."""

    vocabulary: tuple[str, ...]
    side_px: int = 64  # of the encoder's pictures
    features: int = 64  # of the space of pictures and texts
    encoder_widths: tuple[int, ...] = (16, 32, 64, 96)
    judge_widths: tuple[int, ...] = (16, 32, 64, 96, 96)


class WordText(nn.Module):
    """Texts as the mean of their words; order does not count."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self._number = {word: i for i, word in enumerate(config.vocabulary)}
        self.words = nn.EmbeddingBag(len(self._number), config.features, mode="mean")
        self.out = nn.Linear(config.features, config.features)

    def knows(self, text: str) -> bool:
        """Whether it has seen every word that says something, and there is one."""
        said = content_words(text)
        return bool(said) and all(word in self._number for word in said)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """(n, features); texts of unknown words are all alike."""
        numbers: list[int] = []
        offsets: list[int] = []
        for text in texts:
            offsets.append(len(numbers))
            words = content_words(text)
            numbers += [self._number[word] for word in words if word in self._number]
        device = self.out.weight.device
        bags = self.words(
            torch.tensor(numbers, dtype=torch.long, device=device),
            torch.tensor(offsets, dtype=torch.long, device=device),
        )
        return self.out(torch.relu(bags))


def content_words(text: str) -> list[str]:
    """Words of a text that say something, in small letters."""
    return [word for word in _WORD.findall(text.lower()) if word not in _EMPTY]


def _convolutions(
    widths: tuple[int, ...], steps: int, norm: Callable[[int], nn.Module]
) -> nn.Sequential:
    """Convolutions over (n, 3, h, w), the first `steps` of which halve width and height."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(zip((3, *widths), widths, strict=False)):
        layers.append(nn.Conv2d(before, after, 3, 2 if i < steps else 1, 1))
        layers += [norm(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _without_norms(layers: nn.Sequential) -> nn.Sequential:
    """The same in evaluation, with batch normalisation within the convolutions."""
    merged: list[nn.Module] = []
    for convolution, norm, activation in zip(*[iter(layers)] * 3, strict=True):
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        merged += [fuse_conv_bn_eval(convolution, norm), activation]
    return nn.Sequential(*merged).eval()


class EncoderNetwork(nn.Module):
    """Pictures and texts to one space; a scaled and shifted cosine is the log odds of a match."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        halvings = len(config.encoder_widths)
        self.see = _convolutions(config.encoder_widths, halvings, nn.BatchNorm2d)
        side = config.side_px >> halvings
        self.project = nn.Linear(config.encoder_widths[-1] * side * side, config.features)
        self.text = WordText(config)
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        self.shift = nn.Parameter(torch.tensor(-3.0))

    def pictures(self, pictures: Tensor) -> Tensor:
        """(n, features) of unit length from (n, h, w, 3) uint8."""
        seen = self.see(_normalised(pictures)).flatten(1)
        return nn.functional.normalize(self.project(seen), dim=-1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """(k, features) of unit length."""
        return nn.functional.normalize(self.text(texts), dim=-1)

    def match(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """(n, k) log odds that a picture shows a text."""
        likeness = self.pictures(pictures) @ self.texts(texts).T
        return likeness * self.log_scale.exp() + self.shift


class JudgeNetwork(nn.Module):
    """Log odds that one picture, or four of one place in the order of time, show a text."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        last = config.judge_widths[-1]
        # Single pictures and grids take turns in training and have other statistics.
        self.see = _convolutions(config.judge_widths, 4, lambda width: nn.GroupNorm(4, width))
        self.text = WordText(config)
        self.meet = nn.Linear(config.features, 2 * last)
        self.join = nn.Conv2d(2 * last, last, 1)
        self.rate = nn.Sequential(nn.Linear(3 * last, last), nn.ReLU(), nn.Linear(last, 1))

    def forward(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """(n,) log odds.

        Args:
            pictures: (n, t, h, w, 3) uint8, t moments.
            texts: n of them.
        """
        count, moments = pictures.shape[:2]
        seen = self.see(_normalised(pictures.flatten(0, 1)))
        seen = seen.unflatten(0, (count, moments))
        # What changes is said by how features spread over time; of one picture, they do not.
        spread = (seen - seen.mean(1, keepdim=True)).square().mean(1).add(1e-8).sqrt()
        joined = self.join(torch.cat([seen.mean(1), spread], dim=1))
        gain, offset = self.meet(self.text(texts))[:, :, None, None].chunk(2, dim=1)
        joined = torch.relu(joined * (1.0 + gain) + offset)
        still = joined.mean((2, 3))
        pooled = torch.cat([still, joined.amax((2, 3)), spread.amax((2, 3))], dim=1)
        return self.rate(pooled)[:, 0]


def _normalised(pictures: Tensor) -> Tensor:
    """(n, 3, h, w) float from (n, h, w, 3) uint8, about -1 to 1."""
    return pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


@dataclass(frozen=True)
class SmallModels:
    """Both networks with their sizes."""

    config: SmallConfig
    encoder: EncoderNetwork
    judge: JudgeNetwork

    @classmethod
    def fresh(cls, config: SmallConfig, seed: int = 0) -> SmallModels:
        """Untrained ones."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config, EncoderNetwork(config).eval(), JudgeNetwork(config).eval())

    @classmethod
    def load(cls, path: str | Path) -> SmallModels:
        """Trained ones from a file of `save`.

        Raises:
            AnomalyError: no such file, or one that does not fit.
        """
        try:
            header, weights = read_tensors(Path(path), FORMAT, VERSION)
            models = cls.fresh(from_plain(SmallConfig, header.get("config")))
            for name, network in (("encoder", models.encoder), ("judge", models.judge)):
                own = {k.split(".", 1)[1]: v for k, v in weights.items() if k.startswith(name)}
                network.load_state_dict({key: _single(value) for key, value in own.items()})
        except EpisodeError as error:
            raise AnomalyError(error.what, where=error.where, remedy=error.remedy) from None
        except (ValueError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise AnomalyError(
                f"is damaged: {reason}", where=str(path), remedy="train it again"
            ) from None
        return models

    def save(self, path: Path) -> None:
        """Write both, in half precision."""
        weights = {
            f"{name}.{key}": value.half() if value.is_floating_point() else value
            for name, network in (("encoder", self.encoder), ("judge", self.judge))
            for key, value in network.state_dict().items()
        }
        header = {"format": FORMAT, "version": VERSION, "config": asdict(self.config)}
        write_tensors(path, weights, header)


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


class SmallEncoder:
    """The small networks' image-text encoder.

    Args:
        models: trained ones.
    """

    name = "the small encoder"

    def __init__(self, models: SmallModels) -> None:
        self._network = deepcopy(models.encoder).eval()
        self._network.see = _without_norms(self._network.see)
        self.side_px = models.config.side_px

    @torch.inference_mode()
    def encode_images(self, pictures: np.ndarray) -> np.ndarray:
        """See `ImageTextEncoder`."""
        return self._network.pictures(torch.from_numpy(np.ascontiguousarray(pictures))).numpy()

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See `ImageTextEncoder`."""
        return self._network.texts(texts).numpy()

    def knows(self, text: str) -> bool:
        """See `ImageTextEncoder`."""
        return self._network.text.knows(text)


class SmallJudge:
    """The small networks' judge: a probability, and no reason but that.

    Args:
        models: trained ones.
    """

    name = "the small judge"

    def __init__(self, models: SmallModels) -> None:
        self._network = models.judge.eval()

    @torch.inference_mode()
    def rate(self, questions: Sequence[Question]) -> list[Verdict]:
        """See `Judge`. Pictures of one kind go through the network together."""
        scores: dict[int, float] = {}
        for temporal in (False, True):
            numbers = [i for i, q in enumerate(questions) if (q.part == "temporal") == temporal]
            numbers = [i for i in numbers if self._network.text.knows(questions[i].keyword)]
            if not numbers:
                continue
            moments = np.stack([judge_input(questions[i].picture, temporal) for i in numbers])
            odds = self._network(
                torch.from_numpy(moments), [questions[i].keyword for i in numbers]
            )
            scores |= dict(zip(numbers, torch.sigmoid(odds).tolist(), strict=True))
        return [
            Verdict(scores[i], f"{question.part.replace('_', ' ')} fits with {scores[i]:.2f}")
            if i in scores
            else Verdict(None, f"{self.name} does not know these words")
            for i, question in enumerate(questions)
        ]


def judge_input(picture: np.ndarray, temporal: bool) -> np.ndarray:
    """(t, h, w, 3) uint8: the four cells of a grid, or a picture as the only moment."""
    picture = scaled(picture, PICTURE_PX)
    if not temporal:
        return picture[None]
    cells = picture.reshape(2, CELL_PX, 2, CELL_PX, 3).swapaxes(1, 2)
    return np.ascontiguousarray(cells).reshape(4, CELL_PX, CELL_PX, 3)
