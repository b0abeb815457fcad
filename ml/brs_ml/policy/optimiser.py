"""AdamW whose state has names, and the mean of the weights over training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from brs_ml.policy.model import PolicyModel
from brs_ml.policy.training_config import TrainConfig

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def make_optimiser(model: PolicyModel, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; only what the model names is decayed."""
    decayed = {id(parameter) for parameter in model.decayed()}
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for p in trained if id(p) in decayed],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for p in trained if id(p) not in decayed], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.edge_rate)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(optimiser: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Its moments, by `<moment>.<parameter>`."""
    return {
        f"{moment}.{name}": optimiser.state[parameter][moment]
        for name, parameter in model.named_parameters()
        if parameter in optimiser.state
        for moment in _MOMENTS
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Set its moments; raises KeyError if one of a trained parameter is missing."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found = {moment: tensors[f"{moment}.{name}"].clone() for moment in _MOMENTS}
            moved = {m: v.to(parameter.device) for m, v in found.items() if m != "step"}
            optimiser.state[parameter] = {**found, **moved}


class MeanWeights:
    """A running mean of a model's weights; early on it forgets faster.

    Args:
        model: what is averaged.
        keep: share of the mean that a step keeps; 0 keeps nothing.
    """

    def __init__(self, model: nn.Module, keep: float) -> None:
        self._model, self._keep = model, keep
        self.weights = {name: v.detach().clone() for name, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights in, behind step `step`, counted from 0."""
        keep = min(self._keep, (1.0 + step) / (10.0 + step)) if self._keep else 0.0
        for name, value in self._model.state_dict().items():
            if value.is_floating_point() and keep:
                self.weights[name].lerp_(value, 1.0 - keep)
            else:
                self.weights[name].copy_(value)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from a mean."""
        for name, value in self.weights.items():
            value.copy_(weights[name])
