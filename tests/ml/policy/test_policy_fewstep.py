"""The algebra of few steps: lines within windows, and samplers that an oracle makes exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import policy_batches as batches
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from brs_ml.policy.config import DiffusionConfig
from brs_ml.policy.diffusion import DiffusionPolicy
from brs_ml.policy.fewstep import ConsistencyLoss, ReflowLoss, aligned_loss
from brs_ml.policy.schedules import Line, SignalLevel, distilled_first_time, plan
from brs_ml.policy.training_config import DistillConfig

CONFIG = DiffusionConfig()
LEVEL = SignalLevel(CONFIG)
FIRST = distilled_first_time(CONFIG)


def test_distilled_policies_begin_where_ddim_does() -> None:
    first = plan(CONFIG)[0].step
    assert first == pytest.approx(100 * FIRST - 1)


def test_the_level_is_that_of_the_schedule() -> None:
    from diffusers import DDPMScheduler

    power = DDPMScheduler(100, beta_schedule="squaredcos_cap_v2").alphas_cumprod
    for step in (0, 17, 60, 99):
        angle = LEVEL.angle((step + 1) / 100)
        assert np.cos(angle) ** 2 == pytest.approx(float(power[step]), rel=1e-5)
    assert LEVEL.angle(0.0) == 0.0


@given(st.sampled_from([1, 2, 4, 8]), st.integers(0, 7), st.floats(0.0, 1.0))
def test_noise_and_velocity_say_the_same(windows: int, window: int, share: float) -> None:
    """Along the line, what noise says of the velocity is the velocity (round trip below 1e-6)."""
    end, start = FIRST * (window % windows) / windows, FIRST * (window % windows + 1) / windows
    line = Line.between(LEVEL, start, end)
    random = torch.Generator().manual_seed(window)
    first, last = torch.randn(2, 5, dtype=torch.double, generator=random)
    noise = line.noise(first, last)
    torch.testing.assert_close(line.scale * first + line.shift * noise, last, rtol=0, atol=1e-9)
    time = start + share * (end - start)
    keep, add = line.velocity_factors(time)
    x = torch.lerp(first, last, share)
    velocity = (last - first) / (end - start)
    torch.testing.assert_close(keep * x + add * noise, velocity, rtol=1e-6, atol=1e-6)


def test_a_line_is_a_step_of_ddim() -> None:
    """With one noise along the window, as DDIM has it between two of its steps."""
    action, noise = torch.randn(2, 4, dtype=torch.double)
    start, end = FIRST, FIRST / 2
    a, b = LEVEL.angle(start), LEVEL.angle(end)
    first, last = (np.cos(x) * action + np.sin(x) * noise for x in (a, b))
    torch.testing.assert_close(Line.between(LEVEL, start, end).noise(first, last), noise)


@pytest.mark.parametrize(("windows", "steps"), [(1, 1), (2, 2), (2, 4), (4, 4), (8, 8)])
def test_an_oracle_of_straight_ways_is_followed_exactly(windows: int, steps: int) -> None:
    """Each window's answer is its line's noise: the sampler ends where the last line ends."""
    config = DiffusionConfig(objective="reflow", windows=windows, sampling_steps=steps)
    random = torch.Generator().manual_seed(0)
    corners = torch.randn(windows + 1, 6, dtype=torch.double, generator=random)  # 0: the action
    x = corners[windows]
    told = plan(config)
    assert len(told) == steps
    for step in told:
        end, start = FIRST * step.window / windows, FIRST * (step.window + 1) / windows
        line = Line.between(LEVEL, start, end)
        x = step.next(x, line.noise(corners[step.window + 1], corners[step.window]))
    torch.testing.assert_close(x, corners[0], rtol=1e-6, atol=1e-6)


def test_each_window_is_told_at_its_start() -> None:
    config = DiffusionConfig(objective="reflow", windows=4, sampling_steps=4)
    told = plan(config)
    assert [step.window for step in told] == [3, 2, 1, 0]
    assert [step.step for step in told] == pytest.approx(
        [100 * FIRST * share - 1 for share in (1, 0.75, 0.5, 0.25)]
    )


def test_an_oracle_of_flow_arrives_in_one_step() -> None:
    action, noise = torch.randn(2, 6)
    x = noise
    for step in plan(DiffusionConfig(objective="flow", sampling_steps=3)):
        x = step.next(x, noise - action)
    torch.testing.assert_close(x, action)


def test_an_oracle_of_consistency_arrives() -> None:
    action, noise = torch.rand(6) * 2 - 1, torch.randn(6)
    angle = LEVEL.angle(FIRST)
    x = np.cos(angle) * action + np.sin(angle) * noise
    for step in plan(DiffusionConfig(objective="consistency", sampling_steps=2)):
        x = step.next(x, noise)
    torch.testing.assert_close(x, action, rtol=1e-4, atol=1e-4)


def test_direction_counts_as_much_as_it_is_told_to() -> None:
    velocity, wanted = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert aligned_loss(velocity, wanted, 0.0).item() == pytest.approx(4.0)
    assert aligned_loss(velocity, wanted, 1.0).item() == pytest.approx(1.0)
    assert aligned_loss(velocity, wanted, 0.1).item() == pytest.approx(0.9 * 4.0 + 0.1)
    assert aligned_loss(wanted, wanted, 0.3).item() == pytest.approx(0.0, abs=1e-6)


class _Steady(nn.Module):
    """A teacher whose data is one action: it knows the noise in any sample."""

    def __init__(self, action: Tensor) -> None:
        super().__init__()
        self.action = action

    def forward(self, x: Tensor, step: Tensor, told: Tensor, window: Any = None) -> Tensor:
        angle = LEVEL.angles((step + 1.0) / 100)[:, None, None]
        return (x - angle.cos() * self.action) / angle.sin()


def _pair(**diffusion: Any) -> tuple[DiffusionPolicy, DiffusionPolicy]:
    layout = batches.robot()
    student = DiffusionPolicy(batches.small(diffusion=DiffusionConfig(**diffusion)), layout)
    teacher = DiffusionPolicy(batches.small(), layout)
    for number, stage in enumerate(teacher.stages):
        action = torch.full((1, stage.stop - stage.start), 0.25)
        teacher.denoisers[number] = _Steady(action)
    return student, teacher


def test_the_teacher_leads_to_its_action() -> None:
    student, teacher = _pair(objective="reflow", windows=1, sampling_steps=1)
    loss = ReflowLoss(student, teacher, DistillConfig(solver_steps=3))
    clean = torch.full((4, 8, 3), 0.25)
    start, end = torch.full((4,), FIRST), torch.zeros(4)
    x = LEVEL.mixed(clean, torch.randn(4, 8, 3), start)
    found = loss.lead(0, x, start, end, torch.zeros(4, 8))
    torch.testing.assert_close(found, clean, rtol=1e-3, atol=1e-3)


class _Knows(nn.Module):
    """A student that answers with the noise of the one action, whatever window it is."""

    def __init__(self, action: float) -> None:
        super().__init__()
        self.action = action

    def forward(self, x: Tensor, step: Tensor, told: Tensor, window: Any = None) -> Tensor:
        # With one action all paths are straight between noise and it, in any window's terms.
        time = ((step + 1.0) / 100)[:, None, None]
        windows = window[:, None, None]
        out = torch.empty_like(x)
        for number in range(2):
            end, start = FIRST * number / 2, FIRST * (number + 1) / 2
            a, b = LEVEL.angle(start), LEVEL.angle(end)
            share = (time - start) / (end - start)
            signal = torch.lerp(torch.tensor(np.cos(a)), torch.tensor(np.cos(b)), share.double())
            noisy = torch.lerp(torch.tensor(np.sin(a)), torch.tensor(np.sin(b)), share.double())
            noise = (x - signal.float() * self.action) / noisy.float()
            out = torch.where(windows == number, noise, out)
        return out


def test_a_student_that_knows_has_nothing_to_learn() -> None:
    student, teacher = _pair(objective="reflow", windows=2, sampling_steps=2)
    loss = ReflowLoss(student, teacher, DistillConfig(solver_steps=2))
    clean, told = torch.full((16, 8, 3), 0.25), torch.zeros(16, 8)
    untaught = loss.stage_loss(0, clean, told).item()
    student.denoisers[0] = _Knows(0.25)
    assert loss.stage_loss(0, clean, told).item() < 1e-3 < untaught


def test_a_consistent_student_has_nothing_to_learn() -> None:
    student, teacher = _pair(objective="consistency", sampling_steps=2)
    loss = ConsistencyLoss(student, teacher, DistillConfig(solver_steps=1))
    clean, told = torch.full((16, 8, 3), 0.25), torch.zeros(16, 8)
    untaught = loss.stage_loss(0, clean, told).item()
    student.denoisers[0] = teacher.denoisers[0]
    assert loss.stage_loss(0, clean, told).item() < 1e-4 < untaught
