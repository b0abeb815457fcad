"""Every robot can be driven: leader to mapping to supervisor to a robot that follows exactly."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from robot_samples import command_like, state_at

from brs_hardware.collision import CollisionGuard
from brs_hardware.collision_config import load_collision_config
from brs_hardware.collision_model import CollisionModel
from brs_hardware.config import config_folder
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.kinematics import Kinematics
from brs_hardware.safety import SafetySupervisor
from brs_hardware.safety.setup import load_safety, make_supervisor
from brs_hardware.stability import Stability
from brs_hardware.teleop import Engagement, TeleopConfig, TeleopMapper, TeleopOutput
from brs_hardware.torso_height import TorsoHeight
from brs_hardware.types import JoyConSample, LeaderSample, WholeBodyCommand, WholeBodyState

pytest.importorskip("mujoco")

ROBOTS = sorted(path.stem for path in (config_folder() / "robots").glob("*.urdf"))
STEP_S = 0.01
SLACK = 1e-7  # plans end on a limit to about this
ARMS = ("left_arm", "right_arm")


@pytest.fixture(scope="module", params=ROBOTS)
def robot(request: pytest.FixtureRequest) -> Embodiment:
    return load_embodiment(request.param)


class Teleoperation:
    """A person with a leader drives a robot that does exactly what it is sent."""

    def __init__(
        self, robot: Embodiment, pose: str = "ready", guarded: bool = True, **config: object
    ) -> None:
        self.robot, self.now_s = robot, 10.0
        self.mapper = TeleopMapper(robot, TeleopConfig(**config))  # type: ignore[arg-type]
        self.supervisor = make_supervisor(robot, load_safety()) if guarded else None
        self.state = state_at(robot, self.now_s, pose)
        if self.supervisor:
            assert self.supervisor.arm(self.now_s, self.state) == ""
        self.leader = {arm: getattr(self.state, arm).position.copy() for arm in ARMS}
        self.sent: list[WholeBodyCommand] = []

    def hold(
        self,
        seconds: float,
        *buttons: str,
        left: Sequence[float] = (0.0, 0.0),
        right: Sequence[float] = (0.0, 0.0),
    ) -> TeleopOutput:
        """Hold the dead-man, some buttons and the sticks."""
        output = None
        held = frozenset({"l", *buttons})
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            self.state = dataclasses.replace(self.state, stamp_s=self.now_s)
            output = self.mapper.update(
                self.now_s,
                LeaderSample(self.now_s, **self.leader),
                JoyConSample(self.now_s, np.array(left, dtype=float), held),
                JoyConSample(self.now_s, np.array(right, dtype=float), held),
                self.state,
            )
            self._follow(output.command)
        assert output is not None
        return output

    def _follow(self, command: WholeBodyCommand | None) -> None:
        if self.supervisor and command:
            self.supervisor.offer(self.now_s, command)
            command = self.supervisor.step(self.now_s, self.state).command
        assert command is not None
        self.sent.append(command)
        self.state = follow(self.state, command)

    @property
    def torso(self) -> np.ndarray:
        return self.state.torso.position


def follow(state: WholeBodyState, command: WholeBodyCommand) -> WholeBodyState:
    groups = {
        name: dataclasses.replace(getattr(state, name), position=getattr(command, name))
        for name in Embodiment.GROUPS
    }
    return dataclasses.replace(state, base_velocity=command.base_velocity, **groups)


def postures(command: WholeBodyCommand) -> dict[str, np.ndarray]:
    return {name: getattr(command, name) for name in Embodiment.GROUPS}


def trunk(robot: Embodiment, torso: np.ndarray) -> np.ndarray:
    """Pose of the link that carries the arms."""
    carrier = describe(robot).joint(robot.torso.joints[-1]).child
    return Kinematics(robot).pose(carrier, {"torso": torso})


def assert_within_limits(robot: Embodiment, sent: Sequence[WholeBodyCommand]) -> None:
    for name in Embodiment.GROUPS:
        group = robot.group(name)
        path = np.array([getattr(command, name) for command in sent])
        speed = np.diff(path, axis=0) / STEP_S
        assert np.all(path >= group.lower - SLACK) and np.all(path <= group.upper + SLACK)
        assert np.all(np.abs(speed) <= group.max_velocity * (1.0 + 1e-6))
    base = np.array([command.base_velocity for command in sent])
    assert np.all(np.abs(base) <= robot.base.max_velocity + SLACK)


def assert_smooth(robot: Embodiment, sent: Sequence[WholeBodyCommand]) -> None:
    for name in Embodiment.GROUPS:
        path = np.array([getattr(command, name) for command in sent])
        change = np.abs(np.diff(path, n=2, axis=0)) / STEP_S**2
        assert np.all(change <= robot.group(name).max_acceleration * (1.0 + 1e-6)), name


# -- postures ---------------------------------------------------------------------------------


def lead(
    supervisor: SafetySupervisor, state: WholeBodyState, posture: Mapping[str, np.ndarray]
) -> WholeBodyState:
    """Ask for one posture for 4 s; the robot is never held still."""
    for _ in range(400):
        now_s = state.stamp_s + STEP_S
        supervisor.offer(now_s, command_like(state, now_s, **posture))
        state = dataclasses.replace(state, stamp_s=now_s)
        verdict = supervisor.step(now_s, state)
        assert verdict.command is not None and not verdict.holding
        state = follow(state, verdict.command)
    return state


def assert_at(state: WholeBodyState, posture: Mapping[str, np.ndarray]) -> None:
    for name, wanted in posture.items():
        np.testing.assert_allclose(getattr(state, name).position, wanted, atol=1e-3)


def test_named_poses_are_clear_and_reached_unhindered(robot: Embodiment) -> None:
    guard = CollisionGuard(robot)
    supervisor = make_supervisor(robot, load_safety())
    state = state_at(robot, 0.0, "neutral")
    assert supervisor.arm(0.0, state) == ""
    for pose in ("ready", "neutral"):
        clearance = guard.clearance(robot.poses[pose])
        assert clearance.distance_m > guard.config.stop_distance_m + 0.005, clearance
        state = lead(supervisor, state, robot.poses[pose])
        assert_at(state, robot.poses[pose])


@pytest.mark.parametrize("pose", ["neutral", "ready"])
def test_named_poses_stand_firm(robot: Embodiment, pose: str) -> None:
    stability = Stability(robot)
    assert stability.margin(robot.poses[pose]).margin_m > 0.09
    assert stability.base_speed_scale(robot.poses[pose]) > 0.8


@pytest.mark.parametrize("name", ROBOTS)
def test_wheels_stand_on_the_floor_of_the_guards(name: str) -> None:
    robot = load_embodiment(name)
    kinematics, joints = Kinematics(robot), describe(robot).joints.values()
    hubs = [joint.child for joint in joints if joint.name.startswith("wheel")]
    assert len(hubs) == len(robot.base.wheel_positions)
    for hub in hubs:
        lowest_m = kinematics.pose(hub, {})[2, 3] - robot.base.wheel_radius
        assert CollisionGuard(robot).config.floor_height_m == pytest.approx(lowest_m, abs=1e-3)
        assert Stability(robot).config.floor_height_m == pytest.approx(lowest_m, abs=1e-3)


def test_pairs_left_out_never_touch_or_are_always_close(robot: Embodiment) -> None:
    """Postures that the search for these pairs did not see."""
    config = load_collision_config(robot)
    model = CollisionModel(robot, dataclasses.replace(config, disabled={}))
    reasons = {
        reason: dataclasses.replace(config, disabled={reason: pairs}).disabled_pairs()
        for reason, pairs in config.disabled.items()
    }
    pairs = [frozenset(names) for names in model.pair_names]
    exact_below = np.full(len(pairs), config.slow_distance_m)
    lower, upper = model.joints.limits("lower"), model.joints.limits("upper")
    for posture in np.random.default_rng(11).uniform(lower, upper, (150, len(lower))):
        model.place(posture)
        nearest: dict[frozenset[str], float] = {}
        for pair, distance_m in zip(pairs, model.distances(exact_below), strict=True):
            nearest[pair] = min(nearest.get(pair, np.inf), distance_m)
        assert all(nearest[pair] > 0.0 for pair in reasons["never"])
        assert all(nearest[pair] < config.slow_distance_m for pair in reasons["always"])


def test_arms_folded_on_themselves_may_unfold() -> None:
    """The R1 Lite's description stands at zero with links nearer than the stop distance."""
    robot = load_embodiment("r1_lite")
    guard = CollisionGuard(robot)
    folded = {name: np.zeros(robot.group(name).lower.size) for name in Embodiment.GROUPS}
    assert guard.clearance(folded).distance_m < guard.config.stop_distance_m
    state = state_at(robot, 0.0, "neutral")
    state = follow(state, command_like(state, 0.0, **folded))
    supervisor = make_supervisor(robot, load_safety())
    assert supervisor.arm(0.0, state) == ""
    assert_at(lead(supervisor, state, robot.poses["neutral"]), robot.poses["neutral"])


# -- sticks and buttons -----------------------------------------------------------------------


def test_engages_and_drives(robot: Embodiment) -> None:
    person = Teleoperation(robot)
    assert person.hold(1.5).engagement is Engagement.ENGAGED
    for left, buttons, sign in (
        ((0, 1), (), (1, 0, 0)),
        ((-1, 0), (), (0, 1, 0)),
        ((-1, 0), ("stick",), (0, 0, 1)),
    ):
        person.hold(1.5, *buttons, left=left)
        velocity = person.sent[-1].base_velocity
        axis = int(np.argmax(sign))
        # Less where the robot reaches far or stands tall; see BaseRule.
        assert velocity[axis] > 0.5 * robot.base.max_velocity[axis]
        np.testing.assert_allclose(np.delete(velocity, axis), 0.0, atol=1e-6)
        person.hold(0.5)


def test_both_arms_follow_the_leader_in_every_joint(robot: Embodiment) -> None:
    person = Teleoperation(robot)
    person.hold(1.5)
    for arm in ARMS:
        group = robot.group(arm)
        inward = np.sign((group.lower + group.upper) / 2.0 - person.leader[arm])
        person.leader[arm] = person.leader[arm] + 0.1 * inward
    person.hold(1.5)
    for arm in ARMS:
        np.testing.assert_allclose(
            getattr(person.state, arm).position, person.leader[arm], atol=1e-3
        )
    assert_within_limits(robot, person.sent)
    assert_smooth(robot, person.sent)


def test_wrist_lock_holds_the_last_three_joints(robot: Embodiment) -> None:
    person = Teleoperation(robot, guarded=False)
    person.hold(1.5)
    person.hold(0.1, "sl")
    before = person.sent[-1].right_arm
    middle = (robot.right_arm.lower + robot.right_arm.upper) / 2.0
    person.leader["right_arm"] = before + np.clip(middle - before, -0.1, 0.1)
    person.hold(1.0)
    moved = person.sent[-1].right_arm - before
    np.testing.assert_allclose(moved[-3:], 0.0, atol=1e-9)
    np.testing.assert_allclose(
        moved[:-3], person.leader["right_arm"][:-3] - before[:-3], atol=1e-6
    )


def test_right_stick_leans_the_trunk(robot: Embodiment) -> None:
    """Pulling back leans forward, as BRS has it: up raises the trunk."""
    person = Teleoperation(robot)
    person.hold(1.5)
    before = trunk(robot, person.torso)
    person.hold(0.5, right=(0, -1))
    after = trunk(robot, person.torso)
    assert after[0, 2] - before[0, 2] > 0.1  # its upward axis tips forward
    person.hold(0.5, right=(0, 1))
    person.hold(0.5)  # the robot lags its command
    np.testing.assert_allclose(trunk(robot, person.torso), before, atol=0.02)


def test_right_stick_turns_the_waist_or_says_that_there_is_none(robot: Embodiment) -> None:
    person = Teleoperation(robot)
    person.hold(1.5)
    before = person.torso
    output = person.hold(0.5, right=(-1, 0))
    turn = trunk(robot, before).T @ trunk(robot, person.torso)
    if robot.torso.waist_yaw:
        assert output.message == "" and turn[1, 0] > 0.1  # to the left
    else:
        assert "no joint that turns the waist" in output.message and robot.name in output.message
        np.testing.assert_allclose(person.torso, before, atol=1e-6)


def test_squat_is_reached_and_left_again(robot: Embodiment) -> None:
    person = Teleoperation(robot)
    person.hold(1.5)
    start = person.torso
    moving = robot.torso.squat != robot.torso.stand
    person.hold(5.5, "down")
    np.testing.assert_allclose(person.torso[moving], robot.torso.squat[moving], atol=1e-3)
    np.testing.assert_allclose(person.torso[~moving], start[~moving], atol=1e-3)
    lowered_m = trunk(robot, start)[2, 3] - trunk(robot, person.torso)[2, 3]
    assert lowered_m > 0.3
    person.hold(5.5, "up")
    np.testing.assert_allclose(person.torso[moving], robot.torso.stand[moving], atol=1e-3)
    assert_within_limits(robot, person.sent)
    assert_smooth(robot, person.sent)


def test_height_axis_lowers_a_level_trunk(robot: Embodiment) -> None:
    person = Teleoperation(robot, torso_mode="height")
    person.hold(1.5)
    before = trunk(robot, person.torso)
    person.hold(3.0, "down")
    after = trunk(robot, person.torso)
    assert before[2, 3] - after[2, 3] > 0.2
    np.testing.assert_allclose(after[:3, :3], before[:3, :3], atol=0.02)
    np.testing.assert_allclose(after[:2, 3], before[:2, 3], atol=0.01)
    assert_within_limits(robot, person.sent)
    assert_smooth(robot, person.sent)


@pytest.mark.parametrize("lacking", ["waist_yaw", "hip_pitch", "squat"])
def test_a_torso_that_lacks_something_says_so_and_stands_still(lacking: str) -> None:
    r1 = load_embodiment("r1")
    without: dict[str, object] = {lacking: ""}
    if lacking == "squat":
        without = {"stand": np.zeros(0), "squat": np.zeros(0)}
    robot = dataclasses.replace(r1, torso=dataclasses.replace(r1.torso, **without))  # type: ignore[arg-type]
    person = Teleoperation(robot, guarded=False)
    person.hold(1.5)
    start = person.torso
    done = {
        "waist_yaw": lambda: person.hold(0.3, right=(1, 0)),
        "hip_pitch": lambda: person.hold(0.3, right=(0, 1)),
        "squat": lambda: person.hold(0.3, "down"),
    }[lacking]()
    assert "the torso of r1 has no" in done.message
    np.testing.assert_array_equal(person.torso, start)
    assert person.hold(0.3).message == ""


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"hip_pitch": "torso_joint9"}, "'hip_pitch' is 'torso_joint9'"),
        ({"squat": np.zeros(3)}, "'squat' needs 4 numbers"),
        ({"squat": np.array([9.0, 0.0, 0.0, 0.0])}, "'squat' lies outside"),
        ({"squat": np.zeros(4)}, "are the same"),
    ],
)
def test_wrong_meanings_of_the_torso_are_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(load_embodiment("r1").torso, **wrong)  # type: ignore[arg-type]


def test_a_wild_person_cannot_break_a_limit(robot: Embodiment) -> None:
    """Every stick, button and joint at random; the whole chain keeps all limits."""
    random = np.random.default_rng(7)
    person = Teleoperation(robot)
    guard, stability = CollisionGuard(robot), Stability(robot)
    person.hold(1.5)
    for _ in range(12):
        for arm in ARMS:
            group = robot.group(arm)
            step = random.uniform(-0.5, 0.5, len(group.joints))
            person.leader[arm] = np.clip(person.leader[arm] + step, group.lower, group.upper)
        buttons = random.choice(["up", "down", "stick", "zl", "zr", "minus", "plus", "sl"], 2)
        person.hold(0.4, *buttons, left=random.uniform(-1, 1, 2), right=random.uniform(-1, 1, 2))
    assert_within_limits(robot, person.sent)
    for command in person.sent[::10]:
        nearest = guard.clearance(postures(command))
        assert nearest.distance_m >= guard.config.stop_distance_m - 1e-4, nearest
        margin_m = stability.margin(postures(command)).margin_m
        assert margin_m >= stability.config.min_margin_m - 1e-3
    assert np.ptp([command.torso for command in person.sent], axis=0).max() > 0.2  # it did move


# -- the height axis of each torso ------------------------------------------------------------


def test_height_and_pitch_are_those_of_forward_kinematics(robot: Embodiment) -> None:
    axis, kinematics = TorsoHeight(robot), Kinematics(robot)
    random = np.random.default_rng(3)
    joints = robot.torso.joints
    top = describe(robot).joint(joints[min(3, len(joints) - 1)]).child
    for torso in random.uniform(robot.torso.lower, robot.torso.upper, (30, len(joints))):
        pose = kinematics.pose(top, {"torso": torso})
        assert axis.height_m(torso) == pytest.approx(pose[2, 3], abs=1e-9)
        pitch = np.arctan2(pose[0, 2], pose[2, 2])
        if len(joints) == 3:  # else the waist's turn is in it
            assert np.cos(axis.pitch_rad(torso) - pitch) == pytest.approx(1.0, abs=1e-9)


def test_knees_bend_to_the_side_that_the_limits_leave(robot: Embodiment) -> None:
    axis = TorsoHeight(robot)
    low_m, high_m = axis.reach_m(robot.torso.stand)
    assert high_m - low_m > 0.4
    torso = robot.torso.stand
    for _ in range(300):
        torso = axis.step(torso, -0.1, STEP_S)
    assert np.sign(torso[1]) == np.sign(robot.torso.squat[1]) and abs(torso[1]) > 0.5
