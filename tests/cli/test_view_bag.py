"""`brs view EPISODE --save FILE`: what is recorded is what rerun gets, and bad bags are said."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from view_samples import DELAY_NS, START_NS, SampleBag, Shown, cloud, image, state

from brs_cli.view import main
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_ml.episode import EpisodeError

STATE, COMMAND = "brs_interfaces/msg/WholeBodyState", "brs_interfaces/msg/WholeBodyCommand"
SAFETY, TASK = "brs_interfaces/msg/SafetyState", "brs_interfaces/msg/TaskState"
JOINTS, IMAGE = "sensor_msgs/msg/JointState", "sensor_msgs/msg/Image"
ROBOT = load_embodiment("r1")


def view(bag: Path, *options: str) -> Shown:
    """What rerun shows of a bag."""
    path = bag.parent / "shown.rrd"
    main([str(bag), "--save", str(path), *options])
    return Shown(path)


def capture(seconds: list[float]) -> list[int]:
    return [START_NS + round(second * 1e9) for second in seconds]


def transforms(shown: Shown) -> dict[str, list[tuple[int, str, np.ndarray, np.ndarray]]]:
    """Frame -> (capture [ns], parent, translation, quaternion xyzw) in the order of time."""
    moving = shown.values["/robot/moving"]
    times = shown.times["/robot/moving"]["Transform3D:child_frame"]["capture"]
    found: dict[str, list[tuple[int, str, np.ndarray, np.ndarray]]] = {}
    for row, stamp in enumerate(times):
        frame = moving["Transform3D:child_frame"][row][0]
        found.setdefault(frame, []).append(
            (
                stamp,
                moving["Transform3D:parent_frame"][row][0],
                np.array(moving["Transform3D:translation"][row][0]),
                np.array(moving["Transform3D:quaternion"][row][0]),
            )
        )
    return found


def test_joints_are_shown_measured_and_commanded(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    seconds = [0.01 * i for i in range(30)]
    for second in seconds:
        bag.put("/robot/state", STATE, second, state(second))
        command = {"source": "teleop", "torso": [second] * 4, "left_gripper": 0.5}
        arms = {"left_arm": [2 * second] * 6, "right_arm": [3 * second] * 6}
        bag.put("/robot/command", COMMAND, second, {**command, **arms})
    shown = view(bag.finish())
    expected = [[s + 0.01 * i for i in range(4)] for s in seconds]
    assert np.allclose(shown.numbers("/joints/torso/measured"), expected)
    assert np.allclose(
        shown.numbers("/joints/right_arm/commanded"), [[3 * s] * 6 for s in seconds]
    )
    assert np.allclose(shown.numbers("/grippers/measured"), [[0.25, 1.0]] * 30)
    assert np.allclose(shown.numbers("/grippers/commanded"), [[0.5, 0.0]] * 30)
    assert np.allclose(shown.numbers("/base/measured"), [[0.1, 0.2, 0.3]] * 30)
    times = shown.times["/joints/torso/measured"]["Scalars:scalars"]
    assert times["capture"] == capture(seconds)
    assert times["log_time"] == [stamp + DELAY_NS for stamp in capture(seconds)]
    names = shown.values["/joints/left_arm/measured"]["SeriesLines:names"][0]
    assert names == [f"{joint} measured" for joint in ROBOT.left_arm.joints]
    assert shown.blueprints == 1


def test_the_model_moves_with_the_joints(tmp_path: Path) -> None:
    """Against rotations written out here, about the axes of the URDF."""
    bag = SampleBag(tmp_path)
    bag.put("/robot/state", STATE, 0.0, state(0.0))
    bag.put("/robot/state", STATE, 0.5, state(0.3, base=(1.0, -2.0, math.pi / 2)))
    shown = view(bag.finish())
    found = transforms(shown)
    stamp, parent, translation, quaternion = found["base_link"][1]
    assert (stamp, parent) == (capture([0.5])[0], "odom")
    assert np.allclose(translation, [1.0, -2.0, 0.0])
    assert np.allclose(quaternion, [0, 0, math.sin(math.pi / 4), math.cos(math.pi / 4)])
    # torso_joint2 turns about +y at 0.4 m on torso_link1; torso_joint3 about -y.
    _, parent, translation, quaternion = found["torso_link2"][1]
    assert parent == "torso_link1" and np.allclose(translation, [0, 0, 0.4])
    assert np.allclose(quaternion, [0, math.sin(0.31 / 2), 0, math.cos(0.31 / 2)], atol=1e-6)
    _, _, _, quaternion = found["torso_link3"][1]
    assert np.allclose(quaternion, [0, -math.sin(0.32 / 2), 0, math.cos(0.32 / 2)], atol=1e-6)
    # A quarter closed: 90 mm - 0.25 * 89 mm between the fingers, each half of it.
    _, _, translation, _ = found["left_gripper_finger_link1"][1]
    assert np.allclose(translation, [0.03689, 0.01345 + 0.06775 / 2, 0.0], atol=1e-6)
    links = {frame for frame in found if frame != "base_link"}
    assert len(links) == sum(len(ROBOT.group(name).joints) for name in ROBOT.GROUPS) + 4
    assert any(entity.startswith("/robot/r1/visual_geometries/torso") for entity in shown.values)


@pytest.mark.parametrize("name", ["r1", "r1_lite", "r1_pro"])
def test_every_robot_is_drawn_as_the_episode_says(tmp_path: Path, name: str) -> None:
    robot = load_embodiment(name)
    bag = SampleBag(tmp_path, name)
    bag.put("/robot/state", STATE, 0.0, at_zero(robot))
    shown = view(bag.finish())
    description = describe(robot)
    groups = [robot.group(group).joints for group in robot.GROUPS]
    groups += [robot.gripper(gripper).joints for gripper in robot.GRIPPERS]
    moved = {description.joint(joint).child for group in groups for joint in group}
    assert set(transforms(shown)) == {*moved, description.root}
    drawn = f"/robot/{description.name}/visual_geometries/"
    assert any(entity.startswith(drawn) for entity in shown.values)


def test_cameras_are_frusta_with_colour_and_depth(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    color = np.full((6, 8, 3), (180, 40, 90), dtype=np.uint8)
    depth = np.linspace(0.3, 2.0, 48, dtype=np.float32).reshape(6, 8)
    k = [10.0, 0.0, 4.0, 0.0, 11.0, 3.0, 0.0, 0.0, 1.0]
    for second in (0.0, 0.05, 0.2, 0.25, 0.4):
        info = {"width": 8, "height": 6, "k": k}
        bag.put("/camera/head/camera_info", "sensor_msgs/msg/CameraInfo", second, info)
        bag.put("/camera/head/color/image_raw", IMAGE, second, image(color, "rgb8"))
        bag.put("/camera/head/depth/image_raw", IMAGE, second, image(depth, "32FC1"))
    shown = view(bag.finish(), "--image-hz", "5")
    pinhole = shown.values["/cameras/head"]
    # Rerun keeps the matrix column by column.
    assert pinhole["Pinhole:image_from_camera"] == [[[10, 0, 0, 0, 11, 0, 4, 3, 1]]]
    assert pinhole["Pinhole:resolution"] == [[[8, 6]]]
    assert pinhole["Pinhole:parent_frame"] == [["head_camera_optical_frame"]]
    colors = shown.values["/cameras/head/color"]
    times = shown.times["/cameras/head/color"]["EncodedImage:blob"]["capture"]
    assert times == capture([0.0, 0.2, 0.4])  # 5 a second
    seen = np.asarray(Image.open(io.BytesIO(bytes(colors["EncodedImage:blob"][0][0]))))
    assert seen.shape == (6, 8, 3) and np.abs(seen.astype(int) - color).max() < 12
    depths = shown.values["/cameras/head/depth"]
    assert shown.times["/cameras/head/depth"]["EncodedDepthImage:blob"]["capture"] == times
    seen = np.asarray(Image.open(io.BytesIO(bytes(depths["EncodedDepthImage:blob"][1][0]))))
    assert np.array_equal(seen, np.rint(depth * 1000))
    assert depths["EncodedDepthImage:meter"][0] == [1000.0]


def test_clouds_lie_in_their_frame(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    points = np.array([[1, 2, 3], [4, 5, 6], [np.nan, 0, 0]], dtype=np.float32)
    colors = np.array([[1, 2, 3], [250, 128, 7], [9, 9, 9]], dtype=np.uint8)
    kind = "sensor_msgs/msg/PointCloud2"
    bag.put("/perception/cloud", kind, 0.0, cloud(points, colors))
    shown = view(bag.finish())
    entity = shown.values["/cloud"]
    assert entity["Points3D:positions"] == [points[:2].tolist()]
    assert entity["Points3D:colors"] == [[0x010203FF, 0xFA8007FF]]
    assert entity["CoordinateFrame:frame"] == [["base_link"]]


def test_states_and_lines_come_once_each(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)

    def held(age_s: float) -> list[dict[str, Any]]:
        return [{"rule": "command_stale", "severity": 2, "message": f"{age_s:g} s old"}]

    for second, (mode, holding, events) in enumerate(
        [(0, True, []), (1, False, []), (1, True, held(1)), (1, True, held(2)), (1, False, [])]
    ):
        safety = {"mode": mode, "source": "teleop", "holding": holding, "events": events}
        bag.put("/robot/safety", SAFETY, second, safety)
        task = {
            "task": "shelves",
            "subtasks": ["cup on shelf", "can"],
            "done": [second > 2, False],
        }
        bag.put("/sim/task", TASK, second, task)
        status = {
            "name": "/robot",
            "level": int(second == 2),
            "message": "x" * (second // 2),
            "values": [],
        }
        kind = "diagnostic_msgs/msg/DiagnosticArray"
        bag.put("/diagnostics", kind, second, {"status": [status]})
    shown = view(bag.finish())
    assert shown.states("/states/mode") == ["disarmed", "armed"]
    assert shown.states("/states/drives") == ["nobody", "teleop", "nobody", "teleop"]
    drives = shown.times["/states/drives"]["StateChange:state"]["capture"]
    assert drives == capture([0, 1, 2, 4])
    assert shown.states("/states/task/cup_on_shelf") == ["open", "done"]
    assert shown.states("/states/task/can") == ["open"]
    assert shown.texts("/log/task") == ["shelves: cup on shelf done"]
    lines = shown.texts("/log/safety")
    assert [line for line in lines if "stale" in line] == ["command_stale: 1 s old"]
    level = shown.values["/log/safety"]["TextLog:level"][lines.index("command_stale: 1 s old")]
    assert level == ["ERROR"]
    # Another level or another line; both are the same at 0 and 1 s.
    texts = [f"/robot: {line}" for line in ("", "x", "x", "xx")]
    assert shown.texts("/log/diagnostics/robot") == texts
    levels = shown.values["/log/diagnostics/robot"]["TextLog:level"]
    assert levels == [["INFO"], ["WARN"], ["INFO"], ["INFO"]]


def test_objects_are_boxes(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    pose = {"position": {"x": 1.0, "y": 2.0, "z": 3.0}, "orientation": {"w": 1.0}}
    size = {"x": 0.08, "y": 0.1, "z": 0.2}
    marker = {"type": 1, "ns": "cup", "pose": pose, "scale": size, "header": {"frame_id": "odom"}}
    sphere = {**marker, "type": 2, "ns": "ball"}
    kind = "visualization_msgs/msg/MarkerArray"
    bag.put("/sim/objects", kind, 0.0, {"markers": [marker, sphere]})
    bag.put("/robot/state", STATE, 0.0, state(0.0))
    boxes = view(bag.finish()).values["/objects"]
    assert boxes["Boxes3D:labels"] == [["cup"]]
    assert np.allclose(boxes["Boxes3D:half_sizes"][0], [[0.04, 0.05, 0.1]])
    assert np.allclose(boxes["Boxes3D:centers"][0], [[1, 2, 3]])


def test_a_vendors_bag_without_our_nodes_moves_the_robot(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    odometry = {
        "pose": {"pose": {"position": {"x": 0.5}, "orientation": {"z": 1.0, "w": 0.0}}},
        "twist": {"twist": {"linear": {"x": 0.2}}},
    }
    bag.put("/odom", "nav_msgs/msg/Odometry", 0.0, odometry)
    bag.put("/hdas/feedback_gripper_left", JOINTS, 0.0, {"position": [45.0]})
    # In another order than ours.
    names = list(reversed(ROBOT.torso.joints))
    bag.put("/hdas/feedback_torso", JOINTS, 0.01, {"name": names, "position": [4, 3, 2, 0.1]})
    shown = view(bag.finish())
    assert np.allclose(shown.numbers("/joints/torso/measured"), [[0.1, 2, 3, 4]])
    assert np.allclose(shown.numbers("/base/measured"), [[0.2, 0, 0]])
    found = transforms(shown)
    assert np.allclose(found["base_link"][0][2], [0.5, 0, 0])
    assert np.allclose(np.abs(found["base_link"][0][3]), [0, 0, 1, 0])
    finger = found["left_gripper_finger_link1"][0][2]
    assert np.allclose(finger, [0.03689, 0.01345 + 0.0225, 0], atol=1e-6)


def test_commands_of_a_source_stand_in_where_sent_ones_are_missing(tmp_path: Path) -> None:
    bag = SampleBag(tmp_path)
    arms = {"left_arm": [0.0] * 6, "right_arm": [0.0] * 6}
    bag.put("/teleop/command", COMMAND, 0.0, {"torso": [0.7] * 4, **arms})
    assert np.allclose(view(bag.finish()).numbers("/joints/torso/commanded"), [[0.7] * 4])


@pytest.mark.parametrize("options", [(), ("--namespace", "kitchen/r1")])
def test_a_namespace_is_found_or_named(tmp_path: Path, options: tuple[str, ...]) -> None:
    bag = SampleBag(tmp_path)
    bag.put("/kitchen/r1/robot/state", STATE, 0.0, state(0.1))
    assert len(view(bag.finish(), *options).numbers("/joints/torso/measured")) == 1


# -- bad input -----------------------------------------------------------------------------


def test_nan_is_a_gap_and_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = SampleBag(tmp_path)
    broken = state(0.2)
    broken["left_arm"]["position"][2] = math.nan
    broken["base_pose"] = [math.inf, 0.0, 0.0]
    for second, content in ((0.0, state(0.1)), (0.1, broken), (0.2, state(0.3))):
        bag.put("/robot/state", STATE, second, content)
    shown = view(bag.finish())
    left_arm = shown.numbers("/joints/left_arm/measured")
    assert np.isnan(left_arm).tolist() == [[False] * 6, [i == 2 for i in range(6)], [False] * 6]
    found = transforms(shown)
    assert len(found["left_arm_link3"]) == len(found["base_link"]) == 2
    assert len(found["left_arm_link4"]) == 3
    line = "robot: not a number: left_arm_joint3, base"
    assert shown.texts("/log/view") == [line]
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("topic", "kind", "bad", "line"),
    [
        ("/camera/head/color/image_raw", IMAGE, {"encoding": "rgb8"}, "has 0 bytes for 0x0"),
        ("/camera/head/depth/image_raw", IMAGE, {"encoding": "x"}, "has depth as x"),
        ("/camera/head/camera_info", "sensor_msgs/msg/CameraInfo", {}, "not positive"),
        ("/perception/cloud", "sensor_msgs/msg/PointCloud2", {"width": 3}, "no field x, y, z"),
        ("/robot/command", COMMAND, {"torso": [1.0]}, "torso has 4 joints, the message 1"),
        ("/hdas/feedback_torso", JOINTS, {"name": ["a"], "position": [1.0]}, "not in the feedb"),
        ("/hdas/feedback_torso", JOINTS, {"position": [1.0]}, "1 joints, 4 expected"),
        ("/hdas/feedback_gripper_left", JOINTS, {}, "no position"),
        ("/sim/task", TASK, {"subtasks": ["a", "b"], "done": [True]}, "argument"),
    ],
)
def test_a_malformed_message_is_a_line_once(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    topic: str,
    kind: str,
    bad: dict[str, Any],
    line: str,
) -> None:
    bag = SampleBag(tmp_path)
    for second in (0.0, 1.0):
        bag.put(topic, kind, second, bad)
    bag.put("/teleop/state", "brs_interfaces/msg/TeleopState", 2.0, {"state": 3})
    shown = view(bag.finish())
    said = [said for said in capsys.readouterr().err.splitlines() if line in said]
    assert len(said) == 1 and said[0].startswith(f"{topic}: ")
    assert shown.texts("/log/view") == said
    assert shown.states("/states/teleop") == ["engaged"]  # and the rest goes on


def test_a_topic_of_another_type_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = SampleBag(tmp_path)
    bag.put("/robot/state", JOINTS, 0.0, {"position": [1.0]})
    bag.put("/odom", "nav_msgs/msg/Odometry", 0.0, {})
    view(bag.finish())
    assert f"/robot/state: is a {JOINTS}, not a {STATE}" in capsys.readouterr().err


def cut(path: Path) -> None:
    """Take away the last third of the bag's file, as a crash does."""
    file = next(path.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])


def test_a_torn_bag_is_shown_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = SampleBag(tmp_path)
    for i in range(200):
        bag.put("/robot/state", STATE, 0.01 * i, state(float(np.random.default_rng(i).normal())))
        bag.writer.tick(0.11 * i)
    folder = bag.finish()
    cut(folder)
    count = len(view(folder).numbers("/joints/torso/measured"))
    assert 50 < count < 200
    assert "is torn" in capsys.readouterr().err


def empty(path: Path) -> Path:
    path.mkdir()
    return path


def foreign(path: Path) -> Path:
    bag = SampleBag(path.parent)
    bag.put("/other", JOINTS, 0.0, {})
    return bag.finish()


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (empty, "holds no .mcap file"),
        (lambda path: path, "no such bag"),
        (foreign, "holds nothing to show (/other)"),
    ],
)
def test_what_cannot_be_shown_is_an_error(
    tmp_path: Path, make: Callable[[Path], Path], line: str
) -> None:
    with pytest.raises(EpisodeError) as error:
        main([str(make(tmp_path / "bag")), "--save", str(tmp_path / "shown.rrd")])
    assert line in str(error.value)


# -- clouds of an episode without any ------------------------------------------------------


def seen_wall(root: Path, distance_m: float, joints: bool = True) -> Path:
    """R1 standing before a red wall that is square to its head camera."""
    bag = SampleBag(root)
    k = [150.0, 0.0, 31.5, 0.0, 150.0, 23.5, 0.0, 0.0, 1.0]
    info = {"width": 64, "height": 48, "k": k}
    color = np.full((48, 64, 3), (200, 10, 30), dtype=np.uint8)
    depth = np.full((48, 64), distance_m, dtype=np.float32)
    frame = {"header": {"frame_id": "head_camera_optical_frame"}}
    for i in range(60):
        if joints:
            bag.put("/robot/state", STATE, 0.02 * i, at_zero())
        if i % 10 == 5:
            at_s = 0.02 * i
            bag.put("/camera/head/camera_info", "sensor_msgs/msg/CameraInfo", at_s, info | frame)
            bag.put("/camera/head/color/image_raw", IMAGE, at_s, image(color, "rgb8") | frame)
            bag.put("/camera/head/depth/image_raw", IMAGE, at_s, image(depth, "32FC1") | frame)
    return bag.finish()


def at_zero(robot: Embodiment = ROBOT) -> dict[str, Any]:
    groups = {name: {"position": [0.0] * len(robot.group(name).joints)} for name in robot.GROUPS}
    return {"base_pose": [0.0] * 3, "base_velocity": [0.0] * 3, **groups}


def test_clouds_are_fused_of_the_pictures_where_none_were_recorded(tmp_path: Path) -> None:
    """All points lie on the wall, found by the mount of the embodiment file written out here."""
    shown = view(seen_wall(tmp_path, 1.2), "--image-hz", "60")
    clouds = shown.values["/cloud"]
    assert len(clouds["Points3D:positions"]) == 6
    assert clouds["CoordinateFrame:frame"] == [["base_link"]] * 6
    points = np.array(clouds["Points3D:positions"][-1])
    assert len(points) > 200
    # torso_link4 stands upright at the sum of the torso's offsets; the camera looks 20 deg down.
    eye = np.array([-0.032845, 0.0, 0.301 + 0.4 + 0.3 + 0.09962]) + ROBOT.cameras["head"].position
    ahead = np.array([math.cos(0.349), 0.0, -math.sin(0.349)])
    assert np.allclose((points - eye) @ ahead, 1.2, atol=2e-3)
    assert set(clouds["Points3D:colors"][-1]) == {0xC80A1EFF}


@pytest.mark.parametrize(("joints", "cloud"), [(True, "none"), (False, "default")])
def test_no_clouds_are_made_unwanted_or_without_joints(
    tmp_path: Path, joints: bool, cloud: str
) -> None:
    shown = view(seen_wall(tmp_path, 1.2, joints), "--cloud", cloud)
    assert "/cloud" not in shown.values and "/cameras/head/depth" in shown.values


def test_why_no_clouds_are_made_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = view(seen_wall(tmp_path, 1.2), "--cloud", "shelve")
    assert "no clouds: " in capsys.readouterr().err
    assert "/cloud" not in shown.values and "/joints/torso/measured" in shown.values


BARE = """
import sys
for name in "cv2 scipy mujoco numba fpsample rclpy brs_interfaces brs_nodes".split():
    sys.modules[name] = None
from brs_cli.view import main
main(sys.argv[1:])
"""


def test_a_laptop_without_ros_and_perception_shows_the_rest(tmp_path: Path) -> None:
    bag, path = seen_wall(tmp_path, 1.2), tmp_path / "shown.rrd"
    command = [sys.executable, "-c", BARE, str(bag), "--save", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "is not installed. Try: pip install brs[perception]" in done.stderr
    assert done.stderr.count("need OpenCV") == 2  # colour and depth, once each
    assert len(Shown(path).numbers("/joints/torso/measured")) == 60
