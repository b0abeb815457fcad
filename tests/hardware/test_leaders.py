"""Leaders without a JoyLo: each kind moves the robot, and each lets go when in doubt."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from robot_samples import state_at
from scipy.spatial.transform import Rotation

from brs_hardware.config import config_folder
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics
from brs_hardware.leaders import LEADERS, DirectLeader, LeaderSamples, make_leader
from brs_hardware.leaders.chains import ChainReading
from brs_hardware.teleop import DEADMAN, Engagement, TeleopMapper, TeleopOutput
from brs_hardware.types import LeaderSample

R1 = load_embodiment("r1")
KINEMATICS = Kinematics(R1)
STEP_S = 0.01
SIDES = ("left", "right")
LEVEL = np.array([0.0, 0.0, 0.0, 1.0])  # quaternion
# Elbows and wrists bent, far from singular postures.
BENT = {"left": [0.8, 1.6, -1.8, 0.6, -1.0, 0.3], "right": [-0.8, 1.6, -1.8, -0.6, 1.0, -0.3]}


class Device:
    """What a kind's device says every 10 ms; attributes are what a person does to it."""

    def __init__(self) -> None:
        self.axes = np.array([0.0, 0, 1, 0, 0, 1, 0, 0])  # as `joy`: released triggers are 1
        self.buttons: set[int] = set()
        self.keys = "?"  # one that means nothing shows that the person is there
        self.hands = {side: (np.zeros(3), LEVEL) for side in SIDES}
        self.grips = dict.fromkeys(SIDES, True)
        self.arms = {side: np.array(BENT[side]) for side in SIDES}
        self.latched = False

    def _joy(self, held: bool) -> np.ndarray:
        numbers = self.buttons | ({4} if held else set())
        return np.array([int(number in numbers) for number in range(11)])

    def gamepad(self, leader: Any, now_s: float, held: bool) -> None:
        leader.gamepad.hear(now_s, self.axes, self._joy(held))

    def keyboard(self, leader: Any, now_s: float, held: bool) -> None:
        if held != self.latched:
            leader.hear(now_s, "\r")
        for key in self.keys:
            leader.hear(now_s, key)
        self.latched = held

    def poses(self, leader: Any, now_s: float, held: bool) -> None:
        for side in SIDES:
            leader.hear_pose(now_s, side, *self.hands[side])
            leader.hear_buttons(now_s, side, np.zeros(2), [0, int(held and self.grips[side])])

    def chains(self, leader: Any, now_s: float, held: bool) -> None:
        leader.gamepad.hear(now_s, self.axes, self._joy(held))
        leader.hear(now_s, ChainReading(dict(self.arms), dict.fromkeys(SIDES, 0.0)))


class Stage:
    """Person, leader, teleop, and a robot that is at once where it is told to be."""

    def __init__(self, kind: str, robot: Embodiment = R1, **settings: Any) -> None:
        names = {"poses": "vr", "chains": "gello"}
        self.leader: Any = make_leader(names.get(kind, kind), robot)
        if settings:
            changed = dataclasses.replace(self.leader.settings, **settings)
            self.leader = LEADERS[kind](robot, changed)
        self.device = Device()
        self._say = getattr(self.device, kind)
        self.mapper = TeleopMapper(robot)
        self.now_s = 100.0
        self.state = state_at(robot, self.now_s)
        for side in SIDES:
            self.place(side, np.array(BENT[side]))
        self.samples: LeaderSamples | None = None
        self.commands = 0

    def place(self, side: str, arm: np.ndarray) -> None:
        group = dataclasses.replace(getattr(self.state, f"{side}_arm"), position=arm)
        self.state = dataclasses.replace(self.state, **{f"{side}_arm": group})

    def run(self, seconds: float, held: bool = True, silent: bool = False) -> TeleopOutput:
        output = None
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            self.state = dataclasses.replace(self.state, stamp_s=self.now_s)
            if not silent:
                self._say(self.leader, self.now_s, held)
            self.samples = self.leader.update(self.now_s, self.state) or self.samples
            said = self.samples
            if said is None:
                continue
            output = self.mapper.update(self.now_s, said.arms, said.left, said.right, self.state)
            if output.command is not None:
                self.commands += 1
                for side in SIDES:
                    self.place(side, getattr(output.command, f"{side}_arm"))
        assert output is not None
        return output

    def engage(self) -> None:
        self.run(0.1, held=False)
        assert self.run(1.5).engagement is Engagement.ENGAGED

    def tool(self, side: str) -> np.ndarray:
        arm = getattr(self.state, f"{side}_arm").position
        return KINEMATICS.pose(f"{side}_tcp", {f"{side}_arm": arm})


def robot_jumps(stage: Stage) -> None:
    stage.place("left", stage.state.left_arm.position - 0.7)


def robot_is_not_a_number(stage: Stage) -> None:
    stage.place("right", stage.state.right_arm.position * np.nan)


def axis_is_not_a_number(stage: Stage) -> None:
    stage.device.axes[1] = np.nan


def hand_is_not_a_number(stage: Stage) -> None:
    stage.device.hands["left"] = (np.array([0.0, np.nan, 0.0]), LEVEL)


def hand_is_no_rotation(stage: Stage) -> None:
    stage.device.hands["right"] = (np.zeros(3), np.zeros(4))


def hand_jumps(stage: Stage) -> None:
    stage.device.hands["right"] = (np.array([0.2, 0.0, 0.0]), LEVEL)


def hand_turns_at_once(stage: Stage) -> None:
    stage.device.hands["left"] = (np.zeros(3), np.array([0.0, 0.0, 1.0, 0.0]))


def arm_is_not_a_number(stage: Stage) -> None:
    stage.device.arms["left"] = np.full(6, np.nan)


def arm_jumps(stage: Stage) -> None:
    stage.device.arms["right"] = stage.device.arms["right"] + np.array([0, 0, 0.5, 0, 0, 0])


FAULTS: dict[str, tuple[Callable[[Stage], None], ...]] = {
    "gamepad": (robot_jumps, robot_is_not_a_number, axis_is_not_a_number),
    "keyboard": (robot_jumps, robot_is_not_a_number),
    "poses": (
        robot_jumps,
        robot_is_not_a_number,
        hand_is_not_a_number,
        hand_is_no_rotation,
        hand_jumps,
        hand_turns_at_once,
    ),
    "chains": (axis_is_not_a_number, arm_is_not_a_number, arm_jumps),
}


def test_every_registered_kind_is_tested_here() -> None:
    assert FAULTS.keys() == LEADERS.keys()


@pytest.mark.parametrize("kind", sorted(LEADERS))
def test_engages_where_the_robot_is_without_a_jump(kind: str) -> None:
    stage = Stage(kind)
    before = stage.state
    stage.run(0.1, held=False)
    assert stage.commands == 0
    stage.run(1.5)
    assert stage.commands > 100
    for arm in ("left_arm", "right_arm"):
        np.testing.assert_allclose(
            getattr(stage.state, arm).position, getattr(before, arm).position, atol=1e-3
        )
    stage.run(STEP_S, held=False)
    assert stage.run(STEP_S, held=False).engagement is Engagement.IDLE


@pytest.mark.parametrize("kind", sorted(LEADERS))
def test_a_dead_man_held_from_the_start_does_not_count(kind: str) -> None:
    stage = Stage(kind)
    assert stage.run(0.5).command is None and stage.commands == 0


@pytest.mark.parametrize("kind", sorted(LEADERS))
def test_silence_lets_go_and_needs_a_new_press(kind: str) -> None:
    stage = Stage(kind, **({"idle_s": 0.3} if kind == "keyboard" else {}))
    stage.engage()
    assert stage.run(0.5, silent=True).command is None
    if kind == "keyboard":
        stage.device.latched = False  # nothing is held any more that could be released
    else:
        assert stage.run(0.5).command is None
        assert "silent" in stage.leader.problem
    stage.run(0.1, held=False)
    assert stage.run(0.1).engagement is Engagement.RAMPING


@pytest.mark.parametrize(("kind", "fault"), [(k, f) for k, fs in FAULTS.items() for f in fs])
def test_what_cannot_be_trusted_lets_go(kind: str, fault: Callable[[Stage], None]) -> None:
    stage = Stage(kind)
    stage.engage()
    fault(stage)
    stage.commands = 0
    stage.run(STEP_S)
    assert stage.commands <= 1  # the last one stops the base
    assert stage.leader.problem
    stage.commands = 0
    assert stage.run(0.3).command is None and stage.commands == 0


@pytest.mark.parametrize("kind", sorted(LEADERS))
def test_unknown_robot_state_is_silence(kind: str) -> None:
    stage = Stage(kind)
    assert stage.leader.update(0.0, None) is None
    stage.engage()
    assert stage.leader.update(stage.now_s + 1.0, stage.state) is None


@pytest.mark.parametrize("kind", sorted(set(LEADERS) - {"chains"}))
def test_a_blocked_robot_is_not_left_behind(kind: str) -> None:
    """Arms that run far ahead would snap when the robot is free again."""
    stage = Stage(kind)
    stage.run(0.1, held=False)
    start, held = stage.state, {"axes": stage.device.axes}
    stage.device.buttons = {8}
    stage.device.keys = "1]?"
    held["axes"][1] = 1.0
    for step in range(300):
        stage.device.hands["left"] = (np.array([0.01 * min(step, 50), 0.0, 0.0]), LEVEL)
        stage.state = start
        stage.run(STEP_S)
    assert stage.samples is not None
    ahead = np.abs(stage.samples.arms.left_arm - start.left_arm.position).max()
    assert 0.1 < ahead <= 0.4 + 1e-9


def test_a_leader_held_beyond_a_limit_engages_at_the_limit() -> None:
    """Clipping it only from then on was taken for a jump."""
    stage = Stage("chains")
    stage.device.arms["left"][1] = R1.left_arm.lower[1] - 0.4
    stage.place("left", np.clip(stage.device.arms["left"], R1.left_arm.lower, R1.left_arm.upper))
    stage.engage()
    assert stage.state.left_arm.position[1] == R1.left_arm.lower[1]


def test_gamepad_moves_a_tool_along_and_about_its_axes() -> None:
    stage = Stage("gamepad")
    stage.engage()
    stage.device.buttons = {8}  # guide: arms
    stage.run(0.05)
    stage.device.buttons = set()
    stage.run(0.5)
    before, other = stage.tool("left"), stage.tool("right")
    stage.device.axes[[1, 4]] = 1.0, -0.5  # forward, and down
    stage.run(0.4)
    stage.device.axes[[1, 4]] = 0.0
    stage.run(0.5)
    after = stage.tool("left")
    np.testing.assert_allclose(after[:3, 3] - before[:3, 3], [0.1, 0, -0.05], atol=3e-3)
    np.testing.assert_allclose(after[:3, :3], before[:3, :3], atol=0.01)
    np.testing.assert_allclose(stage.tool("right"), other, atol=1e-3)
    stage.device.axes[3] = 1.0  # left: about the vertical
    stage.run(0.5)
    stage.device.axes[3] = 0.0
    stage.run(0.5)
    turn = Rotation.from_matrix(stage.tool("left")[:3, :3] @ after[:3, :3].T).as_rotvec()
    np.testing.assert_allclose(turn, [0, 0, 0.4], atol=0.03)


def test_gamepad_drives_the_base_and_stops_by_its_chord() -> None:
    stage = Stage("gamepad")
    stage.engage()
    stage.device.axes[0] = 1.0  # left
    output = stage.run(1.0)
    assert output.command is not None
    np.testing.assert_allclose(output.command.base_velocity, [0, 0.3, 0], atol=1e-6)
    stage.device.buttons = {6, 7}
    output = stage.run(STEP_S)
    assert output.estop
    output = stage.run(0.1)
    assert output.estop and output.command is None


def test_keyboard_moves_joints_or_tools() -> None:
    stage = Stage("keyboard", moves="joints")
    stage.engage()
    before = stage.state.left_arm.position.copy()
    stage.device.keys = "4]"
    stage.run(0.05)
    stage.device.keys = "?"
    stage.run(0.5)
    moved = stage.state.left_arm.position - before
    np.testing.assert_allclose(moved, [0, 0, 0, 0.2, 0, 0], atol=1e-6)
    stage = Stage("keyboard", moves="tools")
    stage.engage()
    tool = stage.tool("right")
    stage.device.keys = "\t3]"
    stage.run(0.01)
    stage.device.keys = "]"
    stage.run(0.03)
    stage.device.keys = "?"
    stage.run(0.5)
    np.testing.assert_allclose(stage.tool("right")[:3, 3] - tool[:3, 3], [0, 0, 0.04], atol=2e-3)


def test_an_idle_keyboard_releases_itslatched_dead_man() -> None:
    stage = Stage("keyboard", idle_s=0.5)
    stage.engage()
    assert stage.run(0.4, silent=True).command is not None
    assert stage.run(0.2, silent=True).command is None


@pytest.mark.parametrize("heading_rad", [0.0, 0.5 * np.pi])
def test_tools_repeat_the_hands_whatever_way_the_person_looks(heading_rad: float) -> None:
    stage = Stage("poses", heading_rad=heading_rad)
    looks = Rotation.from_euler("z", heading_rad)
    stage.engage()
    before = stage.tool("left")
    for share in np.linspace(0.0, 1.0, 100):
        place = looks.apply(share * np.array([0.1, -0.05, 0.08]))
        turn = looks * Rotation.from_rotvec([0.0, share * 0.3, 0.0]) * looks.inv()
        stage.device.hands["left"] = (place, turn.as_quat())
        stage.run(STEP_S)
    stage.run(0.5)
    after = stage.tool("left")
    np.testing.assert_allclose(after[:3, 3] - before[:3, 3], [0.1, -0.05, 0.08], atol=2e-3)
    turned = Rotation.from_matrix(after[:3, :3] @ before[:3, :3].T).as_rotvec()
    np.testing.assert_allclose(turned, [0, 0.3, 0], atol=0.01)


def test_a_released_grip_reposes_its_hand_while_the_other_goes_on() -> None:
    stage = Stage("poses")
    stage.engage()
    before = stage.tool("left")
    stage.device.grips["left"] = False
    stage.run(0.1)
    stage.device.hands["left"] = (np.array([1.0, 1.0, 1.0]), LEVEL)
    assert stage.run(0.1).command is not None  # a hand that is not held may go anywhere
    stage.device.grips["left"] = True
    assert stage.run(0.5).command is not None
    np.testing.assert_allclose(stage.tool("left"), before, atol=1e-3)


def test_no_button_reindexes_arms_that_rest_on_the_robot() -> None:
    """A clutch's offset would part the leader from the robot for ever."""
    stage = Stage("gamepad")
    stage.device.buttons = {6}
    stage.run(0.1, held=False)
    stage.run(0.1)
    assert stage.samples is not None and stage.samples.left.buttons == {"l"}


@pytest.mark.parametrize("name", ["gamepad", "keyboard", "vr", "gello"])
def test_every_shipped_leader_is_made(name: str) -> None:
    assert isinstance(make_leader(name, R1), DirectLeader)


def test_wrong_leaders_tell_what_is_right(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gamepad"):
        make_leader("gamepda", R1)
    with pytest.raises(ConfigError, match="node joylo"):
        make_leader("joylo", R1)
    path = tmp_path / "mine.yaml"
    for text, says in (
        ("kind: pose", "did you mean poses"),
        ("kind: gamepad\nmoves: tolls", "tools"),
        ("kind: gamepad\nspeed: 1", "unknown key 'speed'"),
        ("kind: poses\nleft_buttons: [zl]", "grip"),
        ("kind: poses\nleft_buttons: [l, capturre]", "capture"),
        ("kind: chains", "'left' is missing"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=says):
            make_leader(str(path), R1)
    text = (config_folder() / "leaders/gello.yaml").read_text()
    path.write_text(text.replace("[left_arm_joint1, ", "[").replace("masters: [1, ", "masters: ["))
    with pytest.raises(ConfigError, match="needs 5 numbers"):
        make_leader(str(path), R1)


def test_sample_types_are_those_of_a_joylo() -> None:
    stage = Stage("poses")
    stage.run(0.1, held=False)
    assert stage.samples is not None
    assert isinstance(stage.samples.arms, LeaderSample)
    assert stage.samples.left.stick.shape == (2,)
    assert not (stage.samples.left.buttons | stage.samples.right.buttons) & DEADMAN
