"""The loader for PyTorch: worker processes, tensors, and the same order and state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from brs_ml.dataset.loader import BatchPlan


class Samples(Protocol):
    """Windows by number, such as a `WindowReader`."""

    def __len__(self) -> int: ...

    def sample(self, window: int, epoch: int = 0) -> dict[str, np.ndarray]:
        """One window; see `WindowReader.sample`."""
        ...


class TorchWindows(Dataset[dict[str, torch.Tensor]]):
    """Windows as tensors; an item is named by epoch and window.

    Args:
        reader: the windows.
    """

    def __init__(self, reader: Samples) -> None:
        self._reader = reader

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, item: tuple[int, int]) -> dict[str, torch.Tensor]:
        epoch, window = item
        sample = self._reader.sample(window, epoch)
        # Memory-mapped columns are read-only, and a tensor is not.
        return {key: torch.from_numpy(value.copy()) for key, value in sample.items()}


class _Order:
    """The items of each batch of the loader's epoch; asked anew for each epoch."""

    def __init__(self, loader: TorchLoader) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, batch = self._loader.epoch, self._loader.batch
        for windows in self._loader.plan.epoch(epoch, batch):
            yield [(epoch, int(window)) for window in windows]

    def __len__(self) -> int:
        return len(self._loader.plan)


class TorchLoader:
    """Batches of windows, epoch after epoch.

    Its state counts batches that were given, not those that workers have read ahead.

    Args:
        reader: the windows.
        plan: their order; one for each rank.
        workers: processes that read; 0 reads in this one.
        options: more for `torch.utils.data.DataLoader`, e.g. pin_memory.
    """

    def __init__(
        self, reader: Samples, plan: BatchPlan, *, workers: int = 0, **options: Any
    ) -> None:
        self.plan = plan
        self.epoch, self.batch = 0, 0  # of the next batch
        if workers:
            options = {"multiprocessing_context": "spawn", "persistent_workers": True, **options}
        self._loader: DataLoader[dict[str, torch.Tensor]] = DataLoader(
            TorchWindows(reader), batch_sampler=_Order(self), num_workers=workers, **options
        )

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """What is left of this epoch; the next call gives the next one."""
        for batch in self._loader:
            self.epoch, self.batch = self.plan.after(self.epoch, self.batch)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, behind the batch that was given last."""
        return self.plan.state(self.epoch, self.batch)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there. Raises DatasetError if the state is that of another run."""
        self.epoch, self.batch = self.plan.position(state)
