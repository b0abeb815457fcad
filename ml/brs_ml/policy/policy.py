"""One interface for all policies: observations in, a chunk of actions out, in robot units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from brs_ml.dataset.augment import crop_images
from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.checkpoint import PolicyCard, check_robot, load_policy
from brs_ml.policy.diffusion import DiffusionPolicy
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.model import PolicyModel
from brs_ml.policy.normalisation import Normaliser
from brs_ml.policy.observation import Chunk, Committed, Observation

__all__ = ["Chunk", "Observation", "Policy"]


class Policy:
    """A trained policy.

    Args:
        model: the network.
        card: what it was trained as.
        device: that it runs on.

    Attributes:
        card: as given.
    """

    def __init__(
        self, model: PolicyModel, card: PolicyCard, device: torch.device | str = "cpu"
    ) -> None:
        self.card = card
        self._device = torch.device(device)
        self._model = model.to(self._device).eval()
        self._normaliser = Normaliser(card.normalisation).to(self._device)
        self._fast = self._model.fast() if isinstance(self._model, DiffusionPolicy) else None

    @classmethod
    def load(
        cls, path: str | Path, layout: RobotLayout, device: torch.device | str = "cpu"
    ) -> Policy:
        """A policy from a checkpoint, for this robot.

        Raises:
            PolicyError: the file cannot be used, or was trained for another robot.
        """
        model, card = load_policy(path)
        check_robot(card, layout, str(path))
        return cls(model, card, device)

    @property
    def inpaints(self) -> bool:
        """Whether chunks can be made to agree with what is committed."""
        return self._fast is not None

    def reset(self) -> None:
        """A new episode begins; its stamps may be those of another."""
        if self._fast is not None:
            self._fast.forget()

    def chunk(
        self, observation: Observation, noise: np.ndarray, committed: Committed | None = None
    ) -> Chunk:
        """What to do next.

        Args:
            observation: T_o steps.
            noise: (T_a, d) normal; the chunk hangs on nothing else.
            committed: what it must agree with; for `inpaints` policies only.

        Raises:
            ValueError: the observation is not what this policy was trained to see.
            PolicyError: an action is no finite number.
        """
        batch = self._normaliser.batch(self._batch(observation))
        start = torch.as_tensor(noise, dtype=torch.float32, device=self._device)[None]
        if self._fast is not None:
            known = None if committed is None else self._known(committed)
            actions = self._fast(batch, start, observation.stamps_ns, known)
        elif committed is not None:
            raise ValueError("this policy cannot make its chunk agree with what is committed")
        else:
            actions = self._model.predict(batch, start)
        found = self._normaliser.actions(actions)[0].double().cpu().numpy()
        if not np.isfinite(found).all():
            raise PolicyError("predicts no finite actions", remedy="train it again")
        period_s = 1.0 / self.card.data.rate_hz
        return Chunk(found, period_s, observation.stamps_ns[-1])

    def _known(self, committed: Committed) -> tuple[Tensor, Tensor]:
        actions = torch.as_tensor(committed.actions, dtype=torch.float32, device=self._device)
        known = torch.as_tensor(committed.known, dtype=torch.float32, device=self._device)
        return self._normaliser.numbers(actions), known

    def _batch(self, observation: Observation) -> dict[str, Tensor]:
        config, size = self.card.config, self.card.layout.size
        values = {"proprioception": np.asarray(observation.proprioception, np.float32)}
        shape = values["proprioception"].shape
        if shape != (config.observations, size):
            raise ValueError(f"proprioception has shape {shape}, not {config.observations, size}")
        if len(observation.stamps_ns) != config.observations:
            raise ValueError("each observation needs a stamp")
        for key in self._model.features:
            values[key] = self._seen(observation, key)
            if len(values[key]) != config.observations:
                raise ValueError(f"{key} has {len(values[key])} steps, not {config.observations}")
        if not all(np.isfinite(value).all() for value in values.values()):
            raise ValueError("an observation has a number that is not finite")
        return {k: torch.from_numpy(v)[None].to(self._device) for k, v in values.items()}

    def _seen(self, observation: Observation, key: str) -> np.ndarray:
        if key == "cloud":
            if observation.cloud is None or observation.cloud.shape[2:] != (6,):
                raise ValueError("this policy needs clouds of 6 numbers a point")
            return _thinned(observation.cloud, self.card.config.cloud_points)
        camera = key.removeprefix("image.")
        if camera not in observation.images:
            raise ValueError(f"this policy needs pictures of camera '{camera}'")
        images = observation.images[camera]
        if self.card.image_crop:
            images = crop_images(None, images, self.card.image_crop)
        return np.array(images)


def _thinned(cloud: np.ndarray, points: int | None) -> np.ndarray:
    """At most so many points, evenly of those there are."""
    if points is not None and points < cloud.shape[1]:
        chosen = np.linspace(0, cloud.shape[1] - 1, points).round().astype(int)
        cloud = cloud[:, chosen]
    return np.array(cloud, dtype=np.float32)
