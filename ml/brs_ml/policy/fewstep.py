"""Policies of few steps, learnt from one of many.

Reflow (ProReflow, after PeRFlow): time is cut into windows. In each the teacher leads a noisy
action from the window's start to its end, and the student learns the straight way between them,
so that it needs but one step for each window. Of many windows one gets to few by runs that begin
with the student of the run before: 8, 4, 2. Besides the velocity's error its direction counts
(aligned v-prediction).

Consistency: the student says at any time where the path ends, and learns to say it of a point on
the teacher's path what it says, without being taught, of the point before.

Stages are taught with the true paths of those before them, as the teacher was; the encoder is
the teacher's and stays as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.checkpoint import check_robot, difference, load_policy
from brs_ml.policy.config import PolicyConfig
from brs_ml.policy.diffusion import DiffusionPolicy
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.model import PolicyModel, build_model
from brs_ml.policy.schedules import Line, SignalLevel, distilled_first_time
from brs_ml.policy.training_config import DistillConfig


def distilled(
    config: PolicyConfig, distillation: DistillConfig, layout: RobotLayout
) -> tuple[PolicyModel, nn.Module]:
    """A student as it begins, and what it lowers.

    Raises:
        PolicyError: no such checkpoint, or networks that differ in more than their steps.
    """
    teacher = _loaded(distillation.teacher, config, layout)
    if teacher.config.diffusion.objective != "epsilon":
        raise PolicyError(
            f"was trained with '{teacher.config.diffusion.objective}'",
            where=distillation.teacher,
            remedy="a teacher must be of objective epsilon",
        )
    begin = teacher
    if distillation.student:
        begin = _loaded(distillation.student, config, layout)
    student = build_model(config, layout, teacher.cameras)
    assert isinstance(student, DiffusionPolicy)
    # Windows are known by their number, which means another time in each run.
    known = {k: v for k, v in begin.state_dict().items() if ".step.window." not in k}
    student.load_state_dict({**student.state_dict(), **known})
    student.encoder.requires_grad_(False)
    losses: Mapping[str, type[_Distillation]] = {
        "reflow": ReflowLoss,
        "consistency": ConsistencyLoss,
    }
    objective = config.diffusion.objective
    if objective not in losses:
        raise PolicyError(
            f"'{objective}' needs no teacher",
            remedy=f"policy.diffusion.objective must be {' or '.join(losses)}",
        )
    return student, losses[objective](student, teacher, distillation)


def _loaded(path: str, config: PolicyConfig, layout: RobotLayout) -> DiffusionPolicy:
    model, card = load_policy(Path(path))
    check_robot(card, layout, path)
    alike = replace(config, diffusion=card.config.diffusion)
    if differs := difference(card.config, alike) or (
        "it is no diffusion policy" if not isinstance(model, DiffusionPolicy) else ""
    ):
        raise PolicyError(
            f"cannot teach this policy: {differs}", where=path, remedy="give it the same network"
        )
    assert isinstance(model, DiffusionPolicy)
    return model


class _Distillation(nn.Module, ABC):
    """What both ways of teaching share."""

    def __init__(
        self, model: DiffusionPolicy, teacher: DiffusionPolicy, config: DistillConfig
    ) -> None:
        super().__init__()
        self.model = model
        self.teacher = teacher.requires_grad_(False)
        self.distillation = config
        self.level = SignalLevel(model.config.diffusion)
        self.first = distilled_first_time(model.config.diffusion)

    def train(self, mode: bool = True) -> _Distillation:
        """The encoder is not trained, so it drops nothing out; nor does the teacher."""
        super().train(mode)
        self.model.encoder.eval()
        self.teacher.eval()
        return self

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """() of a normalised batch: the mean over stages, weighted by their numbers."""
        with torch.no_grad():
            readout = self.model.encoder(batch).flatten(0, 1)
        action = batch["action"].reshape(-1, *batch["action"].shape[-2:])
        total = torch.zeros((), device=action.device)
        for number, stage in enumerate(self.model.stages):
            told = self.model.condition(stage, readout, action)
            share = (stage.stop - stage.start) / self.model.layout.size
            total = total + share * self.stage_loss(number, action[..., stage], told)
        return total

    @abstractmethod
    def stage_loss(self, stage: int, clean: Tensor, told: Tensor) -> Tensor:
        """() of a stage's true paths (n, T_a, size), told (n, c)."""

    def steps(self, time: Tensor) -> Tensor:
        """Times as networks are told them."""
        return time * self.model.config.diffusion.train_steps - 1.0

    def lead(self, stage: int, x: Tensor, start: Tensor, end: Tensor, told: Tensor) -> Tensor:
        """Where the teacher leads (n, T_a, size) from (n,) times to (n,) times."""
        count = self.distillation.solver_steps
        for i in range(count):
            now, then = (torch.lerp(start, end, (i + k) / count) for k in (0, 1))
            noise = self.teacher.denoisers[stage](x, self.steps(now), told)
            x = self.stepped(x, noise, now, then)
        return x

    def stepped(self, x: Tensor, noise: Tensor, now: Tensor, then: Tensor) -> Tensor:
        """A DDIM step of (n, T_a, size) between (n,) times."""
        a, b = (self.level.angles(time)[:, None, None] for time in (now, then))
        action = ((x - a.sin() * noise) / a.cos()).clamp(-1.0, 1.0)
        return b.cos() * action + b.sin() * noise


class ReflowLoss(_Distillation):
    """Straight ways within windows."""

    def stage_loss(self, stage: int, clean: Tensor, told: Tensor) -> Tensor:
        """See `_Distillation.stage_loss`."""
        windows = self.model.config.diffusion.windows
        count = len(clean)
        window = torch.randint(windows, (count,), device=clean.device)
        end, start = self.first * window / windows, self.first * (window + 1) / windows
        with torch.no_grad():
            first = self.level.mixed(clean, torch.randn_like(clean), start)
            last = self.lead(stage, first, start, end, told)
        time = torch.lerp(start, end, torch.rand(count, device=clean.device))
        share = ((time - start) / (end - start))[:, None, None]
        x = torch.lerp(first, last, share)
        wanted = (last - first) / (end - start)[:, None, None]
        answer = self.model.denoisers[stage](x, self.steps(time), told, window)
        keep, add = self._factors(window, windows, time)
        return aligned_loss(keep * x + add * answer, wanted, self.distillation.alignment)

    def _factors(self, window: Tensor, windows: int, time: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of sample and answer in the velocity; (n, 1, 1) each."""
        keep, add = torch.empty_like(time), torch.empty_like(time)
        for number in range(windows):
            end, start = self.first * number / windows, self.first * (number + 1) / windows
            line = Line.between(self.level, start, end)
            here = window == number
            keep[here], add[here] = line.velocity_factors(time[here])
        return keep[:, None, None], add[:, None, None]


def aligned_loss(velocity: Tensor, wanted: Tensor, alignment: float) -> Tensor:
    """() mean squared error, and how far the directions are apart, of (n, ...) velocities."""
    error = (velocity - wanted).square().mean()
    cosine = functional.cosine_similarity(velocity.flatten(1), wanted.flatten(1), dim=1)
    return (1.0 - alignment) * error + alignment * (1.0 - cosine).mean()


class ConsistencyLoss(_Distillation):
    """The same end from neighbouring points of a path."""

    def stage_loss(self, stage: int, clean: Tensor, told: Tensor) -> Tensor:
        """See `_Distillation.stage_loss`."""
        steps = self.model.config.diffusion.train_steps
        count = len(clean)
        net = self.model.denoisers[stage]
        gap = self.first / self.teacher.config.diffusion.sampling_steps
        time = gap + (self.first - gap) * torch.rand(count, device=clean.device)
        before = (time - gap).clamp(min=1.0 / steps)
        with torch.no_grad():
            x = self.level.mixed(clean, torch.randn_like(clean), time)
            earlier = self.lead(stage, x, time, before, told)
            wanted = self._end(net, earlier, before, told)
        return (self._end(net, x, time, told) - wanted).square().mean()

    def _end(self, net: nn.Module, x: Tensor, time: Tensor, told: Tensor) -> Tensor:
        angle = self.level.angles(time)[:, None, None]
        end: Tensor = (x - angle.sin() * net(x, self.steps(time), told)) / angle.cos()
        return end.clamp(-1.0, 1.0)
