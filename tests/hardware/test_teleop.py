"""The leader mapping: engagement first, then what each stick and button does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from robot_samples import command_like, state_at

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics
from brs_hardware.teleop import Engagement, TeleopConfig, TeleopMapper, TeleopOutput
from brs_hardware.types import JoyConSample, LeaderSample

STEP_S = 0.01


class Person:
    """Holds the leader; every input is fresh unless it is named as lost."""

    def __init__(self, robot: Embodiment, **config: object) -> None:
        self.mapper = TeleopMapper(robot, TeleopConfig(**config))  # type: ignore[arg-type]
        self.now_s = 10.0
        self.state = state_at(robot, self.now_s)
        self.left_arm = self.state.left_arm.position.copy()
        self.right_arm = self.state.right_arm.position.copy()
        self.stamps: dict[str, float] = {}

    def hold(
        self,
        seconds: float,
        buttons: set[str] = frozenset({"l"}),  # type: ignore[assignment]
        left: tuple[float, float] = (0, 0),
        right: tuple[float, float] = (0, 0),
        lost: str = "",
    ) -> TeleopOutput:
        output = None
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            for name in ("leader", "left", "right", "state"):
                if name != lost:
                    self.stamps[name] = self.now_s
            held = frozenset(buttons)
            output = self.mapper.update(
                self.now_s,
                LeaderSample(self.stamps["leader"], self.left_arm, self.right_arm),
                JoyConSample(self.stamps["left"], np.array(left, float), held),
                JoyConSample(self.stamps["right"], np.array(right, float), held),
                dataclasses.replace(self.state, stamp_s=self.stamps["state"]),
            )
        assert output is not None
        return output


@pytest.fixture
def person(robot: Embodiment) -> Person:
    return Person(robot)


def test_nothing_is_sent_without_the_dead_man(person: Person) -> None:
    output = person.hold(1.0, buttons=set())
    assert output.command is None and output.engagement is Engagement.IDLE


def test_nothing_is_sent_before_every_input_came(robot: Embodiment) -> None:
    output = TeleopMapper(robot).update(0.0, None, None, None, None)
    assert output.command is None and "leader arms: nothing received" in output.message


def test_a_far_leader_is_refused_and_the_joint_named(person: Person) -> None:
    person.right_arm[2] += 1.0
    output = person.hold(1.0)
    assert output.command is None and output.engagement is Engagement.REFUSED
    assert "right_arm_joint3" in output.message and "1.00 rad" in output.message


def test_a_takeover_begins_where_the_robot_was_sent_last(person: Person) -> None:
    """The measured robot lags what a policy commands; starting from it would jump back."""
    person.hold(0.1, buttons=set())
    sent = command_like(
        person.state, person.now_s, left_arm=person.left_arm + 0.2, left_gripper=0.7
    )
    person.now_s += STEP_S
    output = person.mapper.update(
        person.now_s,
        LeaderSample(person.now_s, person.left_arm, person.right_arm),
        JoyConSample(person.now_s, np.zeros(2), frozenset({"l"})),
        JoyConSample(person.now_s, np.zeros(2), frozenset()),
        dataclasses.replace(person.state, stamp_s=person.now_s),
        sent,
    )
    assert output.command is not None and output.engagement is Engagement.RAMPING
    np.testing.assert_allclose(output.command.left_arm, sent.left_arm)
    assert output.command.left_gripper == 0.7


def test_handing_back_lets_go_until_pressed_anew(person: Person) -> None:
    assert not person.hold(1.5).hand_back
    output = person.hold(STEP_S, buttons={"l", "b"})
    assert output.hand_back and output.command is not None  # the last one stops the base
    np.testing.assert_array_equal(output.command.base_velocity, 0)
    held = person.hold(0.5, buttons={"l", "b"})
    assert not held.hand_back and held.command is None and "handed back" in held.message
    assert person.hold(0.2).command is None
    person.hold(0.1, buttons=set())
    assert person.hold(0.2).command is not None


def test_an_input_of_another_clock_is_refused(person: Person) -> None:
    person.hold(1.5)
    person.now_s -= 5.0
    output = person.hold(STEP_S, lost="leader")
    assert output.engagement is Engagement.REFUSED
    assert "leader arms: stamped 4.99 s ahead" in output.message


def test_engaging_ramps_to_the_leader_without_a_jump(person: Person) -> None:
    person.left_arm += 0.4
    first = person.hold(STEP_S)
    assert first.engagement is Engagement.RAMPING and first.command is not None
    np.testing.assert_allclose(first.command.left_arm, person.state.left_arm.position, atol=0.01)
    previous = first.command.left_arm
    for _ in range(150):
        output = person.hold(STEP_S)
        assert output.command is not None
        assert np.all(np.abs(output.command.left_arm - previous) < 0.03)
        previous = output.command.left_arm
    assert output.engagement is Engagement.ENGAGED
    limits = person.mapper.embodiment.left_arm
    np.testing.assert_allclose(
        previous, np.clip(person.left_arm, limits.lower, limits.upper), atol=1e-6
    )


@pytest.mark.parametrize(
    ("buttons", "left", "expected"),
    [
        ({"l"}, (0, 1), (0.3, 0, 0)),
        ({"l"}, (0, -1), (-0.3, 0, 0)),
        ({"l"}, (-1, 0), (0, 0.3, 0)),
        ({"l"}, (1, 0), (0, -0.3, 0)),
        ({"l", "stick"}, (-1, 0.7), (0, 0, 0.4)),
        ({"r", "stick"}, (1, 0), (0, 0, -0.4)),
    ],
)
def test_left_stick_drives_the_base(
    person: Person,
    buttons: set[str],
    left: tuple[float, float],
    expected: tuple[float, float, float],
) -> None:
    command = person.hold(2.0, buttons, left).command
    assert command is not None
    np.testing.assert_allclose(command.base_velocity, expected, atol=1e-6)


def test_right_stick_moves_hip_and_waist_and_stays_near_the_robot(person: Person) -> None:
    person.hold(1.5)
    start = person.state.torso.position
    command = person.hold(0.25, right=(-1, 1)).command
    assert command is not None
    moved = command.torso - start
    assert moved[2] == pytest.approx(0.1, abs=0.01)
    assert moved[3] == pytest.approx(0.1, abs=0.01)
    command = person.hold(5.0, right=(-1, 1)).command  # the robot does not follow: blocked
    assert command is not None
    assert np.all(np.abs(command.torso - start) <= 0.2 + 1e-9)


def test_squat_and_stand_move_the_knees_in_their_ratio(person: Person) -> None:
    person.hold(1.5)
    start = person.state.torso.position
    command = person.hold(0.2, {"l", "down"}).command
    assert command is not None
    moved = command.torso - start
    assert moved[0] > 0 > moved[1]
    assert moved[0] / -moved[1] == pytest.approx(1.74 / 2.70, rel=1e-3)


def test_gripper_hold_mode_follows_the_trigger_once_it_was_used(person: Person) -> None:
    assert person.hold(1.5).command.left_gripper == 0.0  # type: ignore[union-attr]
    assert person.hold(0.1, {"l", "zl"}).command.left_gripper == 1.0  # type: ignore[union-attr]
    output = person.hold(0.1)
    assert output.command.left_gripper == pytest.approx(0.1)  # type: ignore[union-attr]
    assert output.command.right_gripper == 0.0  # type: ignore[union-attr]


def test_gripper_toggle_flips_once_a_press(robot: Embodiment) -> None:
    person = Person(robot, gripper_mode="toggle")
    person.hold(1.5)
    assert person.hold(0.2, {"l", "zr"}).command.right_gripper == 0.0  # type: ignore[union-attr]
    assert person.hold(2.0, {"l", "zr"}).command.right_gripper == 1.0  # type: ignore[union-attr]
    person.hold(0.1)
    output = person.hold(0.5, {"l", "zr"})
    assert output.command.right_gripper == pytest.approx(0.1)  # type: ignore[union-attr]


def test_regrasp_does_not_drop_what_is_held(robot: Embodiment) -> None:
    """Letting go of everything and engaging anew keeps a closed gripper closed."""
    person = Person(robot)
    person.state = dataclasses.replace(person.state, left_gripper=0.8)
    output = person.hold(1.0)
    assert output.command.left_gripper == pytest.approx(0.8)  # type: ignore[union-attr]


def test_clutch_holds_the_arm_and_reindexes(person: Person) -> None:
    person.hold(1.5)
    before = person.hold(0.1).command
    person.left_arm = person.left_arm + 0.3
    output = person.hold(0.5, {"l", "minus"})
    assert output.engagement is Engagement.CLUTCHED
    np.testing.assert_allclose(output.command.left_arm, before.left_arm, atol=1e-6)  # type: ignore[union-attr]
    after = person.hold(0.5).command
    np.testing.assert_allclose(after.left_arm, before.left_arm, atol=1e-6)  # type: ignore[union-attr]
    person.left_arm = person.left_arm - 0.1
    moved = person.hold(0.5).command
    np.testing.assert_allclose(
        moved.left_arm[1:2] - after.left_arm[1:2],  # type: ignore[union-attr]
        -0.1,
        atol=1e-3,
    )


def test_releasing_the_dead_man_stops_the_base_with_one_last_command(person: Person) -> None:
    person.hold(1.5, left=(0, 1))
    output = person.hold(STEP_S, buttons=set(), left=(0, 1))
    assert output.command is not None and output.engagement is Engagement.IDLE
    np.testing.assert_array_equal(output.command.base_velocity, 0)
    assert person.hold(STEP_S, buttons=set()).command is None


@pytest.mark.parametrize(
    ("lost", "name"),
    [
        ("leader", "leader arms"),
        ("left", "left Joy-Con"),
        ("right", "right Joy-Con"),
        ("state", "robot state"),
    ],
)
def test_a_lost_input_lets_go_and_needs_a_new_press(person: Person, lost: str, name: str) -> None:
    person.hold(1.5, left=(0, 1))
    output = person.hold(0.5, left=(0, 1), lost=lost)
    assert output.engagement is Engagement.REFUSED and name in output.message
    assert output.command is None
    output = person.hold(0.5, left=(0, 1))  # back, but the person still holds on
    assert output.command is None and "press again" in output.message
    person.hold(0.1, buttons=set())
    assert person.hold(0.1).engagement is Engagement.RAMPING


def test_estop_button_lets_go_and_asks_for_the_stop(person: Person) -> None:
    person.hold(1.5)
    output = person.hold(STEP_S, {"l", "home"})
    assert output.estop and output.engagement is Engagement.REFUSED
    assert person.hold(0.2).command is None  # needs a new press


def test_nan_from_the_leader_is_an_input_fault(person: Person) -> None:
    person.hold(1.5)
    person.left_arm = person.left_arm * np.nan
    output = person.hold(0.2)
    assert output.command is None and "finite" in output.message


def test_service_lets_go(person: Person) -> None:
    person.hold(1.5)
    person.mapper.allow(False)
    assert person.hold(0.1).engagement is Engagement.REFUSED
    person.mapper.allow(True)
    assert person.hold(0.1).engagement is Engagement.RAMPING


def test_proportional_gripper_moves_at_its_speed_and_stays(robot: Embodiment) -> None:
    person = Person(robot, gripper_mode="proportional", gripper_speed=0.5)
    person.state = dataclasses.replace(person.state, right_gripper=0.8)
    person.hold(1.5)
    closing = person.hold(1.0, {"l", "zl"}).command
    assert closing is not None
    assert (closing.left_gripper, closing.right_gripper) == (pytest.approx(0.5), 0.8)
    kept = person.hold(1.0).command
    assert kept is not None and kept.left_gripper == closing.left_gripper
    opening = person.hold(0.4, {"l", "left", "right"}).command
    assert opening is not None
    assert opening.left_gripper == pytest.approx(0.3)
    assert opening.right_gripper == pytest.approx(0.6)
    ends = person.hold(5.0, {"l", "zl", "right"}).command
    assert ends is not None and (ends.left_gripper, ends.right_gripper) == (1.0, 0.0)


def test_height_mode_moves_the_waist_and_keeps_the_trunk_level(robot: Embodiment) -> None:
    person = Person(robot, torso_mode="height", height_speed_m_s=0.1)
    kinematics = Kinematics(robot)
    person.hold(1.5)

    def waist() -> np.ndarray:
        return kinematics.pose("torso_link4", {"torso": person.state.torso.position})

    def sink(seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            command = person.hold(STEP_S, {"l", "down"}).command
            assert command is not None
            moved = dataclasses.replace(person.state.torso, position=command.torso)
            person.state = dataclasses.replace(person.state, torso=moved)

    before = waist()
    sink(1.0)  # slow at first: the knees are stretched
    bent = waist()
    sink(1.0)
    after = waist()
    assert bent[2, 3] - after[2, 3] == pytest.approx(0.1, abs=1e-6)
    np.testing.assert_allclose(after[:3, :3], before[:3, :3], atol=1e-6)
    np.testing.assert_allclose(after[:2, 3], before[:2, 3], atol=1e-6)


def test_height_mode_waits_level_for_a_robot_that_does_not_follow(robot: Embodiment) -> None:
    person = Person(robot, torso_mode="height")
    start = person.state.torso.position
    command = person.hold(4.0, {"l", "down"}).command
    assert command is not None
    ahead = command.torso - start
    assert 0.15 < np.abs(ahead).max() <= 0.2
    assert ahead[0] + ahead[1] - ahead[2] == pytest.approx(0.0, abs=1e-9)


def test_wrist_lock_holds_the_last_joints_and_reindexes(person: Person) -> None:
    person.hold(1.5)
    before = person.hold(0.1).command
    assert person.hold(0.1, {"l", "sl"}).lock == "wrist"
    person.left_arm = person.left_arm + np.array([0.1, -0.1, -0.1, 0.3, 0.3, 0.3])
    locked = person.hold(0.5)
    assert before is not None and locked.command is not None and locked.lock == "wrist"
    np.testing.assert_allclose(locked.command.left_arm[3:], before.left_arm[3:], atol=1e-9)
    moved = locked.command.left_arm[:3] - before.left_arm[:3]
    np.testing.assert_allclose(moved, [0.1, -0.1, -0.1], atol=1e-3)
    freed = person.hold(0.5, {"l", "sl"})
    assert freed.command is not None and freed.lock == ""
    np.testing.assert_allclose(freed.command.left_arm, locked.command.left_arm, atol=1e-3)
    person.left_arm = person.left_arm + np.array([0, 0, 0, 0.2, 0, 0])
    after = person.hold(0.5).command
    assert after is not None
    assert after.left_arm[3] - before.left_arm[3] == pytest.approx(0.2, abs=1e-3)


def test_arm_lock_holds_both_arms_until_let_go(person: Person) -> None:
    person.hold(1.5)
    before = person.hold(0.1, {"l", "sr"}).command
    person.left_arm = person.left_arm + 0.2
    output = person.hold(0.5)
    assert before is not None and output.command is not None and output.lock == "arm"
    np.testing.assert_array_equal(output.command.left_arm, before.left_arm)
    assert person.hold(STEP_S, buttons=set()).lock == ""


def test_clutch_released_within_the_ramp_does_not_jump_back(person: Person) -> None:
    """The ramp went on from its start, not from where the clutch had held the arm."""
    person.left_arm = person.left_arm + np.array([0.4, 0, 0, 0.4, 0, 0])
    person.hold(0.5)
    held = person.hold(0.2, {"l", "minus"}).command
    freed = person.hold(STEP_S).command
    assert held is not None and freed is not None
    np.testing.assert_allclose(freed.left_arm, held.left_arm, atol=1e-6)


def test_a_jump_of_the_leader_is_an_input_fault(person: Person) -> None:
    person.hold(1.5)
    person.right_arm = person.right_arm - 0.7
    output = person.hold(0.2)
    assert output.command is None and "press again" in output.message


@pytest.mark.parametrize("stick", [(np.nan, 0.0), (0.0, np.inf), (0.0,), ()])
def test_a_broken_stick_is_an_input_fault(person: Person, stick: tuple[float, ...]) -> None:
    person.hold(1.5)
    output = person.hold(0.2, left=stick)  # type: ignore[arg-type]
    assert output.command is None and "left Joy-Con: its stick" in output.message


@pytest.mark.parametrize("wrong", [{"torso_mode": "heigth"}, {"gripper_mode": "hld"}])
def test_unknown_modes_tell_the_nearest(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"did you mean (height|hold)"):
        TeleopConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (field.name, float("nan"))
            for field in dataclasses.fields(TeleopConfig)
            if field.type == "float"
        ),
        ("leader_timeout_s", float("inf")),
        ("state_timeout_s", 100.0),  # milliseconds, where seconds are meant
        ("ramp_s", -1.0),
        ("align_limit_rad", float("inf")),
        ("arm_smoothing", 1.5),
    ],
)
def test_numbers_that_would_switch_a_rule_off_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"teleop: {name} is .*Try: give it a number from 0"):
        TeleopConfig(**{name: value})  # type: ignore[arg-type]
