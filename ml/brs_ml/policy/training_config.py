"""How a policy is trained; the defaults are BRS's recipe, but for the mean of the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from brs_ml.dataset.augment import AugmentConfig
from brs_ml.policy.config import PolicyConfig

PRECISIONS = ("float32", "bfloat16")
STORED = ("float32", "float16")


@dataclass(frozen=True)
class TrainConfig:
    """A training run."""

    steps: int = 300_000
    batch_size: int = 256  # of each process
    learning_rate: float = 7e-4
    edge_rate: float = 5e-6  # learning rate at the start and at the end
    warm_up: int = 1000  # steps
    weight_decay: float = 0.1
    clip: float = 1.0  # norm of all gradients
    # The policy's weights are a mean over training, of which each step keeps so much; 0: the last.
    average: float = 0.999
    seed: int = 0
    precision: str = "float32"  # or bfloat16, where it is faster: on a GPU
    weights: str = "float32"  # as the policy is stored; float16 takes half the space
    workers: int = 0  # processes that read data
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)
    validate_every: int = 2000  # steps
    validation_batches: int = 8  # at most
    save_every: int = 2000  # steps
    log_every: int = 50  # steps
    rollouts_every: int = 0  # steps between trials of the policy, if there is one to hold them

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "validate_every", "validation_batches")
        for name in (*counts, "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"'{name}' must be positive")
        for name in ("learning_rate", "edge_rate", "clip"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"'{name}' must be positive")
        for name in ("warm_up", "workers", "weight_decay", "rollouts_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"'{name}' must not be negative")
        if not 0.0 <= self.average < 1.0:
            raise ValueError("'average' must lie within 0 and 1")
        if self.precision not in PRECISIONS:
            raise ValueError(f"'precision' must be one of {', '.join(PRECISIONS)}")
        if self.weights not in STORED:
            raise ValueError(f"'weights' must be one of {', '.join(STORED)}")

    def rate(self, step: int) -> float:
        """Learning rate of a step: a ramp up, then half a cosine down."""
        if step < self.warm_up:
            return self.edge_rate + (self.learning_rate - self.edge_rate) * step / self.warm_up
        share = (step - self.warm_up) / max(self.steps - self.warm_up, 1)
        swing = (1.0 + math.cos(math.pi * min(share, 1.0))) / 2.0
        return self.edge_rate + (self.learning_rate - self.edge_rate) * swing


@dataclass(frozen=True)
class DistillConfig:
    """How a policy of few steps learns from one of many (see `fewstep`)."""

    teacher: str = ""  # checkpoint; empty: learn from the data alone
    student: str = ""  # checkpoint to begin with, e.g. of more windows; empty: the teacher
    solver_steps: int = 4  # of the teacher through a window
    alignment: float = 0.1  # weight of the velocity's direction, against that of its error


@dataclass(frozen=True)
class CorrectionConfig:
    """How a policy learns from people who took over from it (see `corrections`)."""

    data: str = ""  # data set of such episodes; empty: no corrections
    checkpoint: str = ""  # the policy that is corrected
    share: float = 0.5  # of the windows that are seen

    def __post_init__(self) -> None:
        if bool(self.data) != bool(self.checkpoint):
            raise ValueError("'data' and 'checkpoint' need each other: from=, corrections=")
        if not 0.0 < self.share < 1.0:
            raise ValueError("'share' must lie between 0 and 1")


@dataclass(frozen=True)
class RunConfig:
    """config/policy/*.yaml."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    training: TrainConfig = TrainConfig()
    distillation: DistillConfig = DistillConfig()
    corrections: CorrectionConfig = CorrectionConfig()

    def __post_init__(self) -> None:
        if self.corrections.data and self.distillation.teacher:
            raise ValueError("a policy learns from corrections or from a teacher, not from both")
