"""The supervisor with all its guards: what it lets a person do to the robot, and what not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from robot_samples import command_like, state_at

from brs_hardware.collision import CollisionGuard
from brs_hardware.collision_config import KeepOut
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.safety import SafetyVerdict
from brs_hardware.safety.setup import SafetySetup, load_safety, make_supervisor
from brs_hardware.stability import Stability

STEP_S = 0.01
TABLE = KeepOut("table", np.array([1.2, 0.0, 0.35]), np.array([0.3, 0.6, 0.35]), frame="odom")


class Robot:
    """Follows its commands exactly; its base drives as told."""

    def __init__(self, robot: Embodiment, pose: str = "ready", **setup: object) -> None:
        self.robot, self.now_s = robot, 0.0
        self.supervisor = make_supervisor(robot, SafetySetup(**setup))  # type: ignore[arg-type]
        self.state = state_at(robot, 0.0, pose)
        assert self.supervisor.arm(0.0, self.state) == ""
        self.told: set[str] = set()

    def run(self, seconds: float, **changes: object) -> SafetyVerdict:
        """Ask for the same all the time; notes every rule that acted."""
        asked = command_like(self.state, 0.0, **changes)
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            self.state = dataclasses.replace(self.state, stamp_s=self.now_s)
            command = dataclasses.replace(asked, stamp_s=self.now_s)
            self.supervisor.offer(self.now_s, command)
            verdict = self.supervisor.step(self.now_s, self.state)
            self.told |= {event.rule for event in verdict.events}
            self._follow(verdict)
        return verdict

    def _follow(self, verdict: SafetyVerdict) -> None:
        assert verdict.command is not None
        groups = {
            name: dataclasses.replace(
                getattr(self.state, name), position=getattr(verdict.command, name)
            )
            for name in Embodiment.GROUPS
        }
        x, y, yaw = self.state.base_pose
        forward, left, turn = verdict.command.base_velocity * STEP_S
        pose = np.array(
            [
                x + np.cos(yaw) * forward - np.sin(yaw) * left,
                y + np.sin(yaw) * forward + np.cos(yaw) * left,
                yaw + turn,
            ]
        )
        self.state = dataclasses.replace(self.state, base_pose=pose, **groups)

    @property
    def joints(self) -> dict[str, np.ndarray]:
        return {name: getattr(self.state, name).position for name in Embodiment.GROUPS}


# The forearm through the hips, and the same on the other side.
INTO_THE_BODY = {
    "left_arm": np.array([1.6, 3.2, -1.2, -0.4, -0.9, -0.3]),
    "right_arm": np.array([-1.6, 3.2, -1.2, 0.4, 0.9, 0.3]),
}


@pytest.mark.parametrize("arm", list(INTO_THE_BODY))
def test_an_arm_is_stopped_before_it_hits_the_body(robot: Embodiment, arm: str) -> None:
    follower = Robot(robot)
    guard = CollisionGuard(robot)
    inward = {arm: INTO_THE_BODY[arm]}
    nearest_m = np.inf
    for _ in range(30):
        follower.run(0.1, **inward)
        nearest_m = min(nearest_m, guard.clearance(follower.joints).distance_m)
    assert "self_collision" in follower.told
    assert nearest_m >= guard.config.stop_distance_m - 1e-4
    free = Robot(robot, collisions=False)
    free.run(3.0, **inward)
    assert guard.clearance(free.joints).distance_m < 0.0  # it would have hit


def test_leaning_too_far_is_stopped_before_the_robot_tips(robot: Embodiment) -> None:
    lean = np.array([1.6, 0.0, 0.0, 0.0])  # the whole trunk forward about its lowest joint
    follower = Robot(robot, collisions=False)
    stability = Stability(robot)
    follower.run(8.0, torso=lean)
    least_m = stability.config.min_margin_m
    assert "tip_over" in follower.told
    assert stability.margin(follower.joints).margin_m >= least_m - 1e-3
    free = Robot(robot, collisions=False, balance=False)
    free.run(8.0, torso=lean)
    assert stability.margin(free.joints).margin_m < 0.0  # it would have tipped
    # And it comes back by itself when asked.
    follower.run(8.0, torso=np.zeros(4))
    np.testing.assert_allclose(follower.state.torso.position, 0.0, atol=1e-3)


def test_stretched_arms_slow_the_base(robot: Embodiment) -> None:
    fast = {"base_velocity": np.array([0.0, 0.0, 0.4])}
    near = Robot(robot).run(2.0, **fast).command
    stretched = Robot(robot)
    reach = {
        "left_arm": np.array([0.0, 3.08, -2.92, 0.0, 0.0, 0.0]),
        "right_arm": np.array([0.0, 3.08, -2.92, 0.0, 0.0, 0.0]),
    }
    stretched.run(4.0, **reach)
    far = stretched.run(2.0, **reach, **fast).command
    assert near and far
    assert near.base_velocity[2] == pytest.approx(0.4, rel=0.02)
    assert far.base_velocity[2] < 0.37 and "base_velocity" in stretched.told


def test_the_base_stops_before_a_table_and_drives_away_from_it(robot: Embodiment) -> None:
    follower = Robot(robot, keep_outs=(TABLE,))
    follower.run(6.0, base_velocity=np.array([0.3, 0.0, 0.0]))
    assert "keep_out" in follower.told
    assert follower.state.base_pose[0] > 0.1  # it did drive
    stood = follower.run(0.5, base_velocity=np.array([0.3, 0.0, 0.0]))
    assert stood.command is not None and stood.command.base_velocity[0] == 0.0
    clear = CollisionGuard(robot, keep_outs=(TABLE,)).clearance
    assert clear(follower.joints, follower.state.base_pose).distance_m > 0.0
    back = follower.run(1.0, base_velocity=np.array([-0.2, 0.0, 0.0]))
    assert back.command is not None and back.command.base_velocity[0] == pytest.approx(-0.2)


def test_the_shipped_set_up_is_the_default_of_the_code() -> None:
    assert load_safety() == SafetySetup()


def test_unknown_thresholds_are_refused(tmp_path: object) -> None:
    path = tmp_path / "mine.yaml"  # type: ignore[operator]
    path.write_text("rules: {command_timeout: 1.0}\n")
    with pytest.raises(ConfigError, match="command_timeout"):
        load_safety(str(path))


@pytest.mark.parametrize("name", ["r1", "r1_lite", "r1_pro"])
def test_every_robot_has_its_guards(name: str) -> None:
    robot = load_embodiment(name)
    supervisor = make_supervisor(robot, load_safety())
    state = state_at(robot, 0.0, "neutral")
    assert supervisor.arm(0.0, state) == ""
    supervisor.offer(0.01, command_like(state, 0.01))
    moved = supervisor.step(0.01, dataclasses.replace(state, stamp_s=0.01))
    assert moved.command is not None and not moved.events
