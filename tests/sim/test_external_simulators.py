"""The vendor's side of a simulator that knows joints only: against World, on the same physics."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_sim.external import contract
from brs_sim.external.posture import start_positions
from brs_sim.external.vendor_side import JointReading, VendorSide
from brs_sim.gazebo.bridge import bridge_entries
from brs_sim.model import BASE_JOINTS, build_model
from brs_sim.tasks import make_task
from brs_sim.world import World

ROBOTS = ("r1", "r1_pro", "r1_lite")
R1 = load_embodiment("r1")
TICK_S = 0.005


class Simulator:
    """MuJoCo without anything of World: joint targets in, joint states out."""

    def __init__(self) -> None:
        self.model = build_model(R1)
        self.data = mujoco.MjData(self.model)
        start = make_task("shelves", R1, 0).start
        for joint, value in start_positions(R1, start).items():
            self.data.joint(joint).qpos[0] = self.data.actuator(joint).ctrl[0] = value
        mujoco.mj_forward(self.model, self.data)

    def readings(self) -> dict[str, JointReading]:
        joints = (*BASE_JOINTS, *contract.servo_joints(R1))
        found = {name: self.data.joint(name) for name in joints}
        return {
            name: JointReading(*(float(v[0]) for v in (j.qpos, j.qvel, j.qfrc_actuator)))
            for name, j in found.items()
        }

    def step(self, positions: dict[str, float], velocities: dict[str, float]) -> None:
        for name, value in positions.items():
            self.data.actuator(name).ctrl[0] = value
        for name, value in velocities.items():  # a servo of speed, by the servo of position
            self.data.actuator(name).ctrl[0] = self.data.joint(name).qpos[0] + value * 0.105
        mujoco.mj_step(self.model, self.data, round(TICK_S / self.model.opt.timestep + 0.1))


def run(side: VendorSide, simulator: Simulator, duration_s: float, again: bool = True) -> None:
    """Base commands come again and again, as from a robot node."""
    wanted = side._base_wanted
    while duration_s > 0:
        if again:
            side.command_base(*wanted)
        side.measured(simulator.readings())
        targets = side.targets(simulator.data.time, TICK_S)
        assert targets is not None
        simulator.step(targets.positions, targets.velocities)
        duration_s -= TICK_S


def test_follows_as_world_does() -> None:
    side, simulator, world = VendorSide(R1), Simulator(), World(R1, "shelves", 0)
    world.chassis.place(np.zeros(3))
    arm = np.array([1.2, 2.5, -2.0, 0.3, 0.2, -0.4])
    side.measured(simulator.readings())
    for follower in (side, world):
        follower.command_joints("left_arm", arm)
        follower.command_joints("torso", np.array([0.2, -0.4, -0.2, 0.3]))
        follower.command_gripper("right_gripper", 20.0)
    run(side, simulator, 1.5)
    world.step(1.5)
    told, expected = side.feedback(1.5), world.feedback()
    assert told is not None
    for name in R1.GROUPS:
        assert told.joints[name].position == pytest.approx(
            expected.joints[name].position, abs=0.02
        )
    for name in R1.GRIPPERS:
        stroke = told.grippers[name].stroke_mm
        assert stroke == pytest.approx(expected.grippers[name].stroke_mm, abs=1.0)
    assert told.joints["left_arm"].position == pytest.approx(arm, abs=0.03)


def test_drives_where_it_heads_and_stops_without_news() -> None:
    side, simulator = VendorSide(R1), Simulator()
    side.command_base(0.0, 0.0, 0.5)
    run(side, simulator, 2.0)
    side.command_base(0.3, 0.0, 0.0)
    run(side, simulator, 1.0)
    told = side.feedback(3.0)
    assert told is not None
    heading = told.base_pose[2]
    assert heading > 0.6
    assert told.base_velocity == pytest.approx([0.3, 0.0, 0.0], abs=0.06)
    assert told.wheel_speed == pytest.approx(0.3 / R1.base.wheel_radius, rel=0.2)
    assert np.arctan2(told.base_pose[1], told.base_pose[0]) == pytest.approx(heading, abs=0.2)
    run(side, simulator, 1.5, again=False)  # nobody commands any more
    told = side.feedback(4.5)
    assert told is not None
    assert np.abs(told.base_velocity).max() < 0.01


def test_brake_holds_whatever_is_commanded() -> None:
    side, simulator = VendorSide(R1), Simulator()
    side.brake(True)
    side.command_base(0.3, 0.0, 0.0)
    run(side, simulator, 0.5)
    side.measured(simulator.readings())
    told = side.feedback(0.5)
    assert told is not None and np.abs(told.base_pose).max() < 1e-3


def test_nothing_moves_before_all_joints_are_known() -> None:
    side, simulator = VendorSide(R1), Simulator()
    readings = simulator.readings()
    last = readings.popitem()
    side.measured(readings)
    assert side.missing() == (last[0],)
    assert side.targets(0.0, TICK_S) is None and side.feedback(0.0) is None
    side.measured(dict([last, ("wardrobe_door", last[1])]))
    targets = side.targets(0.0, TICK_S)
    assert targets is not None
    measured = simulator.readings()
    for joint, value in targets.positions.items():  # and then everything stays where it is
        assert value == measured[joint].position
    assert set(targets.velocities.values()) == {0.0}


def test_targets_move_no_faster_than_the_motors() -> None:
    side, simulator = VendorSide(R1), Simulator()
    side.measured(simulator.readings())
    before = side.targets(0.0, TICK_S)
    side.command_gripper("left_gripper", 0.0)
    after = side.targets(TICK_S, TICK_S)
    assert before is not None and after is not None
    for finger in R1.left_gripper.joints:
        assert before.positions[finger] - after.positions[finger] == pytest.approx(0.25 * TICK_S)


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("command_joints", ("left_arms", np.zeros(6)), "left_arm"),
        ("command_joints", ("left_arm", np.zeros(5)), "6 finite"),
        ("command_joints", ("left_arm", np.full(6, np.nan)), "6 finite"),
        ("command_gripper", ("grip", 0.0), "gripper"),
        ("command_gripper", ("left_gripper", np.inf), "finite"),
        ("command_base", (0.0, np.nan, 0.0), "finite"),
    ],
)
def test_bad_commands_are_refused_as_by_world(
    name: str, values: tuple[object, ...], complaint: str
) -> None:
    for follower in (VendorSide(R1), World(R1, "shelves", 0)):
        with pytest.raises(BrsError, match=complaint):
            getattr(follower, name)(*values)


class TestContract:
    @pytest.mark.parametrize("robot", ROBOTS)
    def test_simulators_cameras_are_the_contract(self, robot: str) -> None:
        embodiment = load_embodiment(robot)
        bridged = {
            (e.ros_topic_name, e.ros_type_name): e.direction for e in bridge_entries(embodiment)
        }
        for topic in contract.camera_topics(embodiment):
            assert bridged[topic.name, topic.kind] == "GZ_TO_ROS"
        single = contract.single_joint_topics(embodiment)
        for joint in (*BASE_JOINTS, *contract.servo_joints(embodiment)):
            assert bridged[single[joint].name, single[joint].kind] == "ROS_TO_GZ"
        state = contract.joint_topics()[0]
        assert bridged[state.name, state.kind] == "GZ_TO_ROS"
