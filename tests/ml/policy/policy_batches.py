"""Small networks and batches for tests of policies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from brs_ml.dataset import Part, RobotLayout
from brs_ml.policy.config import PointNetConfig, PolicyConfig, TransformerConfig, UNetConfig

POINTS = 9


def robot(name: str = "r1", arm: int = 6) -> RobotLayout:
    def part(name: str, count: int, unit: str, lower: float, upper: float) -> Part:
        names = tuple(f"{name}_{i}" for i in range(count))
        return Part(name, names, (unit,) * count, (lower,) * count, (upper,) * count)

    return RobotLayout(
        name,
        (
            part("base", 3, "m/s", -0.4, 0.4),
            part("torso", 4, "rad", -1.0, 2.0),
            part("left_arm", arm, "rad", -3.0, 3.0),
            part("left_gripper", 1, "1", 0.0, 1.0),
            part("right_arm", arm, "rad", -3.0, 3.0),
            part("right_gripper", 1, "1", 0.0, 1.0),
        ),
    )


def small(**changes: Any) -> PolicyConfig:
    """WB-VMA, small enough for loops."""
    values: dict[str, Any] = {
        "width": 8,
        "proprioception_hidden": (6,),
        "fusion_hidden": (10,),
        "pointnet": PointNetConfig(hidden=(7,)),
        "transformer": TransformerConfig(layers=2, heads=2, feed_forward=12, positions=16),
        "unet": UNetConfig(widths=(4, 8), kernel=3, groups=2, step_features=6),
        **changes,
    }
    return PolicyConfig(**values)


def batch(
    config: PolicyConfig, count: int = 2, seed: int = 0, size: int = 21
) -> dict[str, Tensor]:
    """Normalised observations and actions, the last action of each chunk missing."""
    random = torch.Generator().manual_seed(seed)
    seen, told = config.observations, config.actions
    chunks = (count, seen, told) if config.every_observation else (count, told)
    mask = torch.ones(chunks, dtype=torch.bool)
    mask[..., -1] = False
    return {
        "proprioception": torch.rand((count, seen, size), generator=random) * 2 - 1,
        "cloud": torch.rand((count, seen, POINTS, 6), generator=random),
        "action": torch.rand((*chunks, size), generator=random) * 2 - 1,
        "action_mask": mask,
    }
