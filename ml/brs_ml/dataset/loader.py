"""Windows in random order: true shuffling over all of them, and the same again by the same seed.

The order hangs on the seed and the epoch alone, not on processes or machines: every rank takes
its share of each global batch, and what is drawn for a window hangs on seed, epoch and window.
So a run can go on where it was stopped, on another number of machines if need be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from brs_ml.dataset.augment import AugmentConfig, augment
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.reader import Dataset
from brs_ml.dataset.windows import WindowSpec, action_steps, observation_steps, windows_of


class WindowReader:
    """Windows of a data set by number.

    Args:
        dataset: where they are.
        spec: their size.
        split: train or validation; None for both.
        features: pictures and clouds that are read; None for all.
        points: of each cloud; None for what the data set has.
        augmentation: changes to samples; None leaves them alone.
        seed: of these changes.
        training: False crops the middle of pictures and changes nothing else.

    Attributes:
        windows: where they lie.

    Raises:
        DatasetError: no window, or no such feature.
    """

    def __init__(
        self,
        dataset: Dataset,
        spec: WindowSpec,
        split: str | None = "train",
        *,
        features: Sequence[str] | None = None,
        points: int | None = None,
        augmentation: AugmentConfig | None = None,
        seed: int = 0,
        training: bool = True,
    ) -> None:
        self.dataset, self.spec = dataset, spec
        self.windows = windows_of(dataset, spec, split)
        known = {k: f.encoding for k, f in dataset.index.features.items()}
        blobs = [key for key, encoding in known.items() if encoding != "column"]
        for key in features or ():
            if key not in blobs:
                raise DatasetError(
                    f"has no '{key}'",
                    where=str(dataset.root),
                    remedy=f"one of {', '.join(blobs) or 'its columns'}",
                )
        chosen = blobs if features is None else features
        self._clouds = [key for key in chosen if known[key] == "cloud"]
        self._images = [key for key in chosen if known[key] == "jpeg"]
        self._points = points
        self._augmentation, self._seed, self._training = augmentation, seed, training
        statistics = dataset.index.statistics.get("proprioception", {})
        size = dataset.index.features["proprioception"].shape[0]
        self._deviations = np.array(statistics.get("std", (0.0,) * size))

    def __len__(self) -> int:
        return len(self.windows)

    def sample(self, window: int, epoch: int = 0) -> dict[str, np.ndarray]:
        """One window.

        Returns:
            `proprioception` (T_o, d) float32; `cloud` (T_o, points, 6) float32; `image.<camera>`
            (T_o, h, w, 3) uint8; `action` (T_a, d) float32 and `action_mask` (T_a,) bool, or
            (T_o, T_a, d) and (T_o, T_a) for every observation; `window` () int64.

        Raises:
            DatasetError: the data is damaged.
        """
        now, end = int(self.windows.now[window]), int(self.windows.end[window])
        seen = observation_steps(now, self.spec)
        steps, mask = action_steps(now, end, self.spec)
        data = self.dataset
        sample = {
            "proprioception": data.column("proprioception")[seen],
            "action": data.column("action")[steps],
            "action_mask": mask,
            "window": np.array(window, np.int64),
        }
        for key in self._clouds:
            sample[key] = data.clouds([int(step) for step in seen], self._points, key)
        for key in self._images:
            sample[key] = np.stack([data.image(key, int(step)) for step in seen])
        if self._augmentation is None:
            return sample
        random = np.random.default_rng((self._seed, epoch, window)) if self._training else None
        return augment(sample, self._augmentation, random, self._deviations)


class BatchPlan:
    """Which windows each rank takes, batch by batch.

    Args:
        count: windows there are.
        batch_size: of one rank.
        seed: of the order.
        rank: which one this is.
        world: how many ranks there are.
        shuffle: False keeps the order of time.
        drop_last: leave out what is left behind the last full global batch (another part of the
            windows in each epoch); otherwise it is dealt out, and ranks may differ by one.

    Raises:
        DatasetError: fewer windows than one global batch, and the last one is dropped.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        shuffle: bool = True,
        drop_last: bool = True,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world:
            raise ValueError(f"no such batches: {batch_size} windows of rank {rank} of {world}")
        self.count, self.batch_size, self.world = count, batch_size, world
        self._seed, self._rank, self._shuffle = seed, rank, shuffle
        full, rest = divmod(count, batch_size * world)
        self.batches = full + (0 if drop_last or not rest else 1)
        if not self.batches:
            raise DatasetError(
                f"{count} windows are fewer than a batch of {batch_size} on {world} ranks",
                remedy="take smaller batches",
            )

    def __len__(self) -> int:
        return self.batches

    def order(self, epoch: int) -> np.ndarray:
        """(count,) windows of all ranks in the order of an epoch."""
        order = np.arange(self.count)
        if self._shuffle:
            np.random.default_rng((self._seed, epoch)).shuffle(order)
        return order

    def epoch(self, epoch: int, start: int = 0) -> Iterator[np.ndarray]:
        """This rank's windows of each batch of an epoch, from batch `start` on."""
        order = self.order(epoch)
        size = self.batch_size * self.world
        for batch in range(start, self.batches):
            whole = order[batch * size : (batch + 1) * size]
            yield np.array_split(whole, self.world)[self._rank]

    def after(self, epoch: int, batch: int) -> tuple[int, int]:
        """Epoch and batch that follow."""
        return (epoch, batch + 1) if batch + 1 < self.batches else (epoch + 1, 0)

    def state(self, epoch: int, batch: int) -> dict[str, Any]:
        """Where a run stands, for JSON: the next batch is `batch` of `epoch`."""
        return {
            "epoch": epoch,
            "batch": batch,
            "seed": self._seed,
            "windows": self.count,
            "global_batch": self.batch_size * self.world,
        }

    def position(self, state: Mapping[str, Any]) -> tuple[int, int]:
        """Epoch and batch of a state.

        Raises:
            DatasetError: it is that of other data, another seed or another global batch.
        """
        epoch, batch = int(state["epoch"]), int(state["batch"])
        if dict(state) != self.state(epoch, batch):
            raise DatasetError(
                f"the run that is to go on stood at {dict(state)}, this one has "
                f"{self.state(epoch, batch)}",
                remedy="give it the same data, seed and global batch",
            )
        return epoch, batch


class WindowLoader:
    """Batches of windows in this process, epoch after epoch, without PyTorch.

    Args:
        reader: the windows.
        plan: their order.
    """

    def __init__(self, reader: WindowReader, plan: BatchPlan) -> None:
        self._reader, self._plan = reader, plan
        self.epoch, self.batch = 0, 0  # of the next batch

    def __len__(self) -> int:
        return len(self._plan)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """What is left of this epoch; the next call gives the next one.

        Each batch has the arrays of `WindowReader.sample`, stacked along a new first axis.
        """
        epoch = self.epoch
        for windows in self._plan.epoch(epoch, self.batch):
            samples = [self._reader.sample(int(window), epoch) for window in windows]
            self.epoch, self.batch = self._plan.after(self.epoch, self.batch)
            yield {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, behind the batch that was given last."""
        return self._plan.state(self.epoch, self.batch)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there. Raises DatasetError if the state is that of another run."""
        self.epoch, self.batch = self._plan.position(state)
