"""What is near the hands: where hands are, against MuJoCo, and their clouds, against loops."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import policy_batches as batches
import pytest
import tiny_data
import torch

from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import Kinematics
from brs_ml.dataset.robot_layout import layout_of
from brs_ml.policy.config import PointNetConfig, PolicyConfig
from brs_ml.policy.corrections import POLICY, TELEOP, begun
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.hands import HandClouds, HandFrame, Hands, hand_frames
from brs_ml.policy.policy import Observation, Policy
from brs_ml.policy.run import make_trainer, train
from brs_ml.policy.training_config import CorrectionConfig, RunConfig, TrainConfig
from brs_ml.policy.untrained import write_untrained

NEAR = PointNetConfig(hidden=(7,), points=4, hand_points=5, hand_reach_m=0.2)
BOX = ((0.0, -0.5, -0.3), (2.0, 0.5, 2.0))


def still(number: int, position: tuple[float, float, float]) -> HandFrame:
    """A hand that one joint slides along x."""
    return HandFrame((number,), ((1.0, 0, 0, 0, 0, 0),), tuple(np.eye(3).ravel()), position)


FRAMES = (still(7, (0.5, 0.2, 1.0)), still(14, (0.5, -0.2, 1.0)))


@pytest.mark.parametrize("name", ["r1", "r1_lite", "r1_pro"])
def test_hands_are_where_kinematics_says(name: str) -> None:
    robot = load_embodiment(name)
    kinematics, layout = Kinematics(robot), layout_of(robot)
    clouds = HandClouds(Hands(hand_frames(kinematics, layout), 1, 0.2))
    random = np.random.default_rng(0)
    values = random.uniform(layout.lower, layout.upper, (2, 3, layout.size))
    poses = clouds.poses(torch.from_numpy(values))
    assert poses.shape == (2, 3, 2, 4, 4)
    for place in np.ndindex(2, 3):
        groups = ("torso", "left_arm", "right_arm")
        joints = {group: values[place][layout.slice_of(group)] for group in groups}
        for pose, side in zip(poses[place], ("left", "right"), strict=True):
            told = kinematics.pose(f"{side}_tcp", joints)
            np.testing.assert_allclose(pose.numpy(), told, atol=2e-5)


def test_a_joint_may_slide() -> None:
    poses = HandClouds(Hands(FRAMES, 1, 0.2)).poses(torch.full((21,), 0.3))
    np.testing.assert_allclose(poses[0, :3, 3].numpy(), [0.8, 0.2, 1.0], atol=1e-6)


def test_clouds_of_hands_are_the_nearest_points_in_their_frames() -> None:
    """Point by point."""
    robot = load_embodiment("r1")
    frames = hand_frames(Kinematics(robot), layout_of(robot))
    clouds, random = HandClouds(Hands(frames, 6, 0.15)), np.random.default_rng(1)
    layout = layout_of(robot)
    values = torch.from_numpy(random.uniform(layout.lower, layout.upper, (2, 21))).float()
    poses = clouds.poses(values)
    cloud = torch.from_numpy(random.uniform(0.0, 1.0, (2, 40, 6))).float()
    cloud[..., :3] = poses[:, :1, :3, 3] + (cloud[..., :3] - 0.5) * 0.6
    got = clouds(values, cloud)
    assert got.shape == (2, 2, 6, 6)
    for step in range(2):
        for hand in range(2):
            expected = []
            for x, y, z, *colour in cloud[step].double().numpy():
                place = np.linalg.solve(poses[step, hand].double().numpy(), [x, y, z, 1.0])[:3]
                held = [min(1.0, max(-1.0, value / 0.15)) for value in place]
                expected.append((math.dist(place, (0, 0, 0)), [*held, *colour]))
            nearest = sorted(values for _, values in sorted(expected)[:6])
            np.testing.assert_allclose(sorted(got[step, hand].tolist()), nearest, atol=2e-5)


def test_too_small_a_cloud_is_refused() -> None:
    with pytest.raises(ValueError, match="a cloud of 4 points, 5 are taken"):
        HandClouds(Hands(FRAMES, 5, 0.2))(torch.zeros(21), torch.zeros(4, 6))


def policy_file(path: Path, config: PolicyConfig) -> Policy:
    frames = FRAMES if config.pointnet.hand_points else ()
    write_untrained(path, config, batches.robot(), BOX, hands=frames)
    return Policy.load(path, batches.robot())


def seen(cloud: np.ndarray) -> Observation:
    return Observation((1, 2), np.zeros((2, 21)), cloud.astype(np.float32))


def test_a_point_by_a_hand_is_seen_that_the_thinned_cloud_has_not(tmp_path: Path) -> None:
    """And one that is not among the nearest and not in the thinned cloud is not."""
    random = np.random.default_rng(2)
    cloud = random.uniform(0.0, 0.3, (2, 40, 6))
    # The nearest of both hands; 0, 10, 20 and 30 are in the thinned one.
    cloud[:, 1:6, :3] = FRAMES[0].position
    by_hand, elsewhere = cloud.copy(), cloud.copy()
    by_hand[:, 3, :3] += 0.05
    elsewhere[:, 7, :3] -= 0.05
    noise = random.standard_normal((8, 21))

    def chunks(config: PolicyConfig) -> list[np.ndarray]:
        policy, found = policy_file(tmp_path / "policy.safetensors", config), []
        for each in (cloud, by_hand, elsewhere):
            policy.reset()
            found.append(policy.chunk(seen(each), noise).actions)
        return found

    first, by_hand_too, elsewhere_too = chunks(batches.small(pointnet=NEAR))
    assert not np.array_equal(first, by_hand_too)
    np.testing.assert_array_equal(first, elsewhere_too)


def test_a_policy_must_know_where_its_hands_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not told where they are"):
        write_untrained(tmp_path / "p", batches.small(pointnet=NEAR), batches.robot(), BOX)
    with pytest.raises(ValueError, match="'hand_points' are of diffusion policies that see cl"):
        PolicyConfig(pointnet=NEAR, vision="images")


def test_a_policy_learns_to_see_what_is_near_its_hands(tmp_path: Path) -> None:
    """One that was trained without goes on with it; what it had learnt stays."""
    driver = np.repeat((POLICY, TELEOP), 10)
    data = tiny_data.make(tmp_path / "data")[0]
    taken_over = tiny_data.make(tmp_path / "taken_over", seed=1, driver=driver)[0]
    blind = batches.small(pointnet=PointNetConfig(hidden=(7,), points=4))
    near = batches.small(pointnet=NEAR)
    recipe = TrainConfig(steps=2, batch_size=4, warm_up=1)
    log = lambda *_: None  # noqa: E731
    first = train(RunConfig(blind, recipe), data, batches.robot(), tmp_path / "first", log)
    later = CorrectionConfig(str(taken_over), str(first))
    model, card = begun(later, near, batches.robot(), FRAMES)
    assert card.normalisation.hands == Hands(FRAMES, 5, 0.2)
    before = Policy.load(first, batches.robot())._model.state_dict()
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    run = RunConfig(near, recipe, corrections=later)
    trainer = make_trainer(
        run, data, batches.robot(), tmp_path / "second", log, "cpu", None, FRAMES
    )
    hands = {n: v.clone() for n, v in trainer._model.state_dict().items() if "hands" in n}
    trainer.run()
    learnt = Policy.load(trainer.policy_path, batches.robot())
    changed = learnt._model.state_dict()
    assert hands and not any(torch.equal(changed[name], value) for name, value in hands.items())
    wider = replace(near, width=16)
    with pytest.raises(PolicyError, match="is another policy: width is 8, not 16"):
        begun(later, wider, batches.robot(), FRAMES)
