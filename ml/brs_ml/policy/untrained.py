"""Checkpoints of networks that have learnt nothing: to measure and to test with, not to drive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.checkpoint import DataCard, PolicyCard, save_policy
from brs_ml.policy.config import PolicyConfig
from brs_ml.policy.hands import HandFrame, Hands
from brs_ml.policy.model import build_model
from brs_ml.policy.normalisation import GRIPPERS, Normalisation

RATE_HZ = 10.0  # BRS's


def write_untrained(
    path: Path,
    config: PolicyConfig,
    layout: RobotLayout,
    box: tuple[Sequence[float], Sequence[float]],
    *,
    cameras: Sequence[str] = (),
    hands: tuple[HandFrame, ...] = (),
    seed: int = 0,
) -> Path:
    """A checkpoint with random weights, for a robot.

    Args:
        path: the file.
        config: its network.
        layout: the robot; its limits are the normalisation's.
        box: lower and upper corner of clouds [m].
        cameras: of a network that sees pictures.
        hands: where they are; of a network that sees what is near them.
        seed: of the weights.
    """
    points, reach_m = config.pointnet.hand_points, config.pointnet.hand_reach_m
    owner = [part.name for part in layout.parts for _ in part.names]
    normalisation = Normalisation(
        layout.lower,
        layout.upper,
        clipped=tuple(name == "base" for name in owner),
        binary=tuple(name in GRIPPERS for name in owner),
        cloud_lower=tuple(float(value) for value in box[0]),
        cloud_upper=tuple(float(value) for value in box[1]),
        hands=Hands(hands, points, reach_m) if points else None,
    )
    data = DataCard("none, untrained", 1, "0" * 64, RATE_HZ, ())
    torch.manual_seed(seed)
    model = build_model(config, layout, cameras)
    card = PolicyCard(config, layout, tuple(cameras), normalisation, data, steps=0, seed=seed)
    save_policy(path, model, model.state_dict(), card)
    return path
