"""How far chunks are from what was done, part by part (BRS's measure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from brs_ml.dataset.layout import RobotLayout

Predict = Callable[[Mapping[str, Tensor], Tensor], Tensor]


@torch.no_grad()
def l1_by_part(
    batches: Iterable[Mapping[str, Tensor]], predict: Predict, layout: RobotLayout, seed: int
) -> dict[str, float]:
    """Mean over chunks of an action's absolute errors, summed over a part's numbers, times T_a.

    Args:
        batches: normalised; of the chunks of each observation, the newest counts.
        predict: `PolicyModel.predict`.
        layout: the robot.
        seed: of the noise that chunks are made of.

    Returns:
        part -> error, in normalised units.
    """
    random = torch.Generator().manual_seed(seed)
    errors, count, length = torch.zeros(layout.size, dtype=torch.double), 0, 0
    for batch in batches:
        action, mask = batch["action"], batch["action_mask"]
        if action.ndim == 4:
            action, mask = action[:, -1], mask[:, -1]
        noise = torch.randn(action.shape, generator=random).to(action.device)
        wrong = (predict(batch, noise) - action).abs() * mask[..., None]
        errors += wrong.sum(dim=(0, 1)).double().cpu()
        count, length = count + int(mask.sum()), action.shape[1]
    errors *= length / max(count, 1)
    return {part.name: float(errors[layout.slice_of(part.name)].sum()) for part in layout.parts}
