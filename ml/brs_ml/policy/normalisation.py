"""Numbers and clouds to the range of a network, and actions back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from brs_ml.dataset.format import Index
from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.config import NormalisationConfig, PolicyConfig
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.hands import HandClouds, HandFrame, Hands

# Of the pictures that published ResNets were trained with (red, green, blue).
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_DEVIATION = (0.229, 0.224, 0.225)
GRIPPERS = ("left_gripper", "right_gripper")


@dataclass(frozen=True)
class Normalisation:
    """What is mapped to -1 and 1; of one number each, in the order of the robot's layout."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    clipped: tuple[bool, ...]  # to these limits: the base's velocity (BRS)
    binary: tuple[bool, ...]  # -1 or 1 and nothing between: the grippers (BRS)
    threshold: float = 0.5  # above it such a number is 1, else -1
    unseen: tuple[bool, ...] = ()  # 0 in what is observed; empty: all is seen
    grippers_seen: bool = False  # what is binary is so in actions alone
    cloud_lower: tuple[float, ...] = ()  # box of the cloud [m]; empty: there is no cloud
    cloud_upper: tuple[float, ...] = ()
    hands: Hands | None = None  # whose clouds are taken out of the cloud

    def __post_init__(self) -> None:
        if len({len(self.lower), len(self.upper), len(self.clipped), len(self.binary)}) != 1:
            raise ValueError("'lower', 'upper', 'clipped' and 'binary' differ in length")
        if len(self.unseen) not in (0, len(self.lower)):
            raise ValueError("'unseen' must be as long as 'lower', or empty")
        if len(self.cloud_lower) != len(self.cloud_upper) or len(self.cloud_lower) not in (0, 3):
            raise ValueError("a box of clouds needs x, y and z")
        lower = (*self.lower, *self.cloud_lower)
        upper = (*self.upper, *self.cloud_upper)
        if not all(low < high for low, high in zip(lower, upper, strict=True)):
            raise ValueError("a lower limit is not below its upper limit")


def normalisation_of(
    policy: PolicyConfig,
    layout: RobotLayout,
    index: Index,
    frames: tuple[HandFrame, ...] = (),
) -> Normalisation:
    """How a data set's numbers are normalised.

    Joints by their limits, or by what they did in the training split; base velocities by their
    limits; grippers open or closed; clouds by their box (BRS). `frames` are where hands are, for
    policies that see what is near them.

    Raises:
        PolicyError: the data set has another robot's numbers, or no statistics.
    """
    feature = index.features["action"]
    if feature.names != layout.names:
        raise PolicyError(
            f"the data set has {', '.join(feature.names)}, {layout.robot} has "
            f"{', '.join(layout.names)}",
            remedy=f"take a data set of {layout.robot}",
        )
    config = policy.normalisation
    lower, upper = list(layout.lower), list(layout.upper)
    if config.joints == "data":
        _narrow(lower, upper, config, layout, index)
    owner = [part.name for part in layout.parts for _ in part.names]
    threshold = config.gripper_threshold
    box = index.features.get("cloud")
    points, reach_m = policy.pointnet.hand_points, policy.pointnet.hand_reach_m
    return Normalisation(
        tuple(lower),
        tuple(upper),
        clipped=tuple(name == "base" for name in owner),
        binary=tuple(threshold is not None and name in GRIPPERS for name in owner),
        threshold=0.5 if threshold is None else threshold,
        unseen=tuple(name in config.unseen for name in owner) if config.unseen else (),
        grippers_seen=config.grippers_seen,
        cloud_lower=box.lower[:3] if box else (),
        cloud_upper=box.upper[:3] if box else (),
        hands=Hands(frames, points, reach_m) if points else None,
    )


def _narrow(
    lower: list[float],
    upper: list[float],
    config: NormalisationConfig,
    layout: RobotLayout,
    index: Index,
) -> None:
    """Limits of the joints to the range of the training split, in place."""
    if not {"action", "proprioception"} <= set(index.statistics):
        raise PolicyError(
            "the data set has no statistics to normalise by", remedy="normalisation.joints=limits"
        )
    told, seen = index.statistics["action"], index.statistics["proprioception"]
    for part in ("torso", "left_arm", "right_arm"):
        where = layout.slice_of(part)
        for i in range(where.start, where.stop):
            low, high = min(told["min"][i], seen["min"][i]), max(told["max"][i], seen["max"][i])
            # A joint that hardly moves must not have its noise blown up.
            wide = max(high - low, config.smallest_range)
            middle, half = (low + high) / 2.0, wide * (0.5 + config.margin)
            lower[i], upper[i] = middle - half, middle + half


class Normaliser:
    """Applies a normalisation to tensors, on whatever device they are.

    Args:
        normalisation: the limits.
    """

    def __init__(self, normalisation: Normalisation) -> None:
        self.normalisation = normalisation
        self._lower = torch.tensor(normalisation.lower, dtype=torch.float32)
        self._upper = torch.tensor(normalisation.upper, dtype=torch.float32)
        self._clipped = torch.tensor(normalisation.clipped)
        self._binary = torch.tensor(normalisation.binary)
        unseen = normalisation.unseen or (False,) * len(normalisation.lower)
        self._unseen = torch.tensor(unseen)
        self._box = torch.tensor(
            [normalisation.cloud_lower, normalisation.cloud_upper], dtype=torch.float32
        )
        self._hands = None if normalisation.hands is None else HandClouds(normalisation.hands)

    def to(self, device: torch.device | str) -> Normaliser:
        """Itself, with its limits on a device."""
        for name in ("_lower", "_upper", "_clipped", "_binary", "_unseen", "_box"):
            setattr(self, name, getattr(self, name).to(device))
        if self._hands is not None:
            self._hands.to(device)
        return self

    def batch(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A loader's batch as a network takes it; what is not known here stays as it is.

        Clouds of hands are put in as `hands` (b, T_o, hands, points, 6).
        """
        out = dict(batch)
        if self._hands is not None:
            out["hands"] = self._hands(batch["proprioception"], batch["cloud"])
        for key, value in batch.items():
            if key == "action":
                out[key] = self.numbers(value)
            elif key == "proprioception":
                out[key] = self.observed(value)
            elif key == "cloud":
                out[key] = self.cloud(value)
            elif key.startswith("image."):
                out[key] = normalised_images(value)
        return out

    def numbers(self, values: Tensor) -> Tensor:
        """(..., d) within -1 and 1 of (..., d) in the robot's units."""
        closed = torch.where(values > self.normalisation.threshold, 1.0, -1.0)
        return torch.where(self._binary, closed, self._scaled(values))

    def observed(self, values: Tensor) -> Tensor:
        """As `numbers`, of the robot's state (..., d): 0 where nothing of it shall be seen."""
        seen = self._scaled if self.normalisation.grippers_seen else self.numbers
        return seen(values).masked_fill(self._unseen, 0.0)

    def _scaled(self, values: Tensor) -> Tensor:
        scaled = (values.float() - self._lower) * (2.0 / (self._upper - self._lower)) - 1.0
        return torch.where(self._clipped, scaled.clamp(-1.0, 1.0), scaled)

    def actions(self, values: Tensor) -> Tensor:
        """(..., d) in the robot's units, within its limits, of (..., d) of a network."""
        values = torch.where(self._binary, torch.where(values > 0.0, 1.0, -1.0), values)
        share = (values.clamp(-1.0, 1.0) + 1.0) / 2.0
        return torch.lerp(self._lower, self._upper, share)

    def cloud(self, cloud: Tensor) -> Tensor:
        """(..., 6): the box to -1 and 1, colours as they are."""
        lower, upper = self._box
        points = (cloud[..., :3] - lower) * (2.0 / (upper - lower)) - 1.0
        return torch.cat([points, cloud[..., 3:]], dim=-1)


def normalised_images(images: Tensor) -> Tensor:
    """(..., 3, h, w) float32 of (..., h, w, 3) uint8."""
    mean = torch.tensor(IMAGE_MEAN, device=images.device)
    deviation = torch.tensor(IMAGE_DEVIATION, device=images.device)
    return ((images.float() / 255.0 - mean) / deviation).movedim(-1, -3)
