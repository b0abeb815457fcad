"""WB-VMA's network, loss and inference against loops over numbers, and against diffusers."""

from __future__ import annotations

from collections.abc import Iterator

import naive
import numpy as np
import policy_batches as batches
import pytest
import torch

from brs_ml.policy.config import OBJECTIVES, DiffusionConfig, PointNetConfig, PolicyConfig
from brs_ml.policy.diffusion import DiffusionPolicy, Draws
from brs_ml.policy.pointnet import PointNet
from brs_ml.policy.schedules import plan
from brs_ml.policy.transformer import ObservationTransformer, layout_of_tokens


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_as_many_as_in_brs() -> None:
    """All of PointNet, proprioception MLP, transformer with its 512 places, three U-Nets."""
    model = DiffusionPolicy(PolicyConfig(), batches.robot())
    encoder = model.encoder
    parts = [encoder.vision.pointnet, encoder.proprioception, encoder.fusion, *model.denoisers]
    millions = [round(count(part) / 1e6, 2) for part in parts]
    assert millions == [0.13, 0.14, 2.23, 1.62, 1.66, 1.71]
    assert count(model) == sum(map(count, parts)) == 7_501_333
    decayed = sum(parameter.numel() for parameter in model.decayed())
    assert decayed == 2 * (4 * 256 * 256 + 3 * 256 * 1024)  # the transformer's matrices only


def test_tokens_stand_and_see_as_in_brs() -> None:
    places, visible = layout_of_tokens(steps=2, tokens=2)
    assert places.tolist() == [0, 0, 1, 2, 2, 3]
    assert visible.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 1, 0, 0],
        [1, 1, 0, 1, 1, 0],
        [1, 1, 0, 1, 1, 0],
    ]


def test_the_past_does_not_see_the_future() -> None:
    model = DiffusionPolicy(batches.small(), batches.robot()).eval()
    seen = batches.batch(model.config)
    before = model.encoder(seen)
    for key in ("proprioception", "cloud"):
        changed = dict(seen)
        changed[key] = seen[key].clone()
        changed[key][:, 1] += 0.5
        after = model.encoder(changed)
        assert torch.equal(after[:, 0], before[:, 0])
        assert not torch.allclose(after[:, 1], before[:, 1])


def test_readouts_have_no_part_in_other_tokens() -> None:
    """What a readout is told, its place, changes itself alone."""
    config = batches.small()
    net = ObservationTransformer(config.width, 2, config.transformer).eval()
    observed = torch.randn(1, 2, 2, config.width)
    before = net(observed)
    with torch.no_grad():
        net.places.weight[1] += 3.0  # the first readout's
    after = net(observed)
    assert not torch.allclose(after[:, 0], before[:, 0])
    assert torch.equal(after[:, 1], before[:, 1])


def test_readouts_know_nothing_of_actions() -> None:
    model = DiffusionPolicy(batches.small(), batches.robot()).eval()
    seen = batches.batch(model.config)
    other = dict(seen, action=torch.randn_like(seen["action"]))
    assert torch.equal(model.encoder(seen), model.encoder(other))


def naive_readouts(model: DiffusionPolicy, seen: dict[str, torch.Tensor]) -> np.ndarray:
    weights = naive.weights_of(model)
    found = []
    for own, clouds in zip(seen["proprioception"], seen["cloud"], strict=True):
        tokens = [
            [
                naive.proprioception_features(
                    weights, "encoder.proprioception", one.double().numpy(), 2
                ),
                naive.point_features(
                    weights, "encoder.vision.pointnet", cloud.double().numpy(), 2
                ),
            ]
            for one, cloud in zip(own, clouds, strict=True)
        ]
        found.append(
            naive.readouts(
                weights,
                "encoder.fusion",
                np.array(tokens),
                layers=model.config.transformer.layers,
                heads=model.config.transformer.heads,
            )
        )
    return np.array(found)


def test_readouts_are_those_of_loops() -> None:
    model = DiffusionPolicy(batches.small(), batches.robot()).eval()
    seen = batches.batch(model.config)
    got = model.encoder(seen).detach().numpy()
    np.testing.assert_allclose(got, naive_readouts(model, seen), atol=1e-5)


@pytest.mark.parametrize("autoregressive", [True, False])
def test_the_loss_is_that_of_loops(autoregressive: bool) -> None:
    config = batches.small(autoregressive=autoregressive)
    model = DiffusionPolicy(config, batches.robot()).eval()
    data = batches.batch(config)
    noise = torch.randn(4, config.actions, 21)
    moment = torch.tensor([[0.0, 0.31, 0.999], [0.5, 0.2, 0.77], [0.9, 0.1, 0.4], [0.6, 0.6, 0.6]])
    readouts = model.encoder(data)
    got = model.loss_of(readouts, data["action"], data["action_mask"], Draws(noise, moment))

    weights, power = naive.weights_of(model), naive.signal_power(100)
    readouts = naive_readouts(model, data).reshape(4, -1)
    actions = data["action"].double().numpy().reshape(4, config.actions, 21)
    total, there = 0.0, 0
    for chunk in range(4):
        squares = np.zeros(config.actions)
        for stage, (first, last) in enumerate(((0, 3), (3, 7), (7, 21))):
            step = int(moment[chunk, stage] * 100)
            clean, wanted = actions[chunk, :, first:last], noise[chunk, :, first:last].numpy()
            noisy = power[step] ** 0.5 * clean + (1 - power[step]) ** 0.5 * wanted
            before = actions[chunk, :, : first if autoregressive else 0].ravel()
            net = naive.UNet(weights, f"denoisers.{stage}", features=6, levels=2, groups=2)
            told = net(noisy, step, np.concatenate([readouts[chunk], before]))
            squares += ((told - wanted) ** 2).sum(axis=1)
        for action in range(config.actions - 1):  # the last one is masked
            total += squares[action]
            there += 1
    assert got.item() == pytest.approx(config.actions * total / there, rel=1e-4)


def test_masked_actions_do_not_count() -> None:
    model = DiffusionPolicy(batches.small(autoregressive=False), batches.robot()).eval()
    data = batches.batch(model.config)
    draws = Draws(torch.randn(4, 8, 21), torch.zeros(4, 3))
    readouts = model.encoder(data)
    before = model.loss_of(readouts, data["action"], data["action_mask"], draws)
    nothing = torch.zeros_like(data["action_mask"])
    assert model.loss_of(readouts, data["action"], nothing, draws).item() == 0.0
    assert before.item() > 0.0


def test_the_true_path_is_told_in_training_and_the_predicted_one_in_inference() -> None:
    """A stage hears of those before it and of no other."""
    model = DiffusionPolicy(batches.small(), batches.robot()).eval()
    readout, actions = torch.randn(1, 8), torch.randn(1, 8, 21)
    for stage, start in zip(model.stages, (0, 3, 7), strict=True):
        told = model.condition(stage, readout, actions)
        assert torch.equal(told, torch.cat([readout, actions[..., :start].flatten(1)], dim=1))
        assert told.shape[1] + 6 == model.denoisers[model.stages.index(stage)].film.in_features
    # In inference the base's path does not hang on the noise of the arms, but theirs on its.
    data, noise = batches.batch(model.config), torch.randn(2, 8, 21)
    before = model.predict(data, noise)
    for changed, same in ((slice(7, 21), slice(0, 7)), (slice(3, 7), slice(0, 3))):
        other = noise.clone()
        other[..., changed] += 1.0
        after = model.predict(data, other)
        assert torch.equal(after[..., same], before[..., same])
    other = noise.clone()
    other[..., :3] += 1.0
    assert not torch.allclose(model.predict(data, other)[..., 7:], before[..., 7:])


def test_stages_without_the_paths_before_them_stand_alone() -> None:
    model = DiffusionPolicy(batches.small(autoregressive=False), batches.robot()).eval()
    data, noise = batches.batch(model.config), torch.randn(2, 8, 21)
    before = model.predict(data, noise)
    noise[..., :3] += 1.0
    assert torch.equal(model.predict(data, noise)[..., 3:], before[..., 3:])


def test_the_plan_steps_as_diffusers_does() -> None:
    from diffusers import DDIMScheduler

    config = DiffusionConfig()
    scheduler = DDIMScheduler(
        num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", clip_sample=True
    )
    scheduler.set_timesteps(16)
    steps = plan(config)
    assert [step.step for step in steps] == scheduler.timesteps.tolist()
    theirs = ours = torch.randn(3, 8, 14, dtype=torch.double)
    for step in steps:
        answer = torch.randn_like(ours)
        theirs = scheduler.step(answer, int(step.step), theirs).prev_sample
        ours = step.next(ours, answer)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("fusion", ["attention", "concatenation"])
def test_the_fast_sampler_says_the_same(objective: str, fusion: str) -> None:
    diffusion = DiffusionConfig(objective=objective, sampling_steps=4, windows=2)
    config = batches.small(diffusion=diffusion, fusion=fusion)
    model = DiffusionPolicy(config, batches.robot()).eval()
    data, fast = batches.batch(config, count=3), model.fast()
    observations = {k: v for k, v in data.items() if not k.startswith("action")}
    for i in range(3):
        one = {key: value[i : i + 1] for key, value in observations.items()}
        noise = torch.randn(1, 8, 21)
        wanted = model.predict(one, noise)
        torch.testing.assert_close(fast(one, noise), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_chunks_can_be_made_of_less_noise(share: float) -> None:
    usual = DiffusionPolicy(batches.small(), batches.robot()).eval()
    calm = DiffusionPolicy(
        batches.small(diffusion=DiffusionConfig(start_noise=share)), batches.robot()
    ).eval()
    calm.load_state_dict(usual.state_dict())
    data, noise = batches.batch(usual.config, count=1), torch.randn(1, 8, 21)
    wanted = usual.predict(data, share * noise)
    torch.testing.assert_close(calm.predict(data, noise), wanted)
    torch.testing.assert_close(calm.fast()(data, noise), wanted, rtol=1e-4, atol=1e-4)


def test_the_fast_sampler_remembers_observations_by_their_stamps() -> None:
    model = DiffusionPolicy(batches.small(), batches.robot()).eval()
    fast, noise = model.fast(), torch.randn(1, 8, 21)
    steps = {
        k: v.flatten(0, 1)
        for k, v in batches.batch(model.config, count=3).items()
        if not k.startswith("action")
    }
    for now in (1, 2, 3, 2, 5, 5):  # one after another, back again, with a gap, twice the same
        window = {key: value[None, now - 1 : now + 1] for key, value in steps.items()}
        got = fast(window, noise, (now - 1, now))
        torch.testing.assert_close(got, model.predict(window, noise), rtol=1e-4, atol=1e-4)


def test_points_that_count_have_the_gradients_of_all_points() -> None:
    net = PointNet(PointNetConfig(hidden=(16, 16)), features=8)
    clouds = torch.rand(3, 1200, 6)
    clouds[1, 700:] = 0.0  # a padded cloud: many points are equal
    weight = torch.randn(3, 8)
    found = []
    for forward in (net, net.plain):
        net.zero_grad()
        features = forward(clouds)
        (features * weight).sum().backward()
        found.append([features.detach(), *(p.grad.clone() for p in net.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(net(clouds), found[0][0])


def test_colours_are_seen_only_where_they_are_asked_for() -> None:
    data = batches.batch(batches.small())
    other = dict(data, cloud=data["cloud"].clone())
    other["cloud"][..., 3:] = 0.9
    for colors in (True, False):
        config = batches.small(pointnet=PointNetConfig(hidden=(7,), colors=colors))
        model = DiffusionPolicy(config, batches.robot()).eval()
        assert torch.equal(model.encoder(data), model.encoder(other)) is not colors
