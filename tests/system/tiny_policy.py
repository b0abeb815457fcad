"""Checkpoints of untrained networks for the real robot: small, and the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from brs_hardware.embodiment import load_embodiment
from brs_hardware.perception.config import load_cloud
from brs_ml.dataset.robot_layout import layout_of
from brs_ml.policy.checkpoint import DataCard, PolicyCard, save_policy
from brs_ml.policy.config import (
    ActConfig,
    PointNetConfig,
    PolicyConfig,
    ResNetConfig,
    TransformerConfig,
    UNetConfig,
)
from brs_ml.policy.model import build_model
from brs_ml.policy.normalisation import Normalisation

SMALL: dict[str, Any] = {
    "width": 8,
    "proprioception_hidden": (6,),
    "pointnet": PointNetConfig(hidden=(7,)),
    "transformer": TransformerConfig(layers=1, heads=2, feed_forward=12, positions=16),
    "unet": UNetConfig(widths=(4, 8), kernel=3, groups=2, step_features=6),
}
CAMERAS = ("head", "left_wrist", "right_wrist")


def write(path: Path, robot: str = "r1", *, pictures: bool = False, **changes: Any) -> Path:
    """A WB-VMA that sees clouds, or an ACT that sees pictures."""
    layout = layout_of(load_embodiment(robot))
    owner = [part.name for part in layout.parts for _ in part.names]
    crop = load_cloud("default").crop
    normalisation = Normalisation(
        layout.lower,
        layout.upper,
        clipped=tuple(name == "base" for name in owner),
        binary=tuple(name.endswith("_gripper") for name in owner),
        cloud_lower=tuple(float(value) for value in crop.lower),
        cloud_upper=tuple(float(value) for value in crop.upper),
    )
    if pictures:
        act = ActConfig(width=16, heads=2, feed_forward=16, encoder_layers=1, latent=4)
        changes |= {"kind": "act", "vision": "images", "act": act}
        changes |= {"resnet": ResNetConfig(features=16)}
    config = PolicyConfig(**{**SMALL, **changes})
    cameras = CAMERAS if pictures else ()
    data = DataCard("untrained", 1, "0" * 64, 10.0, ("shelves",))
    torch.manual_seed(0)
    model = build_model(config, layout, cameras)
    card = PolicyCard(config, layout, cameras, normalisation, data, steps=0, seed=0)
    save_policy(path, model, model.state_dict(), card)
    return path
