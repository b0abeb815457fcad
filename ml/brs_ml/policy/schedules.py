"""How much of an action is noise at which time, and how to step back from noise to action.

Schedules are diffusers'. Time t runs from 0 (action) to 1 (noise); step n of training, counted
from 0, is t = (n + 1) / train_steps.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from brs_ml.policy.config import DiffusionConfig
from brs_ml.policy.errors import PolicyError

_Array = TypeVar("_Array", Tensor, np.ndarray)


def _diffusers() -> Any:
    try:
        import diffusers
    except ImportError:
        raise PolicyError(
            "diffusion needs diffusers, which is not installed", remedy="pip install brs[ml]"
        ) from None
    return diffusers


def training_scheduler(config: DiffusionConfig) -> Any:
    """The DDPM scheduler that adds noise in training."""
    return _diffusers().DDPMScheduler(
        num_train_timesteps=config.train_steps,
        beta_schedule=config.schedule,
        prediction_type="epsilon",
        clip_sample=True,
    )


def sampling_scheduler(config: DiffusionConfig) -> Any:
    """The DDIM scheduler of inference, with its steps set."""
    scheduler = _diffusers().DDIMScheduler(
        num_train_timesteps=config.train_steps,
        beta_schedule=config.schedule,
        prediction_type="epsilon",
        clip_sample=True,
        set_alpha_to_one=True,
        steps_offset=0,
    )
    scheduler.set_timesteps(config.sampling_steps)
    return scheduler


class SignalLevel:
    """Share of the action's power in a noisy one, at any time.

    Args:
        config: the schedule. Between its steps the angle of signal and noise is interpolated.
    """

    def __init__(self, config: DiffusionConfig) -> None:
        power = training_scheduler(config).alphas_cumprod.double().numpy()
        self._angles = np.arccos(np.sqrt(np.concatenate([[1.0], power])))
        self._times = np.linspace(0.0, 1.0, len(self._angles))

    def angle(self, time: float) -> float:
        """Angle [rad]: its cosine is the signal's factor, its sine the noise's."""
        return float(np.interp(time, self._times, self._angles))

    def angles(self, time: Tensor) -> Tensor:
        """The same of (...) times."""
        found = np.interp(time.detach().cpu().numpy(), self._times, self._angles)
        return torch.from_numpy(np.asarray(found)).to(time)

    def mixed(self, actions: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """(b, ...) noisy actions at (b,) times."""
        angles = self.angles(time).view(-1, *(1,) * (actions.ndim - 1))
        return angles.cos() * actions + angles.sin() * noise


@dataclass(frozen=True)
class SamplerStep:
    """One step back: what the network is told, and what is done with its answer.

    With a `signal` the answer is noise: the action is what is left of it, within -1 and 1, and
    the next sample is mixed of both (DDIM). Without, the next sample is linear in sample and
    answer.
    """

    step: float  # time, in steps of training
    window: int
    keep: float  # factor of the action, or of the sample
    add: float  # factor of the answer
    signal: float | None = None  # factor of the action in the sample, in which `noise` is the
    noise: float = 0.0  # factor of the noise

    def next(self, sample: _Array, answer: _Array) -> _Array:
        """The next sample; of tensors or of numpy arrays."""
        if self.signal is not None:
            sample = ((sample - self.noise * answer) / self.signal).clip(-1.0, 1.0)
        return self.keep * sample + self.add * answer


def first_time(config: DiffusionConfig) -> float:
    """Where DDIM begins: later, hardly any signal would be left for the first step."""
    steps = config.train_steps // config.sampling_steps * (config.sampling_steps - 1)
    return (steps + 1) / config.train_steps


def plan(config: DiffusionConfig) -> list[SamplerStep]:
    """The steps from noise to action."""
    makers = {
        "epsilon": _ddim,
        "consistency": _consistency,
        "flow": _euler,
        "reflow": _reflow,
    }
    return makers[config.objective](config)


def levels_after(config: DiffusionConfig) -> list[tuple[float, float]]:
    """Share of signal and of noise in a path after each step of `plan`; the last is all signal."""
    count = config.sampling_steps
    if config.objective == "flow":
        signals = np.linspace(0.0, 1.0, count + 1)[1:].tolist()
        return [(signal, 1.0 - signal) for signal in signals]
    if config.objective == "reflow":
        level = SignalLevel(config)
        angles = [level.angle(t) for t in np.linspace(distilled_first_time(config), 0, count + 1)]
        return [(float(np.cos(angle)), float(np.sin(angle))) for angle in angles[1:]]
    return [(step.keep, step.add) for step in plan(config)]


def _ddim(config: DiffusionConfig) -> list[SamplerStep]:
    scheduler = sampling_scheduler(config)
    power = scheduler.alphas_cumprod.double().numpy()
    back = config.train_steps // config.sampling_steps
    steps = []
    for step in (int(step) for step in scheduler.timesteps):
        after = power[step - back] if step >= back else float(scheduler.final_alpha_cumprod)
        steps.append(_mixing(step, 0, np.sqrt(power[step]), np.sqrt(after)))
    return steps


def _mixing(step: float, window: int, signal: float, after: float) -> SamplerStep:
    noise, noise_after = np.sqrt(1.0 - signal**2), np.sqrt(max(1.0 - after**2, 0.0))
    return SamplerStep(step, window, float(after), float(noise_after), float(signal), float(noise))


def _euler(config: DiffusionConfig) -> list[SamplerStep]:
    count = config.sampling_steps
    return [
        SamplerStep(config.train_steps * (1.0 - i / count) - 1.0, 0, 1.0, -1.0 / count)
        for i in range(count)
    ]


def distilled_first_time(config: DiffusionConfig) -> float:
    """Where distilled policies begin: as a teacher of the default number of steps does."""
    teacher = DiffusionConfig(train_steps=config.train_steps, schedule=config.schedule)
    return first_time(teacher)


def _consistency(config: DiffusionConfig) -> list[SamplerStep]:
    level, count = SignalLevel(config), config.sampling_steps
    times = np.linspace(distilled_first_time(config), 0.0, count + 1)
    signals = [float(np.cos(level.angle(time))) for time in times]
    return [
        _mixing(config.train_steps * time - 1.0, 0, signal, after)
        for time, signal, after in zip(times, signals, signals[1:], strict=False)
    ]


def _reflow(config: DiffusionConfig) -> list[SamplerStep]:
    level, count = SignalLevel(config), config.sampling_steps
    times = np.linspace(distilled_first_time(config), 0.0, count + 1)
    each = count // config.windows
    steps = []
    for i, (time, after) in enumerate(itertools.pairwise(times)):
        window = i // each
        start, end = float(times[window * each]), float(times[(window + 1) * each])
        line = Line.between(level, start, end)
        keep, add = line.velocity_factors(time)
        dt = after - time
        steps.append(
            SamplerStep(
                config.train_steps * float(time) - 1.0,
                config.windows - 1 - window,
                float(1.0 + dt * keep),
                float(dt * add),
            )
        )
    return steps


@dataclass(frozen=True)
class Line:
    """A straight path of a sample through a window of time, named by the noise it seems to hold.

    DDIM with noise e leads from the sample at `start` to `scale` * sample + `shift` * e at `end`.
    A network that told noise can so be taught velocities and keep what it knows (PeRFlow).
    """

    start: float
    end: float
    scale: float
    shift: float

    @classmethod
    def between(cls, level: SignalLevel, start: float, end: float) -> Line:
        """The line of a window whose noise is as that of the schedule."""
        first, last = level.angle(start), level.angle(end)
        scale = np.cos(last) / np.cos(first)
        return cls(start, end, float(scale), float(np.sin(last) - scale * np.sin(first)))

    def velocity_factors(self, time: float | Tensor) -> tuple[Any, Any]:
        """Factors of sample and noise in the velocity, of a sample on the line at `time`."""
        whole = (self.end - self.start) + (self.scale - 1.0) * (time - self.start)
        return (self.scale - 1.0) / whole, self.shift / whole

    def noise(self, first: Tensor, last: Tensor) -> Tensor:
        """The noise that leads from one end to the other."""
        return (last - self.scale * first) / self.shift
