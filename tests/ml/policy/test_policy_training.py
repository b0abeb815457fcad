"""A training run learns, goes on as if never stopped, and keeps a mean of its weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import policy_batches as batches
import pytest
import tiny_data
import torch
from safetensors.torch import load_file

from brs_ml.dataset.augment import AugmentConfig
from brs_ml.policy.checkpoint import load_policy
from brs_ml.policy.config import (
    ActConfig,
    DiffusionConfig,
    NormalisationConfig,
    PointNetConfig,
    PolicyConfig,
    TransformerConfig,
    UNetConfig,
)
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.model import build_model
from brs_ml.policy.optimiser import MeanWeights
from brs_ml.policy.run import make_trainer, train
from brs_ml.policy.trainer import POLICY_FILE, STATE_FILE, Trainer
from brs_ml.policy.training_config import DistillConfig, RunConfig, TrainConfig
from brs_ml.policy.validation import l1_by_part

WHOLE = (("base", "torso", "left_arm", "left_gripper", "right_arm", "right_gripper"),)
RECIPE = TrainConfig(
    steps=12,
    batch_size=8,
    learning_rate=5e-3,
    warm_up=5,
    average=0.9,
    validate_every=6,
    save_every=6,
    log_every=10,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.make(tmp_path_factory.mktemp("tiny"))[0]


class Log:
    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def __call__(self, step: int, measured: Mapping[str, float]) -> None:
        self.rows.append((step, dict(measured)))

    def column(self, name: str) -> list[float]:
        return [row[name] for _, row in self.rows if name in row]


def trainer(data: Path, out: Path, log: Log | None = None, **changes: Any) -> Trainer:
    policy = changes.pop("policy", batches.small())
    recipe = replace(RECIPE, **changes)
    return make_trainer(RunConfig(policy, recipe), data, batches.robot(), out, log or Log())


def act() -> ActConfig:
    return ActConfig(
        32, heads=2, feed_forward=32, encoder_layers=1, dropout=0.0, latent=4, kl_weight=0.1
    )


def learner(**changes: Any) -> PolicyConfig:
    """Wide enough to learn in a few steps."""
    values: dict[str, Any] = {
        "width": 32,
        "proprioception_hidden": (32,),
        "fusion_hidden": (64,),
        "pointnet": PointNetConfig(hidden=(16,)),
        "transformer": TransformerConfig(1, heads=2, feed_forward=32, dropout=0.0, positions=8),
        "unet": UNetConfig(widths=(16, 32), kernel=3, groups=4, step_features=16),
        **changes,
    }
    return batches.small(**values)


POLICIES = {
    "wbvma": learner(),
    "flow": learner(diffusion=DiffusionConfig(objective="flow", sampling_steps=4)),
    "no_autoregression": learner(autoregressive=False, fusion="concatenation"),
    "dp3": learner(
        fusion="concatenation",
        stages=WHOLE,
        pointnet=PointNetConfig(hidden=(16,), colors=False),
    ),
    "act": learner(kind="act", act=act(), actions=10),
}


@pytest.mark.parametrize("name", POLICIES)
def test_training_lowers_loss_and_errors(name: str, data: Path, tmp_path: Path) -> None:
    log = Log()
    steps = 90 if name == "dp3" else 45  # without colours, and all numbers at once
    changes: dict[str, Any] = {"steps": steps, "log_every": 1, "validate_every": 15}
    run = trainer(data, tmp_path, log, policy=POLICIES[name], **changes)
    run.run()
    losses = log.column("train/loss")
    assert np.mean(losses[-15:]) < 0.95 * np.mean(losses[:15])
    first, *_, last = log.column("val/l1")
    assert last < first
    assert (tmp_path / POLICY_FILE).is_file()


@pytest.mark.parametrize("kind", ["diffusion", "act"])
def test_policies_of_pictures_learn(kind: str, data: Path, tmp_path: Path) -> None:
    policy = learner(kind=kind, vision="images", fusion="concatenation", stages=WHOLE, act=act())
    log = Log()
    changes: dict[str, Any] = {
        "augmentation": AugmentConfig(crop=0.1),
        "learning_rate": 2e-3,
    }
    run = trainer(data, tmp_path, log, policy=policy, steps=24, log_every=1, **changes)
    run.run()
    losses = log.column("train/loss")
    assert np.mean(losses[-6:]) < np.mean(losses[:6])


def test_a_stopped_run_goes_on_bit_for_bit(data: Path, tmp_path: Path) -> None:
    """Dropout, noise, shuffling, augmentation, moments and means are those of one run."""
    changes: dict[str, Any] = {"augmentation": AugmentConfig(cloud_jitter_m=0.01)}
    whole = trainer(data, tmp_path / "whole", **changes)
    whole.run()
    trainer(data, tmp_path / "parts", **changes).run(until=7)
    torch.manual_seed(99)  # whatever happened in between
    rest = trainer(data, tmp_path / "parts", **changes)
    rest.resume()
    assert rest.step == 7
    rest.run()
    for name in (POLICY_FILE, STATE_FILE, "best.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_seed_decides_all(data: Path, tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run = trainer(data, tmp_path / name, seed=seed, steps=3)
        run.run()
        found.append(torch.cat([p.detach().flatten() for p in run._model.parameters()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_run_goes_on_only_with_the_settings_it_began_with(data: Path, tmp_path: Path) -> None:
    trainer(data, tmp_path).run(until=2)
    trainer(data, tmp_path, workers=0, log_every=7).resume()
    with pytest.raises(PolicyError, match=r"training.learning_rate 0.005, not 0.001"):
        trainer(data, tmp_path, learning_rate=1e-3).resume()
    with pytest.raises(PolicyError, match=r"policy.actions 8, not 16"):
        trainer(data, tmp_path, policy=batches.small(actions=16)).resume()
    with pytest.raises(PolicyError, match="has a run already"):
        train(RunConfig(batches.small(), RECIPE), data, batches.robot(), tmp_path, Log())


def test_policies_may_be_stored_in_half_the_space(data: Path, tmp_path: Path) -> None:
    """And drive as well; the run itself goes on with what it had."""
    sizes, weights, states = [], [], []
    for kind in ("float32", "float16"):
        run = trainer(data, tmp_path / kind, steps=3, weights=kind)
        run.run()
        sizes.append(run.policy_path.stat().st_size)
        weights.append(load_policy(run.policy_path)[0].state_dict())
        states.append(load_file(run.out / STATE_FILE))
    bulk = 4 * sum(value.numel() for value in weights[0].values())
    assert sizes[1] == pytest.approx(sizes[0] - bulk / 2, rel=0.02)
    for name, value in weights[0].items():
        assert weights[1][name].dtype == torch.float32
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-6)
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())


def test_errors_are_those_of_the_same_windows_from_all_over(data: Path, tmp_path: Path) -> None:
    log = Log()
    run = trainer(data, tmp_path, log, batch_size=4, validation_batches=2)
    loader = run._validations["val"]
    seen = np.concatenate([batch["window"].numpy() for batch in itertools.islice(loader, 2)])
    assert seen.max() - seen.min() > len(loader) * 4 / 2  # not the first eight
    for _ in range(2):
        run._validate()
    first, second = log.column("val/l1")
    assert first == second


def test_a_run_that_bursts_says_so(data: Path, tmp_path: Path) -> None:
    run = trainer(data, tmp_path)
    with torch.no_grad():
        next(run._model.parameters())[0] = float("nan")
    with pytest.raises(PolicyError, match="not finite in step 0"):
        run.run()


def test_data_without_what_a_policy_sees_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="the data set has base_0"):
        make_trainer(
            RunConfig(batches.small(), RECIPE), data, batches.robot("r1_pro", 7), tmp_path, Log()
        )


def test_the_mean_of_weights_follows_them() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    mean = MeanWeights(model, keep=0.9)
    expected = model.weight.item()
    for step in range(200):
        with torch.no_grad():
            model.weight.fill_(float(step))
        mean.update(step)
        keep = min(0.9, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * step
    assert float(mean.weights["weight"]) == pytest.approx(expected, rel=1e-5)
    last = MeanWeights(model, keep=0.0)
    with torch.no_grad():
        model.weight.fill_(7.0)
    last.update(0)
    assert float(last.weights["weight"]) == 7.0


def test_the_learning_rate_is_a_ramp_and_half_a_cosine() -> None:
    config = TrainConfig()
    rates = [config.rate(step) for step in (0, 500, 1000, 150_500, 300_000)]
    middle = (7e-4 + 5e-6) / 2
    assert rates == pytest.approx([5e-6, middle, 7e-4, middle, 5e-6], rel=1e-9)
    falling = [config.rate(step) for step in range(1000, 300_001, 1000)]
    assert falling == sorted(falling, reverse=True)


def test_errors_are_counted_part_by_part() -> None:
    layout = batches.robot()
    action = torch.zeros(2, 2, 8, 21)  # a chunk of each observation; the newest counts
    action[:, 0] = 99.0
    mask = torch.ones(2, 2, 8, dtype=torch.bool)
    mask[1, 1, 4:] = False

    def predict(batch: Any, noise: torch.Tensor) -> torch.Tensor:
        wrong = torch.zeros(2, 8, 21)
        wrong[..., :3] = 0.5
        wrong[..., 13] = 1.0
        wrong[1, 4:] = 77.0  # not there, so never counted
        return wrong

    found = l1_by_part([{"action": action, "action_mask": mask}], predict, layout, seed=0)
    assert found == pytest.approx(
        {
            "base": 3 * 0.5 * 8,
            "torso": 0,
            "left_arm": 0,
            "left_gripper": 1.0 * 8,
            "right_arm": 0,
            "right_gripper": 0,
        }
    )


def test_two_processes_train_one_policy(data: Path, tmp_path: Path) -> None:
    """Under torchrun both end with equal weights, and the first one alone writes."""
    import subprocess
    import sys

    script = tmp_path / "both.py"
    script.write_text(
        "import os, sys, torch\n"
        "from pathlib import Path\n"
        f"sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[3] / 'ml')]!r}\n"
        "torch.set_num_threads(1)\n"
        "import policy_batches as batches\n"
        "from brs_ml.policy.run import _processes, make_trainer\n"
        "from brs_ml.policy.training_config import RunConfig, TrainConfig\n"
        "out = Path(sys.argv[2])\n"
        "config = RunConfig(batches.small(), TrainConfig(steps=3, batch_size=8, warm_up=1))\n"
        "with _processes() as device:\n"
        "    run = make_trainer(config, Path(sys.argv[1]), batches.robot(), out,\n"
        "                       lambda step, row: None, device)\n"
        "    run.run()\n"
        "    weights = [p.detach().flatten() for p in run._model.parameters()]\n"
        "    torch.save(torch.cat(weights), f\"{sys.argv[2]}.{os.environ['RANK']}\")\n"
    )
    out = tmp_path / "out"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*launch, str(script), str(data), str(out)], check=True, timeout=110)
    both = [torch.load(f"{out}.{rank}", weights_only=True) for rank in (0, 1)]
    assert torch.equal(*both)
    assert (out / POLICY_FILE).is_file()


def test_every_setting_of_normalisation_reaches_the_network(data: Path, tmp_path: Path) -> None:
    """Joints by what they did are spread wider than joints by their limits."""
    spread = []
    for joints in ("limits", "data"):
        policy = batches.small(normalisation=NormalisationConfig(joints=joints))
        run = trainer(data, tmp_path / joints, policy=policy)
        batch = run._normalised(next(run._batches()))
        spread.append(float(batch["action"][..., 3:7].std()))
        assert batch["action"].abs().max() <= 1.0
    assert spread[1] > 1.05 * spread[0]
    unseen = NormalisationConfig(unseen=("base",))
    run = trainer(data, tmp_path / "unseen", policy=batches.small(normalisation=unseen))
    told = run._normalised(next(run._batches()))["proprioception"]
    assert not told[..., :3].any() and told[..., 3:].any()
    with pytest.raises(ValueError, match="part 'legs' is none of base"):
        NormalisationConfig(unseen=("legs",))


def test_reflow_and_consistency_learn_from_a_teacher(data: Path, tmp_path: Path) -> None:
    teacher = trainer(data, tmp_path / "teacher", steps=24)
    teacher.run()
    for objective, windows, steps in (("reflow", 2, 4), ("consistency", 1, 2)):
        diffusion = DiffusionConfig(objective=objective, sampling_steps=steps, windows=windows)
        config = RunConfig(
            batches.small(diffusion=diffusion),
            replace(RECIPE, steps=30, log_every=1, learning_rate=1e-3),
            DistillConfig(teacher=str(teacher.policy_path), solver_steps=2),
        )
        log, out = Log(), tmp_path / objective
        train(config, data, batches.robot(), out, log)
        assert np.isfinite(log.column("val/l1")).all()
        if objective == "reflow":  # a consistent student's loss says nothing of its quality
            losses = log.column("train/loss")
            assert np.mean(losses[-10:]) < np.mean(losses[:10])
        student, _ = load_policy(out / POLICY_FILE)
        for name, value in load_policy(teacher.policy_path)[0].state_dict().items():
            same = torch.equal(student.state_dict()[name], value)
            assert same == name.startswith("encoder."), name


def test_a_teacher_must_fit(data: Path, tmp_path: Path) -> None:
    teacher = trainer(data, tmp_path / "teacher", steps=1)
    teacher.run()
    distillation = DistillConfig(teacher=str(teacher.policy_path))
    reflow = DiffusionConfig(objective="reflow", sampling_steps=4, windows=2)
    cases: list[tuple[PolicyConfig, str]] = [
        (batches.small(diffusion=reflow, width=16), "width is 8, not 16"),
        (batches.small(), "'epsilon' needs no teacher"),
    ]
    for policy, message in cases:
        config = RunConfig(policy, RECIPE, distillation)
        with pytest.raises(PolicyError, match=message):
            train(config, data, batches.robot(), tmp_path / "out", Log())
    with pytest.raises(PolicyError, match="learnt from a teacher"):
        model = build_model(batches.small(diffusion=reflow), batches.robot())
        model.loss(batches.batch(model.config))
