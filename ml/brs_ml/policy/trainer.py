"""One trainer for all policies: the same run again by the same seed, also when it was stopped.

What is random in a step hangs on seed, step and process alone. A stopped run goes on from
`state.safetensors` bit for bit, as if it had never stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brs_ml.dataset.loader import BatchPlan
from brs_ml.dataset.torch_loader import Samples, TorchLoader
from brs_ml.policy.checkpoint import (
    PolicyCard,
    damaged,
    read_tensors,
    save_policy,
    write_tensors,
)
from brs_ml.policy.corrections import Mixture, WeightedPlan
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.model import PolicyModel
from brs_ml.policy.normalisation import Normaliser
from brs_ml.policy.optimiser import (
    MeanWeights,
    make_optimiser,
    optimiser_tensors,
    restore_optimiser,
    set_rate,
)
from brs_ml.policy.training_config import TrainConfig
from brs_ml.policy.validation import l1_by_part

STATE_FORMAT = "brs-training"
STATE_VERSION = 1
POLICY_FILE, BEST_FILE, STATE_FILE = "policy.safetensors", "best.safetensors", "state.safetensors"
# Settings that change nothing about what is learnt.
FREE = ("workers", "save_every", "log_every", "rollouts_every")

# Told what was measured and at which step, e.g. {"train/loss": 1.2}.
Report = Callable[[int, Mapping[str, float]], None]
# Tries a checkpoint; gives what it reached by name, such as {"success": 0.8}.
Rollouts = Callable[[Path], Mapping[str, float]]
# What is lowered: a number of a normalised batch. It has the model as a module of its own.
Loss = nn.Module


class ModelLoss(nn.Module):
    """The loss that a model has by itself."""

    def __init__(self, model: PolicyModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """() of a normalised batch."""
        return self.model.loss(batch)


class Trainer:
    """A training run, of one of the processes that do it together.

    Args:
        model: the network, as it is to begin.
        card: what its checkpoints tell; their steps are counted here.
        readers: windows for training, and by name for validation.
        config: the recipe.
        out: folder of checkpoints.
        report: told of losses and errors; of rank 0 only.
        loss: what is lowered; None: the model's own.
        device: where it is computed.
        rollouts: tries the policy every `rollouts_every` steps; training waits for it.
    """

    def __init__(
        self,
        model: PolicyModel,
        card: PolicyCard,
        readers: tuple[Samples, Mapping[str, Samples]],
        config: TrainConfig,
        out: Path,
        report: Report,
        *,
        loss: Loss | None = None,
        device: torch.device | str = "cpu",
        rollouts: Rollouts | None = None,
    ) -> None:
        self.config, self.out, self.step = config, out, 0
        self._card, self._report, self._rollouts = card, report, rollouts
        self._device = torch.device(device)
        self._rank = int(os.environ.get("RANK", "0"))
        self._world = int(os.environ.get("WORLD_SIZE", "1"))
        self._model = model
        self._loss = (loss or ModelLoss(model)).to(self._device)
        self._parallel: nn.Module = self._loss
        if self._world > 1:
            self._parallel = nn.parallel.DistributedDataParallel(self._loss)
        self._normaliser = Normaliser(card.normalisation).to(self._device)
        self._optimiser = make_optimiser(model, config)
        self._mean = MeanWeights(model, config.average)
        self._best = float("inf")
        self._loader = TorchLoader(
            readers[0], self._plan(readers[0]), workers=config.workers, pin_memory=self._pinned
        )
        self._validations = {
            name: TorchLoader(reader, self._drawn(reader), pin_memory=self._pinned)
            for name, reader in readers[1].items()
        }

    @property
    def _pinned(self) -> bool:
        return self._device.type == "cuda"

    def _plan(self, reader: Samples) -> BatchPlan:
        size, seed = self.config.batch_size, self.config.seed
        rank, world = self._rank, self._world
        if isinstance(reader, Mixture):
            return WeightedPlan(reader.weights, size, seed=seed, rank=rank, world=world)
        return BatchPlan(len(reader), size, seed=seed, rank=rank, world=world)

    def _drawn(self, reader: Samples) -> BatchPlan:
        """Windows of all episodes, the same each time: few batches are looked at."""
        size, seed = self.config.batch_size, self.config.seed
        return BatchPlan(len(reader), size, seed=seed, drop_last=False)

    @property
    def policy_path(self) -> Path:
        """Its newest checkpoint."""
        return self.out / POLICY_FILE

    def run(self, until: int | None = None) -> None:
        """Train to the last step, or to one before it.

        Raises:
            PolicyError: the loss is no finite number.
        """
        last = min(until or self.config.steps, self.config.steps)
        batches = self._batches()
        while self.step < last:
            measured = self._train_step(next(batches))
            self.step += 1
            if self.step % self.config.log_every == 0 or self.step == 1:
                self._tell(measured)
            if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
                self._validate()
            if self.step % self.config.save_every == 0 or self.step == last:
                self.save()
            every = self.config.rollouts_every
            if every and (self.step % every == 0 or self.step == self.config.steps):
                self._roll_out()

    def _batches(self) -> Iterator[dict[str, Tensor]]:
        while True:
            yield from self._loader

    def _train_step(self, batch: Mapping[str, Tensor]) -> dict[str, float]:
        config = self.config
        seeds = np.random.SeedSequence((config.seed, self.step, self._rank))
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        self._loss.train()
        rate = config.rate(self.step)
        set_rate(self._optimiser, rate)
        low = config.precision == "bfloat16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=low):
            loss = self._parallel(self._normalised(batch))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), config.clip)
        measured = {"loss": float(loss.detach()), "gradient": float(norm), "learning_rate": rate}
        if not norm.isfinite():
            raise PolicyError(
                f"loss {measured['loss']:g} and gradient {measured['gradient']:g} are not finite "
                f"in step {self.step}",
                where=str(self.out),
                remedy="take a lower learning rate, or look for odd numbers in the data",
            )
        self._optimiser.step()
        self._mean.update(self.step)
        return {f"train/{name}": value for name, value in measured.items()}

    def _normalised(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        moved = {k: v.to(self._device, non_blocking=True) for k, v in batch.items()}
        return self._normaliser.batch(moved)

    def _tell(self, measured: Mapping[str, float]) -> None:
        if self._rank == 0:
            self._report(self.step, measured)

    def _validate(self) -> None:
        """Errors of the mean weights; the best of them are kept."""
        if not self._validations or self._rank:
            return
        kept = {name: value.clone() for name, value in self._model.state_dict().items()}
        self._model.load_state_dict(self._mean.weights)
        self._model.eval()
        totals = [self._errors(*each) for each in self._validations.items()]
        self._model.load_state_dict(kept)
        if sum(totals) < self._best:
            self._best = sum(totals)
            self._save_policy(BEST_FILE)

    def _errors(self, name: str, loader: TorchLoader) -> float:
        """Tells the errors of a validation, and gives their sum."""
        loader.epoch = loader.batch = 0
        chosen = zip(range(self.config.validation_batches), loader, strict=False)
        errors = l1_by_part(
            (self._normalised(batch) for _, batch in chosen),
            self._model.predict,
            self._card.layout,
            self.config.seed,
        )
        total = sum(errors.values())
        parts = {f"{name}/l1/{part}": error for part, error in errors.items()}
        self._tell({f"{name}/l1": total, **parts})
        return total

    def _roll_out(self) -> None:
        """Lets the policy, as it is now, be tried."""
        if self._rollouts is None or self._rank:
            return
        self._save_policy(POLICY_FILE)
        reached = self._rollouts(self.policy_path)
        self._tell({f"rollout/{name}": value for name, value in reached.items()})

    def _save_policy(self, name: str) -> None:
        card = replace(self._card, steps=self.step)
        kind = getattr(torch, self.config.weights)
        weights = {
            name: value.to(kind) if value.is_floating_point() else value
            for name, value in self._mean.weights.items()
        }
        save_policy(self.out / name, self._model, weights, card)

    def save(self) -> None:
        """Write the policy, and the state that a stopped run goes on from."""
        if self._rank:
            return
        self._save_policy(POLICY_FILE)
        tensors = {
            **{f"model.{name}": v for name, v in self._model.state_dict().items()},
            **{f"mean.{name}": v for name, v in self._mean.weights.items()},
            **optimiser_tensors(self._optimiser, self._model),
        }
        write_tensors(self.out / STATE_FILE, tensors, self._header())

    def _header(self) -> dict[str, Any]:
        best = None if self._best == float("inf") else self._best
        return {
            "format": STATE_FORMAT,
            "version": STATE_VERSION,
            "step": self.step,
            "best": best,
            "loader": self._loader.state_dict(),
            "training": asdict(self.config),
            "policy": asdict(self._card.config),
            "corrections": asdict(self._card.origin) if self._card.origin else {},
        }

    def resume(self) -> None:
        """Go on from the state in the run's folder.

        Raises:
            PolicyError: there is none, it is damaged, or it is that of another run.
            DatasetError: it is that of other data.
        """
        path = self.out / STATE_FILE
        header, tensors = read_tensors(path, STATE_FORMAT, STATE_VERSION)
        # As JSON, in which tuples are lists.
        wanted = json.loads(json.dumps(self._header()))
        for section in ("policy", "training", "corrections"):
            found = header.get(section, {})
            for key, value in wanted[section].items():
                if key not in FREE and found.get(key) != value:
                    raise PolicyError(
                        f"is of a run with {section}.{key} {found.get(key)!r}, not {value!r}",
                        where=str(path),
                        remedy="give the run the settings it began with, or another folder",
                    )
        try:
            self._loader.load_state_dict(header["loader"])
            self._model.load_state_dict(_part(tensors, "model."))
            self._mean.load(_part(tensors, "mean."))
            restore_optimiser(self._optimiser, self._model, tensors)
            self.step = int(header["step"])
            self._best = float("inf") if header["best"] is None else float(header["best"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise damaged(path, " ".join(str(error).split())[:300]) from None


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
