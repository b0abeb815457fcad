"""Losses and errors for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from brs_ml.policy.errors import PolicyError


class TensorBoard:
    """Writes what a trainer reports.

    Args:
        folder: of its files.

    Raises:
        PolicyError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise PolicyError(
                "TensorBoard is not installed", remedy="pip install brs[ml], or tensorboard=false"
            ) from None
        self._writer = SummaryWriter(str(folder))

    def __call__(self, step: int, measured: Mapping[str, float]) -> None:
        """One report, see `trainer.Report`."""
        for name, value in measured.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
