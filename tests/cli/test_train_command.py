"""`brs train`: files and overrides make one run, and a wrong word is answered."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from brs_cli.environment import ROOT
from brs_cli.train import main, parse
from brs_hardware.errors import ConfigError

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
    assert config.policy.width == 64
    assert config.training.augmentation.cloud_jitter_m == 0.01
    assert options.resume


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("training.batchsize=3", "unknown key 'batchsize'.*batch_size"),
        ("trainin.batch_size=3", "unknown key 'trainin'.*training"),
        ("stepz=3", "unknown key 'stepz'"),
        ("steps=soon", "expected int"),
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
