"""Checkpoints tell all that is needed, refuse what does not fit, and survive no damage unseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import policy_batches as batches
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from brs_ml.policy.act import ActPolicy
from brs_ml.policy.checkpoint import (
    DataCard,
    PolicyCard,
    check_normalisation,
    check_robot,
    load_policy,
    save_policy,
)
from brs_ml.policy.config import ActConfig, PointNetConfig, PolicyConfig
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.model import build_model
from brs_ml.policy.normalisation import Normalisation, Normaliser
from brs_ml.policy.plain import from_plain
from brs_ml.policy.policy import Observation, Policy

GRIPPERS = (13, 20)


def normalisation(size: int = 21) -> Normalisation:
    robot = batches.robot(arm=(size - 9) // 2)
    return Normalisation(
        robot.lower,
        robot.upper,
        clipped=tuple(i < 3 for i in range(size)),
        binary=tuple(i in GRIPPERS for i in range(size)),
        cloud_lower=(0.0, -0.5, -0.3),
        cloud_upper=(2.0, 0.5, 2.0),
    )


def card(config: PolicyConfig, **changes: Any) -> PolicyCard:
    data = DataCard("shelves", 1, "0" * 64, 10.0, ("shelves",))
    values = PolicyCard(config, batches.robot(), (), normalisation(), data, steps=7, seed=0)
    return replace(values, **changes)


def write(path: Path, config: PolicyConfig | None = None) -> Path:
    torch.manual_seed(0)
    config = config or batches.small()
    model = build_model(config, batches.robot())
    save_policy(path, model, model.state_dict(), card(config))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("checkpoint") / "policy.safetensors")


def observation(**changes: Any) -> Observation:
    random = np.random.default_rng(0)
    values: dict[str, Any] = {
        "stamps_ns": (1, 2),
        "proprioception": random.uniform(-0.3, 0.3, (2, 21)),
        "cloud": random.uniform(0.0, 1.0, (2, 12, 6)),
        **changes,
    }
    return Observation(**values)


NOISE = np.random.default_rng(1).standard_normal((8, 21))


def test_what_was_saved_is_what_is_loaded(file: Path) -> None:
    model, told = load_policy(file)
    assert told == card(batches.small())
    torch.manual_seed(0)
    for name, value in build_model(batches.small(), batches.robot()).state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_a_policy_of_another_robot_is_refused_with_the_difference(file: Path) -> None:
    told = load_policy(file)[1]
    robot = batches.robot()
    torso = robot.parts[1]
    other_limit = replace(torso, upper=(*torso.upper[:3], 1.5))
    other_joint = replace(torso, names=("waist", *torso.names[1:]))
    cases = {
        r"robot is 'r1', not 'r1_lite'": batches.robot("r1_lite"),
        r"parts\[2\].names has 6 values, not 7": batches.robot(arm=7),
        r"parts\[1\].upper\[3\] is 2.0, not 1.5": replace(
            robot, parts=(robot.parts[0], other_limit, *robot.parts[2:])
        ),
        r"parts\[1\].names\[0\] is 'torso_0', not 'waist'": replace(
            robot, parts=(robot.parts[0], other_joint, *robot.parts[2:])
        ),
    }
    for message, layout in cases.items():
        with pytest.raises(PolicyError, match=message):
            Policy.load(file, layout)
    check_robot(told, robot)


def test_another_normalisation_is_refused_with_the_difference(file: Path) -> None:
    told = load_policy(file)[1]
    check_normalisation(told, normalisation())
    with pytest.raises(PolicyError, match=r"cloud_upper\[1\] is 0.5, not 1.0"):
        check_normalisation(told, replace(normalisation(), cloud_upper=(2.0, 1.0, 2.0)))


def _header(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    with safe_open(path, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return json.loads(opened.metadata()["brs"]), tensors


Change = Callable[[dict[str, Any]], Any]
WRONG: dict[str, Change] = {
    "is no brs-policy": lambda h: h.update(format="other"),
    "has version 2, this program reads 1": lambda h: h.update(version=2),
    "config.width is 'wide', not int": lambda h: h["config"].update(width="wide"),
    "unknown or missing keys: depth": lambda h: h["config"].update(depth=3),
    "unknown or missing keys: seed": lambda h: h.pop("seed"),
    "size mismatch": lambda h: h["config"].update(width=16),
    "normalises 20 numbers, the robot has 21": lambda h: [
        h["normalisation"][key].pop() for key in ("lower", "upper", "clipped", "binary")
    ],
    "sees clouds, and has no box": lambda h: h["normalisation"].update(
        cloud_lower=[], cloud_upper=[]
    ),
    "a lower limit is not below": lambda h: h["normalisation"]["lower"].__setitem__(0, 9.0),
    "fusion 'magic' is none of": lambda h: h["config"].update(fusion="magic"),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_header_that_cannot_be_right_is_refused(
    message: str, file: Path, tmp_path: Path
) -> None:
    header, tensors = _header(file)
    WRONG[message](header)
    save_file(tensors, tmp_path / "wrong.safetensors", {"brs": json.dumps(header)})
    with pytest.raises(PolicyError, match=message):
        load_policy(tmp_path / "wrong.safetensors")


def test_what_an_older_version_did_not_know_has_its_default(file: Path, tmp_path: Path) -> None:
    header, tensors = _header(file)
    del header["config"]["diffusion"]["start_noise"], header["normalisation"]["unseen"]
    save_file(tensors, tmp_path / "older.safetensors", {"brs": json.dumps(header)})
    card = load_policy(tmp_path / "older.safetensors")[1]
    assert card == load_policy(file)[1]


def test_weights_that_are_no_numbers_are_refused(file: Path, tmp_path: Path) -> None:
    header, tensors = _header(file)
    tensors["encoder.fusion.blocks.0.out.weight"][0, 0] = float("nan")
    save_file(tensors, tmp_path / "nan.safetensors", {"brs": json.dumps(header)})
    with pytest.raises(PolicyError, match="a weight is no finite number"):
        load_policy(tmp_path / "nan.safetensors")


# What a loader that runs code would call: pytest.fail("a checkpoint executed code").
PICKLE = b"cpytest\nfail\n(S'a checkpoint executed code'\ntR."


def test_a_pickle_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    path.write_bytes(PICKLE)
    with pytest.raises(PolicyError, match="damaged"):
        load_policy(path)
    with pytest.raises(PolicyError, match="is no file"):
        load_policy(tmp_path / "missing.safetensors")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_is_refused_or_changes_weights_alone(
    data: st.DataObject, file: Path, tmp_path: Path
) -> None:
    """Cut off, or a byte of the header flipped: an error of ours, or the same card."""
    whole = file.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        at = data.draw(st.integers(0, header - 1))
        flipped = whole[at] ^ (1 << data.draw(st.integers(0, 7)))
        damaged = whole[:at] + bytes([flipped]) + whole[at + 1 :]
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(damaged)
    try:
        model, told = load_policy(path)
    except PolicyError as error:
        assert str(path) in str(error)
        return
    assert len(damaged) == len(whole)
    assert isinstance(told, PolicyCard)
    assert model.layout == told.layout


def test_a_card_survives_json() -> None:
    from dataclasses import asdict

    told = card(batches.small(pointnet=PointNetConfig(points=None)), cameras=("head", "wrist"))
    assert from_plain(PolicyCard, json.loads(json.dumps(asdict(told)))) == told


@pytest.mark.parametrize("kind", ["diffusion", "act"])
def test_a_policy_gives_chunks_in_units_of_the_robot(kind: str, tmp_path: Path) -> None:
    act = ActConfig(16, heads=2, feed_forward=16, encoder_layers=1, latent=4)
    path = write(tmp_path / "policy.safetensors", batches.small(kind=kind, act=act))
    policy = Policy.load(path, batches.robot())
    chunk = policy.chunk(observation(), NOISE)
    assert chunk.actions.shape == (8, 21)
    assert chunk.period_s == pytest.approx(0.1)
    assert chunk.stamp_ns == 2
    lower, upper = (np.array(x) for x in (batches.robot().lower, batches.robot().upper))
    assert (chunk.actions >= lower - 1e-6).all()
    assert (chunk.actions <= upper + 1e-6).all()
    assert set(np.unique(chunk.actions[:, GRIPPERS])) <= {0.0, 1.0}
    np.testing.assert_array_equal(policy.chunk(observation(), NOISE).actions, chunk.actions)
    model, told = load_policy(path)
    normaliser = Normaliser(told.normalisation)
    seen = observation()
    batch = {
        "proprioception": torch.from_numpy(seen.proprioception)[None].float(),
        "cloud": torch.from_numpy(seen.cloud)[None].float(),
    }
    wanted = model.predict(normaliser.batch(batch), torch.from_numpy(NOISE)[None].float())
    got = chunk.actions
    np.testing.assert_allclose(got, normaliser.actions(wanted)[0].numpy(), atol=1e-4)
    assert isinstance(model, ActPolicy) == (kind == "act")


def test_a_new_episode_may_have_the_stamps_of_another(file: Path) -> None:
    policy, fresh = (Policy.load(file, batches.robot()) for _ in range(2))
    policy.chunk(observation(), NOISE)
    policy.reset()
    other = observation(cloud=np.full((2, 12, 6), 0.4))
    wanted = fresh.chunk(other, NOISE).actions
    np.testing.assert_array_equal(policy.chunk(other, NOISE).actions, wanted)


def test_an_observation_of_another_shape_is_refused(file: Path) -> None:
    policy = Policy.load(file, batches.robot())
    cases = {
        "proprioception has shape": {"proprioception": np.zeros((2, 20))},
        "needs clouds": {"cloud": None},
        "cloud has 1 steps, not 2": {"cloud": np.zeros((1, 5, 6))},
        "not finite": {"cloud": np.full((2, 5, 6), np.nan)},
        "each observation needs a stamp": {"stamps_ns": (1,)},
    }
    for message, changes in cases.items():
        with pytest.raises(ValueError, match=message):
            policy.chunk(observation(**changes), NOISE)


@given(st.lists(st.floats(-2.0, 2.0), min_size=21, max_size=21))
def test_numbers_come_back_from_normalisation(shares: list[float]) -> None:
    normaliser = Normaliser(normalisation())
    lower, upper = (np.array(x) for x in (batches.robot().lower, batches.robot().upper))
    values = lower + (upper - lower) * (np.array(shares) + 1.0) / 2.0
    normal = normaliser.numbers(torch.tensor(values))
    expected = np.array(shares)
    expected[:3] = expected[:3].clip(-1.0, 1.0)
    expected[list(GRIPPERS)] = np.where(values[list(GRIPPERS)] > 0.5, 1.0, -1.0)
    np.testing.assert_allclose(normal.numpy(), expected, atol=1e-5)
    back = values.clip(lower, upper)
    back[list(GRIPPERS)] = values[list(GRIPPERS)] > 0.5
    np.testing.assert_allclose(normaliser.actions(normal).numpy(), back, atol=1e-5)


def test_an_unseen_part_is_hidden_from_observations_and_stays_in_actions() -> None:
    hidden = Normaliser(replace(normalisation(), unseen=tuple(i < 3 for i in range(21))))
    batch = {"proprioception": torch.rand(2, 2, 21), "action": torch.rand(2, 8, 21)}
    told, seen = hidden.batch(batch), Normaliser(normalisation()).batch(batch)
    assert torch.equal(told["action"], seen["action"])
    assert torch.equal(told["proprioception"][..., 3:], seen["proprioception"][..., 3:])
    assert not told["proprioception"][..., :3].any() and seen["proprioception"][..., :3].any()


def test_a_gripper_is_seen_as_far_as_it_is_closed_and_commanded_open_or_closed() -> None:
    values = torch.rand(2, 8, 21)
    batch = {"proprioception": values, "action": values}
    told = Normaliser(replace(normalisation(), grippers_seen=True)).batch(batch)
    plain = Normaliser(normalisation()).batch(batch)
    grippers = list(GRIPPERS)
    others = [i for i in range(21) if i not in grippers]
    torch.testing.assert_close(
        told["proprioception"][..., grippers], 2 * values[..., grippers] - 1
    )
    assert set(plain["proprioception"][..., grippers].unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(told["proprioception"][..., others], plain["proprioception"][..., others])
    assert torch.equal(told["action"], plain["action"])


def test_what_is_unseen_is_kept_with_the_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    unseen = tuple(i < 3 for i in range(21))
    model = build_model(batches.small(), batches.robot())
    told = card(batches.small(), normalisation=replace(normalisation(), unseen=unseen))
    save_policy(tmp_path / "policy.safetensors", model, model.state_dict(), told)
    policy = Policy.load(tmp_path / "policy.safetensors", batches.robot())
    assert policy.card.normalisation.unseen == unseen
    still, moving, elsewhere = observation(), observation(), observation()
    moving.proprioception[:, :3] += 0.2
    elsewhere.proprioception[:, 3:] += 0.2
    chunks = []
    for seen in (still, moving, elsewhere):
        policy.reset()
        chunks.append(policy.chunk(seen, NOISE).actions)
    np.testing.assert_array_equal(chunks[1], chunks[0])
    assert not np.array_equal(chunks[2], chunks[0])


def test_the_box_of_a_cloud_becomes_a_cube() -> None:
    cloud = torch.tensor([[[0.0, -0.5, -0.3, 0.1, 0.2, 0.3], [2.0, 0.5, 2.0, 0.0, 0.5, 1.0]]])
    got = Normaliser(normalisation()).cloud(cloud)
    assert got[0, 0].tolist() == pytest.approx([-1.0, -1.0, -1.0, 0.1, 0.2, 0.3])
    assert got[0, 1].tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0, 0.5, 1.0])
