"""What every policy network can do: learn from a batch, and predict a chunk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.config import PolicyConfig
from brs_ml.policy.errors import PolicyError

Batch = Mapping[str, Tensor]


class PolicyModel(nn.Module, ABC):
    """A network; batches are those of the loader, normalised.

    Args:
        config: what it is made of.
        layout: the robot.
        cameras: whose pictures are in the data.

    Raises:
        PolicyError: it needs pictures and there are none.
    """

    def __init__(self, config: PolicyConfig, layout: RobotLayout, cameras: Sequence[str]) -> None:
        super().__init__()
        self.config, self.layout, self.cameras = config, layout, tuple(cameras)
        if config.vision == "images" and not cameras:
            raise PolicyError(
                "this policy sees pictures, and there are none",
                remedy="build the data set with pictures, or take a policy that sees clouds",
            )

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """() what training lowers; noise is drawn from torch's generator.

        Args:
            batch: proprioception (b, T_o, d), cloud or pictures, action (b, T_a, d) and
                action_mask (b, T_a) bool; with `config.every_observation` action is
                (b, T_o, T_a, d) and the mask (b, T_o, T_a).
        """

    @abstractmethod
    def predict(self, batch: Batch, noise: Tensor) -> Tensor:
        """(b, T_a, d) normalised actions of observations and (b, T_a, d) normal noise."""

    def decayed(self) -> Iterator[nn.Parameter]:
        """Weights that are drawn to zero in training."""
        return (p for p in self.parameters() if p.ndim >= 2)

    @property
    def features(self) -> list[str]:
        """Of a data set that it reads besides its columns."""
        if self.config.vision == "cloud":
            return ["cloud"]
        return [f"image.{camera}" for camera in self.cameras]


def build_model(
    config: PolicyConfig, layout: RobotLayout, cameras: Sequence[str] = ()
) -> PolicyModel:
    """The network that a configuration describes; raises PolicyError like `PolicyModel`."""
    from brs_ml.policy.act import ActPolicy
    from brs_ml.policy.diffusion import DiffusionPolicy

    models: dict[str, type[PolicyModel]] = {"diffusion": DiffusionPolicy, "act": ActPolicy}
    return models[config.kind](config, layout, cameras)
