"""Which pictures are kept while a person moves an arm, and the mount that comes out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from board_views import BOARD, LENS, apart, draw, noisy, shaken

from brs_hardware.camera_calibration.board import Board, project
from brs_hardware.camera_calibration.mounts import link_from_optical
from brs_hardware.camera_calibration.views import Remark, ViewCollector, ViewSettings
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.kinematics import Kinematics
from brs_hardware.types import JointGroupState, WholeBodyState

JOINTS = {
    "torso": np.array([0.3, -0.6, -0.3, 0.0]),
    "left_arm": np.array([0.3, 1.5, -1.5, 0.2, 0.3, 0.0]),
    "right_arm": np.array([-0.3, 1.5, -1.5, -0.2, 0.3, 0.0]),
}
STATE_PERIOD_S = 0.01
JOINT_NOISE_RAD = 1e-4


class Robot:
    """A robot whose camera `left_wrist` sits elsewhere than the description says.

    The board stands 0.4 m before the camera in the posture `JOINTS`.
    """

    def __init__(self, embodiment: Embodiment, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.camera = embodiment.cameras["left_wrist"]
        self.mount = link_from_optical(self.camera) @ shaken(self.random, 0.015, 0.03)
        self._kinematics = Kinematics(embodiment)
        self.joints = {name: values.copy() for name, values in JOINTS.items()}
        middle = np.array([BOARD.columns, BOARD.rows, 0]) * BOARD.square_m / 2
        before = np.eye(4)
        before[:3, 3] = np.array([0.0, 0.0, 0.4]) - middle
        self.board = self.optical @ before
        self.base = np.zeros(3)
        self.now_s = 100.0

    @property
    def optical(self) -> np.ndarray:
        """(4, 4) of the optical frame in base_link."""
        return self._kinematics.pose(self.camera.link, self.joints) @ self.mount

    def look(self) -> np.ndarray:
        """What the camera sees now."""
        return noisy(self.random, draw(np.linalg.inv(self.optical) @ self.board))

    def sees_all(self) -> bool:
        """Whether the whole board is in the picture."""
        to_optical = np.linalg.inv(self.optical) @ self.board
        points = BOARD.corners @ to_optical[:3, :3].T + to_optical[:3, 3]
        if points[:, 2].min() < 0.15:
            return False
        pixels = project(points, LENS)
        return bool(np.all((pixels > 15) & (pixels < (LENS.width - 15, LENS.height - 15))))

    def move(self) -> None:
        """To another posture of the arm in which it sees the board."""
        while True:
            change = self.random.uniform(-1, 1, 6) * (0.25, 0.25, 0.25, 0.5, 0.5, 1.2)
            self.joints["left_arm"] = JOINTS["left_arm"] + change
            if self.sees_all():
                return

    def state(self) -> WholeBodyState:
        """Measured now; then it is a little later."""
        self.now_s += STATE_PERIOD_S
        groups = {}
        for name, values in self.joints.items():
            measured = values + self.random.normal(0.0, JOINT_NOISE_RAD, values.shape)
            groups[name] = JointGroupState(measured, np.zeros_like(values), np.zeros_like(values))
        return WholeBodyState(
            stamp_s=self.now_s,
            base_pose=self.base,
            base_velocity=np.zeros(3),
            left_gripper=0.0,
            right_gripper=0.0,
            **groups,
        )


@pytest.fixture
def arm(robot: Embodiment) -> Robot:
    return Robot(robot)


@pytest.fixture
def collector(robot: Embodiment) -> ViewCollector:
    return ViewCollector(robot, "left_wrist", BOARD)


def show(collector: ViewCollector, arm: Robot, picture: np.ndarray | None = None) -> Remark:
    """A picture of a robot that stands still."""
    for _ in range(15):
        assert collector.add_state(arm.state()) is None
    picture = arm.look() if picture is None else picture
    collector.add_picture(arm.now_s + 0.002, picture, LENS)
    for _ in range(15):
        if remark := collector.add_state(arm.state()):
            return remark
    raise AssertionError("nothing was said of the picture")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_wrist_camera_that_sits_elsewhere_is_found(robot: Embodiment, seed: int) -> None:
    arm, collector = Robot(robot, seed), ViewCollector(robot, "left_wrist", BOARD)
    while collector.lack:
        arm.move()
        show(collector, arm)
    outcome = collector.solve()
    millimetres, degrees = apart(arm.mount, outcome.link_from_optical)
    assert apart(arm.mount, link_from_optical(arm.camera))[0] > 5.0
    assert millimetres < 1.0
    assert degrees < 0.1
    assert outcome.rms_px < 0.5
    assert outcome.hints == ()
    assert len(collector.views) == collector.settings.wanted


def test_a_board_on_the_other_arm_serves_too(robot: Embodiment) -> None:
    collector = ViewCollector(robot, "left_wrist", BOARD, "right_arm_link6")
    arm = Robot(robot)
    kinematics = Kinematics(robot)
    on_link = np.linalg.inv(kinematics.pose("right_arm_link6", arm.joints)) @ arm.board
    while len(collector.views) < 14:
        arm.move()
        arm.joints["right_arm"] = JOINTS["right_arm"] + arm.random.uniform(-0.05, 0.05, 6)
        arm.board = kinematics.pose("right_arm_link6", arm.joints) @ on_link
        if arm.sees_all():
            show(collector, arm)
    assert apart(arm.mount, collector.solve().link_from_optical)[0] < 1.5


def test_a_picture_counts_only_while_the_robot_stands_still(
    collector: ViewCollector, arm: Robot
) -> None:
    remark = None
    for step in range(60):
        arm.joints["left_arm"][4] += 0.002  # 0.2 rad/s
        if step == 30:
            collector.add_picture(arm.now_s, arm.look(), LENS)
        remark = collector.add_state(arm.state()) or remark
    assert remark == Remark(False, "the robot moves")
    assert show(collector, arm).kept


def test_moving_what_carries_neither_camera_nor_board_does_not_matter(
    collector: ViewCollector, arm: Robot
) -> None:
    remark = None
    for step in range(60):
        arm.joints["right_arm"][2] += 0.005
        if step == 30:
            collector.add_picture(arm.now_s, arm.look(), LENS)
        remark = collector.add_state(arm.state()) or remark
    assert remark is not None
    assert remark.kept


def test_the_same_view_is_kept_once(collector: ViewCollector, arm: Robot) -> None:
    assert show(collector, arm).text == f"view 1 kept, {len(BOARD.corners)} corners"
    arm.joints["left_arm"][5] += 0.05
    assert show(collector, arm) == Remark(False, "too like a view that is kept")
    arm.joints["left_arm"][5] += 0.2
    assert show(collector, arm).kept


def test_pictures_without_this_board_are_not_kept(collector: ViewCollector, arm: Robot) -> None:
    unseen = Remark(False, "the board is not seen, or too little of it")
    assert show(collector, arm, np.zeros((240, 320, 3), np.uint8)) == unseen
    other = draw(np.linalg.inv(arm.optical) @ arm.board, LENS, Board(dictionary="DICT_6X6_50"))
    assert show(collector, arm, other) == unseen
    assert collector.views == []


def test_a_picture_of_a_blurred_board_is_not_kept(robot: Embodiment, arm: Robot) -> None:
    strict = ViewCollector(robot, "left_wrist", BOARD, settings=ViewSettings(most_blur_px=1.0))
    remark = show(strict, arm)
    assert not remark.kept
    assert remark.text == "the board is blurred, edges are 2 px wide"


def test_a_bent_board_is_not_kept(collector: ViewCollector, arm: Robot) -> None:
    picture = arm.look()
    picture[:, 160:] = np.roll(picture[:, 160:], 5, axis=0)
    remark = show(collector, arm, picture)
    assert not remark.kept
    assert "off a flat board" in remark.text


def test_a_base_that_moves_is_noticed(robot: Embodiment, arm: Robot) -> None:
    in_room = ViewCollector(robot, "left_wrist", BOARD)
    on_arm = ViewCollector(robot, "left_wrist", BOARD, "right_arm_link6")
    for collector in (in_room, on_arm):
        assert show(collector, arm).kept
    arm.base = np.array([0.012, 0.0, 0.01])
    arm.joints["left_arm"][5] += 0.25
    remark = show(in_room, arm)
    assert not remark.kept
    assert remark.text.startswith("the base has moved by 12 mm and 0.6 degrees since")
    assert show(on_arm, arm).kept


def test_clocks_that_disagree_are_noticed(collector: ViewCollector, arm: Robot) -> None:
    picture = arm.look()
    for ahead_s, said in ((5.0, "ahead of joints"), (-30.0, "no joints were measured")):
        for _ in range(15):
            collector.add_state(arm.state())
        collector.add_picture(arm.now_s + ahead_s, picture, LENS)
        remark = collector.add_state(arm.state())
        assert remark is not None
        assert not remark.kept
        assert said in remark.text
    arm.now_s -= 50.0  # set back
    assert show(collector, arm).kept


def test_a_lens_or_size_that_changes_is_an_error(collector: ViewCollector, arm: Robot) -> None:
    show(collector, arm)
    with pytest.raises(DeviceError, match="do not stay of one size and lens"):
        collector.add_picture(0.0, arm.look(), dataclasses.replace(LENS, fx=LENS.fx + 1))
    with pytest.raises(DeviceError, match="do not stay of one size and lens"):
        collector.add_picture(0.0, np.zeros((480, 640, 3), np.uint8), LENS)


def test_what_is_missing_is_told(robot: Embodiment, arm: Robot) -> None:
    settings = ViewSettings(wanted=3, differs_rad=0.02)
    collector = ViewCollector(robot, "left_wrist", BOARD, settings=settings)
    assert collector.lack == "3 more views"
    with pytest.raises(DeviceError, match="no picture came"):
        collector.solve()
    for count in (1, 2, 3):
        arm.joints["left_arm"][5] += 0.06  # only rolls
        assert show(collector, arm).kept
        if count == 2:
            assert collector.lack == "one more view"
    assert "roll it" not in collector.lack.split(" and ")[0]
    assert "so far the views differ by" in collector.lack
    with pytest.raises(DeviceError, match="3 views of the board are too few"):
        collector.solve()


def test_unknown_cameras_and_links_are_refused(robot: Embodiment) -> None:
    with pytest.raises(ConfigError, match=r"no camera 'left_wirst'.*did you mean left_wrist"):
        ViewCollector(robot, "left_wirst", BOARD)
    with pytest.raises(ConfigError, match=r"no link 'map'"):
        ViewCollector(robot, "left_wrist", BOARD, "map")
