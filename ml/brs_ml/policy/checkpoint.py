"""Checkpoints: safetensors, with all that is needed to use the weights in the file's header.

Nothing in one is ever executed. The header tells format and version, the network, the robot, the
normalisation and the data; a file that is damaged, or does not fit the robot it is used with, is
refused with what differs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.config import PolicyConfig
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.model import PolicyModel, build_model
from brs_ml.policy.normalisation import Normalisation
from brs_ml.policy.plain import from_plain

FORMAT = "brs-policy"
VERSION = 1
# Older checkpoints do not have these.
_UNTOLD: dict[str, Any] = {"scenes": [], "cloud_recipe": "", "jpeg_quality": None}
T = TypeVar("T")


@dataclass(frozen=True)
class DataCard:
    """The data set that a policy learnt from."""

    name: str
    version: int  # of the data set's format
    checksum: str  # sha256 of its dataset.json
    rate_hz: float
    tasks: tuple[str, ...]
    # What a fair evaluation asks for; empty where the data set does not tell.
    scenes: tuple[tuple[str, int], ...] = ()  # task and seed of every episode
    cloud_recipe: str = ""  # how its clouds were made, JSON
    jpeg_quality: int | None = None  # of its pictures


@dataclass(frozen=True)
class Origin:
    """What a policy was before it learnt from corrections (see `corrections`)."""

    checkpoint: str  # sha256 of the file it began as
    steps: int  # of training, until then
    corrections: DataCard
    share: float  # of windows seen that were corrections


@dataclass(frozen=True)
class PolicyCard:
    """All that a policy is besides its weights."""

    config: PolicyConfig
    layout: RobotLayout
    cameras: tuple[str, ...]
    normalisation: Normalisation
    data: DataCard
    steps: int  # of training
    seed: int
    image_crop: float = 0.0  # share of pictures' width and height that is cut off
    origin: Origin | None = None  # None: it began untrained, or with a teacher
    format: str = FORMAT
    version: int = VERSION

    def __post_init__(self) -> None:
        if len(self.normalisation.lower) != self.layout.size:
            raise ValueError(
                f"normalises {len(self.normalisation.lower)} numbers, the robot has "
                f"{self.layout.size}"
            )
        if self.config.vision == "cloud" and not self.normalisation.cloud_lower:
            raise ValueError("sees clouds, and has no box to normalise them by")
        hands = self.normalisation.hands
        if bool(self.config.pointnet.hand_points) != bool(hands and len(hands.frames) == 2):
            raise ValueError("sees what is near two hands, and is not told where they are")


def save_policy(
    path: Path, model: PolicyModel, weights: Mapping[str, Tensor], card: PolicyCard
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: the file.
        model: whose names the weights have.
        weights: its state, or a mean of its states.
        card: the rest.
    """
    if set(weights) != set(model.state_dict()):
        raise ValueError("these are not the model's weights")
    write_tensors(path, weights, asdict(card))


def load_policy(path: str | Path) -> tuple[PolicyModel, PolicyCard]:
    """The network with its weights, ready to predict.

    Raises:
        PolicyError: no such file, damaged, of another version, or its parts do not fit.
    """
    path = Path(path)
    values, weights = read_tensors(path, FORMAT, VERSION)
    try:
        values["data"] = {**_UNTOLD, **values["data"]}
        values.setdefault("origin", None)
        card = from_plain(PolicyCard, values)
        # The backbone's first weights are in the checkpoint; their file need not exist any more.
        model = build_model(_without_files(card.config), card.layout, card.cameras)
        model.load_state_dict(weights)
    except (ValueError, RuntimeError, TypeError, KeyError, PolicyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise damaged(path, reason) from None
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise damaged(path, "a weight is no finite number")
    return model.eval(), card


def _without_files(config: PolicyConfig) -> PolicyConfig:
    return replace(config, resnet=replace(config.resnet, weights=""))


def check_robot(card: PolicyCard, layout: RobotLayout, where: str = "") -> None:
    """Refuse a policy of another robot.

    Raises:
        PolicyError: robot, parts, numbers, units or limits differ; names the first difference.
    """
    if differs := difference(card.layout, layout):
        raise PolicyError(
            f"is a policy of another robot: {differs}",
            where=where,
            remedy=f"use one that was trained for {layout.robot}",
        )


def check_normalisation(card: PolicyCard, normalisation: Normalisation, where: str = "") -> None:
    """Refuse weights that were trained with other limits; raises PolicyError naming them."""
    if differs := difference(card.normalisation, normalisation):
        raise PolicyError(
            f"was trained with another normalisation: {differs}",
            where=where,
            remedy="take a data set with the same robot and the same box of clouds",
        )


def difference(ours: Any, theirs: Any, name: str = "") -> str:
    """What differs first between two of the same dataclasses; empty if nothing does."""
    if hasattr(ours, "__dataclass_fields__") and type(ours) is type(theirs):
        for key in ours.__dataclass_fields__:
            inner = f"{name}.{key}".lstrip(".")
            if found := difference(getattr(ours, key), getattr(theirs, key), inner):
                return found
        return ""
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        if len(ours) != len(theirs):
            return f"{name} has {len(ours)} values, not {len(theirs)}"
        for i, (mine, yours) in enumerate(zip(ours, theirs, strict=True)):
            if found := difference(mine, yours, f"{name}[{i}]"):
                return found
        return ""
    return "" if ours == theirs else f"{name} is {ours!r}, not {theirs!r}"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """A safetensors file with a JSON header, whole or not at all."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_file(plain, partial, {"brs": json.dumps(header, allow_nan=False)})
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read_tensors(
    path: Path, format_: str, version: int
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """JSON header and tensors of a file.

    Raises:
        PolicyError: no such file, no safetensors, of another format or version.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise PolicyError("is no file", where=str(path), remedy="give a .safetensors checkpoint")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {}).get("brs", "null"))
            if not isinstance(header, dict) or header.get("format") != format_:
                raise PolicyError(f"is no {format_}", where=str(path), remedy="give another file")
            if header.get("version") != version:
                raise PolicyError(
                    f"has version {header.get('version')}, this program reads {version}",
                    where=str(path),
                    remedy="train it again, or use the program that made it",
                )
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError, TypeError) as error:
        raise damaged(path, str(error)) from None


def damaged(path: Path, reason: str) -> PolicyError:
    """The error of a file whose content cannot be right."""
    return PolicyError(
        f"is damaged ({reason})", where=str(path), remedy="copy it again, or train it again"
    )
