"""What is written for Gazebo: against the URDF, the MuJoCo model, the bridge and real parsers."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_sim.external.contract import servo_joints
from brs_sim.external.parts import CARRIER_MASS, Place, take_apart
from brs_sim.gazebo.bridge import bridge_yaml
from brs_sim.gazebo.export import export, main
from brs_sim.model import BASE_JOINTS, build_model
from brs_sim.tasks import make_task, task_names
from brs_sim.world import World

R1 = load_embodiment("r1")
TASKS = (*task_names(), "home")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of files for each task."""
    made = tmp_path_factory.mktemp("gazebo")
    for task in TASKS:
        export("r1", task, 3, 15.0, made / task)
    return made


@cache
def world_of(path: Path) -> ElementTree.Element:
    world = ElementTree.parse(path / "world.sdf").getroot().find("world")
    assert world is not None
    return world


def numbers(element: ElementTree.Element | None, tag: str, count: int) -> np.ndarray:
    text = None if element is None else element.findtext(tag)
    return np.array([float(word) for word in text.split()]) if text else np.zeros(count)


def in_world(element: ElementTree.Element) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) and rotation (3, 3) that a <pose> says."""
    x, y, z, roll, pitch, yaw = numbers(element, "pose", 6)
    turn = Rotation.from_euler("xyz", [roll, pitch, yaw]).as_matrix()
    return np.array([x, y, z]), turn


def inertia_in_link(inertial: ElementTree.Element, pose: np.ndarray, tag: str) -> np.ndarray:
    """(3, 3) about the axes of the link."""
    found = inertial.find("inertia")
    assert found is not None
    if tag == "urdf":
        parts = {name: float(found.attrib[name]) for name in found.attrib}
    else:
        parts = {child.tag: float(child.text or "nan") for child in found}
    xx, yy, zz = parts["ixx"], parts["iyy"], parts["izz"]
    xy, xz, yz = parts["ixy"], parts["ixz"], parts["iyz"]
    own = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    turn = Rotation.from_euler("xyz", pose[3:]).as_matrix()
    return np.asarray(turn @ own @ turn.T)


class TestRobot:
    """Both descriptions as XML: nothing of what wrote the one reads the other."""

    def robot(self, folder: Path) -> ElementTree.Element:
        found = world_of(folder / "shelves").find("model[@name='r1']")
        assert found is not None
        return found

    def test_masses_and_inertias_are_those_of_the_urdf(self, folder: Path) -> None:
        robot, total = self.robot(folder), 0.0
        for link in ElementTree.parse(R1.urdf_path).getroot().findall("link"):
            inertial, mass = link.find("inertial"), 0.0
            if inertial is not None and (given_mass := inertial.find("mass")) is not None:
                mass = float(given_mass.attrib["value"])
            written = robot.find(f"link[@name='{link.attrib['name']}']/inertial")
            if mass == 0.0:
                assert written is None, link.attrib["name"]
                continue
            total += mass
            assert inertial is not None and written is not None, link.attrib["name"]
            origin = inertial.find("origin")
            given_pose = np.zeros(6)
            if origin is not None:
                texts = [origin.attrib.get(key, "0 0 0") for key in ("xyz", "rpy")]
                given_pose = np.array([float(word) for text in texts for word in text.split()])
            pose = numbers(written, "pose", 6)
            assert float(written.findtext("mass", "nan")) == pytest.approx(mass)
            assert pose[:3] == pytest.approx(given_pose[:3], abs=1e-7)
            assert inertia_in_link(written, pose, "sdf") == pytest.approx(
                inertia_in_link(inertial, given_pose, "urdf"), abs=1e-8
            )
        weights = [float(element.text or "nan") for element in robot.iter("mass")]
        assert sum(weights) == pytest.approx(total + 2 * CARRIER_MASS)

    def test_joint_limits_and_axes_are_those_of_the_urdf(self, folder: Path) -> None:
        robot = self.robot(folder)
        given = {
            j.attrib["name"]: j for j in ElementTree.parse(R1.urdf_path).getroot().iter("joint")
        }
        for name in servo_joints(R1):
            joint, urdf = robot.find(f"joint[@name='{name}']"), given[name]
            assert joint is not None, name
            assert joint.attrib["type"] == urdf.attrib["type"]
            for end in ("parent", "child"):
                element = urdf.find(end)
                assert element is not None
                assert joint.findtext(end) == element.attrib["link"]
            axis, limit = urdf.find("axis"), urdf.find("limit")
            assert axis is not None and limit is not None
            assert numbers(joint.find("axis"), "xyz", 3) == pytest.approx(
                [float(word) for word in axis.attrib["xyz"].split()], abs=1e-9
            )
            for bound in ("lower", "upper", "velocity"):
                written = joint.findtext(f"axis/limit/{bound}")
                assert float(written or "nan") == pytest.approx(float(limit.attrib[bound])), name
        for name in BASE_JOINTS:
            joint = robot.find(f"joint[@name='{name}']")
            assert joint is not None and float(joint.findtext("axis/limit/upper", "0")) > 1e6

    def test_cameras_are_where_and_as_the_embodiment_says(self, folder: Path) -> None:
        robot = self.robot(folder)
        for name, camera in R1.cameras.items():
            sensor = robot.find(f"link[@name='{camera.link}']/sensor[@name='{name}']")
            assert sensor is not None
            position, turn = in_world(sensor)
            assert position == pytest.approx(camera.position)
            assert turn == pytest.approx(
                Rotation.from_euler("xyz", np.array(camera.rpy)).as_matrix()
            )
            fov = float(sensor.findtext("camera/horizontal_fov", "nan"))
            size = [
                float(sensor.findtext(f"camera/image/{side}", "nan"))
                for side in ("width", "height")
            ]
            assert size == [camera.width, camera.height]
            vertical = 2 * math.atan(math.tan(fov / 2) * size[1] / size[0])
            assert vertical == pytest.approx(camera.vertical_fov)

    def test_every_driven_joint_has_one_controller_and_tells_its_state(self, folder: Path) -> None:
        robot = self.robot(folder)
        plugins = robot.findall("plugin")
        controlled = [
            p.findtext("joint_name") for p in plugins if "controller" in p.attrib["filename"]
        ]
        assert sorted(map(str, controlled)) == sorted((*BASE_JOINTS, *servo_joints(R1)))
        told = [
            e.text
            for p in plugins
            if "publisher" in p.attrib["filename"]
            for e in p.findall("joint_name")
        ]
        assert sorted(map(str, told)) == sorted(map(str, controlled))
        start = make_task("shelves", R1, 3).start
        at = {
            p.findtext("joint_name"): float(p.findtext("initial_position", "0")) for p in plugins
        }
        for joint, angle in zip(R1.left_arm.joints, start.joints["left_arm"], strict=True):
            assert at[joint] == pytest.approx(angle)
        position, turn = in_world(robot)
        assert position[:2] == pytest.approx(start.base_pose[:2])
        assert math.atan2(turn[1, 0], turn[0, 0]) == pytest.approx(start.base_pose[2])


class TestScene:
    @pytest.mark.parametrize("task", TASKS)
    def test_everything_is_where_it_is_in_mujoco(self, folder: Path, task: str) -> None:
        """Positions of all links and solid shapes, by MuJoCo's kinematics at the reference."""
        model = build_model(R1, make_task(task, R1, 3).furnish)
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        solid = {
            (round(float(x), 4), round(float(y), 4), round(float(z), 4))
            for x, y, z in data.geom_xpos[(model.geom_contype > 0)]
        }
        written = set()
        for found in world_of(folder / task).findall("model"):
            for link in found.findall("link"):
                place, turn = in_world(link)
                for collision in link.findall("collision"):
                    inner, _ = in_world(collision)
                    written.add(tuple(round(float(v), 4) for v in place + turn @ inner))
        missing = [
            spot
            for spot in solid
            if min(np.abs(np.array(spot) - np.array(other)).max() for other in written) > 3e-4
        ]
        assert not missing
        assert len(written) >= 0.98 * len(solid)

    @pytest.mark.parametrize("task", TASKS)
    def test_what_moves_has_its_mass_and_its_travel(self, folder: Path, task: str) -> None:
        world = World(R1, task, 3)
        model, found = world.model, world_of(folder / task)
        for name in (*world.task.objects, *world.task.fixtures):
            link = found.find(f"model/link[@name='{name}']")
            assert link is not None, name
            mass = float(link.findtext("inertial/mass", "nan"))
            assert mass == pytest.approx(model.body(name).mass[0], rel=1e-6)
        for name in world.task.fixtures:
            joint = found.find(f"model/joint[@name='{name}_joint']")
            assert joint is not None
            limits = [float(joint.findtext(f"axis/limit/{b}", "nan")) for b in ("lower", "upper")]
            assert np.diff(limits) == pytest.approx(np.diff(model.joint(name).range), abs=1e-9)
            now = world.fixtures()[name]
            assert limits[0] == pytest.approx(model.joint(name).range[0] - now, abs=1e-6)

    @pytest.mark.parametrize("task", TASKS)
    def test_names_are_unique_where_sdf_wants_it(self, folder: Path, task: str) -> None:
        world = world_of(folder / task)
        for parent in (world, *world.findall("model"), *world.findall("model/link")):
            names = [
                child.attrib["name"]
                for child in parent
                if child.tag
                in ("model", "link", "joint", "visual", "collision", "sensor", "light")
            ]
            assert len(names) == len(set(names)), parent.attrib

    @pytest.mark.parametrize("task", TASKS)
    def test_a_real_sdf_parser_takes_it(self, folder: Path, task: str) -> None:
        """libsdformat, as Drake has it; what it does not know is an error there."""
        plants = pytest.importorskip("pydrake.multibody.plant", reason="pip install drake")
        parsing = pytest.importorskip("pydrake.multibody.parsing")
        plant = plants.MultibodyPlant(0.002)
        models = parsing.Parser(plant).AddModels(str(folder / task / "world.sdf"))
        plant.Finalize()
        assert len(models) == len(world_of(folder / task).findall("model"))
        mass = plant.CalcTotalMass(
            plant.CreateDefaultContext(), [plant.GetModelInstanceByName("r1")]
        )
        urdf = ElementTree.parse(R1.urdf_path).getroot()
        given = sum(float(element.attrib["value"]) for element in urdf.iter("mass"))
        assert mass == pytest.approx(given + 2 * CARRIER_MASS)


@given(st.lists(st.floats(-math.pi, math.pi), min_size=3, max_size=3))
def test_roll_pitch_yaw_mean_the_rotation(angles: list[float]) -> None:
    place = Place(np.zeros(3), Rotation.from_euler("ZYX", angles))
    again = Rotation.from_euler("xyz", place.rpy)
    assert (place.rotation.inv() * again).magnitude() < 1e-6


@pytest.mark.parametrize("pitch", [math.pi / 2, -math.pi / 2])
def test_roll_pitch_yaw_of_looking_straight_up_or_down(pitch: float) -> None:
    turn = Rotation.from_euler("ZYX", [0.7, pitch, 0.2])
    again = Rotation.from_euler("xyz", Place(np.zeros(3), turn).rpy)
    assert (turn.inv() * again).magnitude() < 1e-6


def test_places_are_composed_and_inverted() -> None:
    one = Place(np.array([1.0, 2.0, 3.0]), Rotation.from_euler("z", 0.5))
    other = Place(np.array([0.3, 0.0, 0.1]), Rotation.from_euler("x", -0.2))
    back = one.inverse().of(one.of(other))
    assert back.position == pytest.approx(other.position)
    assert (back.rotation.inv() * other.rotation).magnitude() < 1e-9


def test_what_sdf_cannot_say_is_refused() -> None:
    def with_a_ball(spec: mujoco.MjSpec) -> None:
        body = spec.worldbody.add_body(name="pendulum")
        body.add_joint(name="ball", type=mujoco.mjtJoint.mjJNT_BALL)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.1, 0, 0])

    with pytest.raises(ValueError, match="ball"):
        take_apart(R1, build_model(R1, with_a_ball))


class TestBridge:
    def test_every_topic_of_the_world_is_bridged_and_no_other(self, folder: Path) -> None:
        entries = yaml.safe_load((folder / "shelves" / "bridge.yaml").read_text())
        world = world_of(folder / "shelves")
        robot = world.find("model[@name='r1']")
        assert robot is not None
        told, heard = {"/clock"}, set()
        for plugin in robot.findall("plugin"):
            side = heard if "controller" in plugin.attrib["filename"] else told
            side.add(str(plugin.findtext("topic")))
        for sensor in robot.iter("sensor"):
            base = sensor.findtext("topic")
            told |= {f"{base}/{what}" for what in ("image", "depth_image", "camera_info")}
        by_direction = {
            way: {e["gz_topic_name"] for e in entries if e["direction"] == way}
            for way in ("GZ_TO_ROS", "ROS_TO_GZ")
        }
        assert by_direction == {"GZ_TO_ROS": told, "ROS_TO_GZ": heard}
        assert len({e["ros_topic_name"] for e in entries}) == len(entries)

    def test_types_are_pairs_that_ros_gz_bridge_has(self) -> None:
        """As its README lists them."""
        pairs = {
            ("rosgraph_msgs/msg/Clock", "gz.msgs.Clock"),
            ("sensor_msgs/msg/JointState", "gz.msgs.Model"),
            ("sensor_msgs/msg/Image", "gz.msgs.Image"),
            ("sensor_msgs/msg/CameraInfo", "gz.msgs.CameraInfo"),
            ("std_msgs/msg/Float64", "gz.msgs.Double"),
        }
        entries = yaml.safe_load(bridge_yaml(R1))
        assert {(e["ros_type_name"], e["gz_type_name"]) for e in entries} == pairs


def test_another_robot_and_no_cameras(tmp_path: Path) -> None:
    files = export("r1_pro", "trash", 0, 0.0, tmp_path)
    text = files.world.read_text()
    assert "left_arm_joint7" in text and "rgbd_camera" not in text


def test_unknown_names_are_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="trash"):
        export("r1", "thrash", 0, 0.0, tmp_path)
    with pytest.raises(SystemExit):
        main(["--task", "thrash", "--out", str(tmp_path)])
    assert "did you mean trash" in capsys.readouterr().err
