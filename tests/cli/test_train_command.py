"""`brs train`: files and overrides make one run, and a wrong word is answered."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from brs_cli.environment import ROOT
from brs_cli.eval_config import EvalConfig, EvalOptions
from brs_cli.train import main, only_task, parse
from brs_hardware.errors import ConfigError
from brs_ml.dataset.format import EpisodeEntry, Index

PLACES = ["data=set", "out=run"]
POLICIES = sorted(path.stem for path in (ROOT / "config/policy").glob("*.yaml"))


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_of_the_configuration_is_a_run(name: str) -> None:
    pytest.importorskip("torch")
    from brs_cli.dataset_clouds import layout_of
    from brs_hardware.embodiment import load_embodiment
    from brs_ml.policy.model import build_model

    options, config = parse([f"policy={name}", *PLACES])
    assert options.policy == name
    model = build_model(config.policy, layout_of(load_embodiment("r1")), ("head",))
    assert (name == "wbvma") == (sum(p.numel() for p in model.parameters()) == 7_501_333) or (
        name in ("wbvma_consistency", "wbvma_flow")  # the same network, learnt in another way
    )


def test_values_of_the_command_line_win() -> None:
    options, config = parse(
        [
            "policy=wbvma_small",
            *PLACES,
            "steps=12",
            "training.batch_size=3",
            "policy.normalisation.joints=limits",
            "training.augmentation.cloud_jitter_m=0.01",
            "resume=true",
        ]
    )
    assert (config.training.steps, config.training.batch_size) == (12, 3)
    assert config.policy.normalisation.joints == "limits"
    assert config.policy.width == 128
    assert config.training.augmentation.cloud_jitter_m == 0.01
    assert options.resume


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("training.batchsize=3", "unknown key 'batchsize'.*batch_size"),
        ("trainin.batch_size=3", "unknown key 'trainin'.*training"),
        ("stepz=3", "unknown key 'stepz'"),
        ("steps=soon", "expected int"),
        ("policy.width=63", "63 is no multiple of 8 'heads'"),
        ("steps=0", "'steps' must be positive"),
        ("policy.unet.widths=[3]", "multiples of 'groups'"),
        ("--resume", "is not KEY=VALUE"),
    ],
)
def test_a_wrong_word_is_answered(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(["policy=wbvma", *PLACES, argument])


def test_an_unknown_policy_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown policy 'wbvna'.*wbvma"):
        parse(["policy=wbvna", *PLACES])


def test_a_run_leaves_a_policy_that_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(ROOT / "tests/ml/policy"))
    import tiny_data

    from brs_cli.dataset_clouds import layout_of
    from brs_hardware.embodiment import load_embodiment
    from brs_ml.policy.policy import Policy

    torch.set_num_threads(1)
    layout = layout_of(load_embodiment("r1"))
    data, _ = tiny_data.make(tmp_path, layout=layout)
    words = ["policy=wbvma_small", f"data={data}", f"out={tmp_path / 'run'}", "steps=2"]
    words += ["training.batch_size=4", "training.validate_every=2"]
    monkeypatch.setattr(sys, "argv", ["brs train", *words])
    main()
    path = capsys.readouterr().out.strip()
    policy = Policy.load(path, layout)
    assert policy.card.steps == 2
    assert policy.card.data.tasks == ("follow",)
    assert list((tmp_path / "run/tensorboard").iterdir())


def test_corrections_and_rollouts_have_short_words() -> None:
    words = ["from=a.safetensors", "corrections=taken_over", "rollouts_every=7", "rollouts=3"]
    options, config = parse(["policy=wbvma_small", *PLACES, *words])
    assert config.corrections.checkpoint == "a.safetensors"
    assert config.corrections.data == "taken_over"
    assert (config.training.rollouts_every, options.rollouts) == (7, 3)
    with pytest.raises(ConfigError, match="need each other"):
        parse(["policy=wbvma_small", *PLACES, "from=a.safetensors"])


def test_the_task_of_rollouts_is_that_of_the_data() -> None:
    def index(*tasks: str) -> Index:
        entries = [EpisodeEntry(f"e{i}", 5 * i, 5, "train", task=t) for i, t in enumerate(tasks)]
        return Index("r1", 10.0, {}, tuple(entries), {})

    assert only_task(index("shelves", "shelves")) == "shelves"
    for tasks in (("shelves", "trash"), ("",), ()):
        with pytest.raises(ConfigError, match="task=NAME"):
            only_task(index(*tasks))


def test_rollouts_count_lost_trials_as_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three scenes: one done, one half done by its sub-tasks, one lost with its worker."""
    pytest.importorskip("torch")
    from brs_cli import train_rollouts
    from brs_cli.eval_rows import Row
    from brs_cli.eval_trials import Item, Job
    from brs_cli.eval_workers import Outcome
    from brs_sim.evaluation import Trial

    held: list[tuple[str, str, list[int], int]] = []
    rollouts = train_rollouts.SimulatedRollouts("shelves", "r1", range(100_000, 100_003), 2)
    names = rollouts._subtasks

    def trial(seed: int, done: tuple[bool, ...]) -> Trial:
        return Trial(seed, all(done), names, done, 9.0, None, (), "time")

    def run_items(job: Job, items: list[Item], workers: int) -> dict[Item, Outcome]:
        held.append((job.task, job.config.robot, [item.seed for item in items], workers))
        whole, part, lost = items
        half = tuple(i < len(names) // 2 for i in range(len(names)))
        return {
            whole: Outcome(whole, trial(whole.seed, (True,) * len(names)), ()),
            part: Outcome(part, trial(part.seed, half), ("died",)),
            lost: Outcome(lost, None, ("died", "died")),
        }

    def rows_of(options: EvalOptions, config: EvalConfig) -> list[Row]:
        seeds = tuple(range(options.seed, options.seed + options.episodes))
        return [Row(options.policy, "checkpoint", options.policy, seeds, held_out=True)]

    monkeypatch.setattr(train_rollouts, "run_items", run_items)
    monkeypatch.setattr(train_rollouts, "rows_of", rows_of)
    reached = rollouts(tmp_path / "policy.safetensors")
    assert held == [("shelves", "r1", [100_000, 100_001, 100_002], 2)]
    part = (len(names) // 2) / len(names)
    assert reached == pytest.approx({"success": 1 / 3, "subtasks": (1 + part) / 3, "lost": 1 / 3})
    with pytest.raises(ConfigError, match="need scenes"):
        train_rollouts.SimulatedRollouts("shelves", "r1", (), 1)
