"""The Gymnasium interface: its contract, its numbers, and that it is the robot node's path."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.types import WholeBodyCommand
from brs_sim.commanded import CommandedRobot
from brs_sim.environment import HouseholdEnvironment, proprioception, register_environments
from brs_sim.tasks import task_names
from brs_sim.tasks.deeds import perform
from brs_sim.world import World

R1 = load_embodiment("r1")


def standing(environment: HouseholdEnvironment) -> np.ndarray:
    """The action that stays as the robot is."""
    action = proprioception(environment.world.whole_body_state())
    action[:3] = 0.0
    return action


@pytest.mark.parametrize("name", task_names())
def test_gymnasium_finds_nothing_to_complain_about(name: str) -> None:
    registered = register_environments()
    assert f"brs/{name.capitalize()}-v0" in registered
    environment = gymnasium.make(f"brs/{name.capitalize()}-v0").unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*infinity.*")  # what is measured has no bounds
        # Actions have units, as commands have; gymnasium.wrappers.RescaleAction takes them away.
        warnings.filterwarnings("ignore", message=".*symmetric and normalized.*")
        check_env(environment, skip_render_check=True)
    environment.close()


def test_registering_is_asked_for_and_may_be_repeated() -> None:
    assert register_environments() == register_environments()
    assert len(register_environments()) == len(task_names()) + 1 == 6  # and generated homes


def test_action_and_proprioception_have_the_order_of_the_paper() -> None:
    environment = HouseholdEnvironment("toilet")
    action = np.arange(21) / 100.0
    action[8:14] = [1.0, -0.5, 0.1, 0.2, 0.3, 0.25]
    command = environment.to_command(action)
    assert command.base_velocity == pytest.approx([0.0, 0.01, 0.02])
    assert command.torso == pytest.approx([0.03, 0.04, 0.05, 0.06])
    assert command.left_arm == pytest.approx([0.07, *action[8:13]])
    assert command.left_gripper == pytest.approx(0.25)
    assert command.right_arm.shape == (6,)
    assert command.right_gripper == pytest.approx(0.20)
    state = environment.world.whole_body_state()
    seen = proprioception(state)
    assert seen.dtype == np.float32
    assert seen[7:13] == pytest.approx(state.left_arm.position)
    assert seen[14:20] == pytest.approx(state.right_arm.position)
    assert seen[[13, 20]] == pytest.approx([state.left_gripper, state.right_gripper])


@pytest.mark.parametrize("bad", [np.zeros(20), np.full(21, np.nan)])
def test_bad_actions_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite"):
        HouseholdEnvironment("shelves").step(bad)


def test_a_step_is_ten_ticks_of_the_robot_node() -> None:
    environment = HouseholdEnvironment("shelves")
    environment.reset(seed=3)
    action = standing(environment)
    action[0], action[7], action[13] = 0.2, action[7] - 0.3, 1.0
    world = World(R1, "shelves", 3)
    robot = CommandedRobot(world, "policy")
    for _ in range(8):
        environment.step(action)
        values = np.clip(action, environment.action_space.low, environment.action_space.high)  # type: ignore[attr-defined]
        values = values.astype(float)
        command = WholeBodyCommand(
            0.0, values[:3], values[3:7], values[7:13], values[14:20], values[13], values[20]
        )
        for _ in range(10):
            robot.apply(command)
            world.step(0.01)
    assert np.array_equal(environment.world.snapshot().qpos, world.snapshot().qpos)
    moved = world.whole_body_state()
    assert moved.base_pose[0] > World(R1, "shelves", 3).feedback().base_pose[0] + 0.05
    assert moved.left_gripper > 0.5


def test_same_seed_and_actions_give_the_same_episode() -> None:
    ends = []
    for _ in range(2):
        environment = HouseholdEnvironment("party")
        environment.reset(seed=4)
        environment.action_space.seed(1)
        for _ in range(3):
            seen, *_ = environment.step(environment.action_space.sample())
        ends.append(seen["proprioception"])
    assert np.array_equal(ends[0], ends[1])
    drawn = [HouseholdEnvironment("party").reset()[1]["seed"] for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_reward_counts_sub_tasks_and_the_end_of_the_task_terminates() -> None:
    environment = HouseholdEnvironment("shelves")
    _, info = environment.reset(seed=0)
    assert info["score"] == 0.0
    perform(environment.world, environment.world.task.solution())
    _, reward, terminated, truncated, info = environment.step(standing(environment))
    assert (reward, terminated, truncated) == (4.0, True, False)
    assert info["success"] and info["score"] == 1.0 and info["violations"] == 0
    environment.world.place_object(
        "box_left", (np.array([0, -1.0, 0.1]), np.array([1.0, 0, 0, 0]))
    )
    _, reward, terminated, *_ = environment.step(standing(environment))
    assert (reward, terminated) == (-1.0, False)


def test_pictures_and_cloud_on_demand() -> None:
    environment = HouseholdEnvironment(
        "shelves", images=("head",), cloud="shelves", render_mode="rgb_array"
    )
    seen, _ = environment.reset(seed=1)
    assert set(seen) == {"proprioception", "head_color", "head_depth", "cloud"}
    assert environment.observation_space.contains(seen)
    points = seen["cloud"][np.any(seen["cloud"] != 0.0, axis=1)]
    assert len(points) > 1000
    assert np.abs(points[:, 1]).max() <= 0.5 + 1e-3  # the crop box of the task
    table = np.median(points[np.abs(points[:, 2] - 0.70) < 0.05, 2])
    assert table == pytest.approx(
        0.74 - 0.0415, abs=0.01
    )  # from base_link, which is off the floor
    picture = environment.render()
    assert picture is not None and picture.shape == (480, 640, 3)
    assert picture.std() > 10
    environment.close()


def test_unknown_names_are_told() -> None:
    with pytest.raises(ConfigError, match="head"):
        HouseholdEnvironment("shelves", images=("haed",))
    with pytest.raises(ConfigError, match="shelves"):
        HouseholdEnvironment("shelfs")
