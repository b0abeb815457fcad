"""What is written for Isaac Sim, as far as goes without it: parsers, numbers, topics."""

from __future__ import annotations

import ast
import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from brs_hardware.description import load_description
from brs_hardware.embodiment import load_embodiment
from brs_sim.external import contract
from brs_sim.isaac import run
from brs_sim.isaac.export import export, main
from brs_sim.isaac.usd import prim_name
from brs_sim.model import BASE_JOINTS
from brs_sim.world import World

R1 = load_embodiment("r1")
TASKS = ("shelves", "trash", "clothes", "home")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of files for each task."""
    made = tmp_path_factory.mktemp("isaac")
    for task in TASKS:
        export("r1", task, 3, 15.0, made / task)
    return made


def plan_of(folder: Path) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((folder / "plan.json").read_text())
    return plan


class TestRobot:
    def test_the_urdf_is_the_robots_on_three_joints(self, folder: Path) -> None:
        found = load_description(folder / "shelves" / "robot.urdf")
        given = load_description(R1.urdf_path)
        assert found.root == "world"
        chain = [(found.joints[name].parent, found.joints[name].kind) for name in BASE_JOINTS]
        assert [kind for _, kind in chain] == ["prismatic", "prismatic", "revolute"]
        assert found.joints["base_yaw"].child == given.root
        assert found.mass == pytest.approx(given.mass + 0.2)
        for name in contract.servo_joints(R1):
            mine, theirs = found.joints[name], given.joints[name]
            assert (mine.kind, mine.lower, mine.upper) == (theirs.kind, theirs.lower, theirs.upper)
            assert mine.origin == pytest.approx(theirs.origin)
        moving = {joint.name for joint in found.joints.values() if joint.kind != "fixed"}
        assert moving == {*BASE_JOINTS, *contract.servo_joints(R1)}
        assert set(given.links) < set(found.links)

    def test_mujoco_finds_the_tools_where_they_are(self, folder: Path) -> None:
        """Kinematics of the written URDF against those of the world it was written from."""
        model = mujoco.MjModel.from_xml_path(str(folder / "shelves" / "robot.urdf"))
        data, world = mujoco.MjData(model), World(R1, "shelves", 3)
        plan = plan_of(folder / "shelves")
        for name, value in zip(BASE_JOINTS, plan["start"], strict=True):
            data.joint(name).qpos[0] = value
        for name, value in plan["positions"].items():
            data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        for name in ("left_arm_link6", "right_arm_link6", "torso_link4"):
            assert data.body(name).xpos == pytest.approx(world._data.body(name).xpos, abs=1e-6)

    def test_a_real_urdf_parser_takes_it(self, folder: Path) -> None:
        yourdfpy = pytest.importorskip("yourdfpy", reason="pip install yourdfpy")
        urdf = yourdfpy.URDF.load(str(folder / "shelves" / "robot.urdf"))
        assert urdf.validate() and not urdf.errors
        assert len(urdf.actuated_joint_names) == 3 + len(contract.servo_joints(R1))


class TestScene:
    @pytest.mark.parametrize("task", TASKS)
    def test_a_real_usd_parser_finds_what_moves(self, folder: Path, task: str) -> None:
        pxr = pytest.importorskip("pxr", reason="pip install usd-core")
        from pxr import Usd, UsdGeom, UsdPhysics

        assert pxr
        world = World(R1, task, 3)
        stage = Usd.Stage.Open(str(folder / task / "scene.usda"))
        assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
        assert UsdGeom.GetStageUpAxis(stage) == "Z"
        prims = {prim.GetName(): prim for prim in stage.Traverse()}
        for name in (*world.task.objects, *world.task.fixtures):
            (body,) = (
                prim
                for prim in stage.Traverse()
                if prim.GetName() == prim_name(name) and prim.HasAPI(UsdPhysics.RigidBodyAPI)
            )
            mass = UsdPhysics.MassAPI(body).GetMassAttr().Get()
            assert mass == pytest.approx(world.model.body(name).mass[0], rel=1e-5)
            place = UsdGeom.Xformable(body).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
            at = world._data.body(name).xpos
            assert np.array(place.ExtractTranslation()) == pytest.approx(at, abs=1e-5)
        for name in world.task.fixtures:
            joint = prims[f"{prim_name(name)}_joint"]
            turning = joint.IsA(UsdPhysics.RevoluteJoint)
            travel = joint.GetAttribute("physics:upperLimit").Get()
            travel -= joint.GetAttribute("physics:lowerLimit").Get()
            travel = math.radians(travel) if turning else travel
            assert travel == pytest.approx(np.diff(world.model.joint(name).range)[0], abs=1e-5)
            axis = joint.GetAttribute("physics:localRot1").Get()
            turned = np.array([1 - 2 * (axis.imaginary[1] ** 2 + axis.imaginary[2] ** 2), 0, 0])
            turned[1:] = (
                2 * (axis.imaginary[0] * axis.imaginary[1] + axis.real * axis.imaginary[2]),
                2 * (axis.imaginary[0] * axis.imaginary[2] - axis.real * axis.imaginary[1]),
            )
            assert turned == pytest.approx(world.model.joint(name).axis.flatten(), abs=1e-5)

    @pytest.mark.parametrize("task", TASKS)
    def test_braces_close_and_siblings_differ(self, folder: Path, task: str) -> None:
        """Without a parser of USD: names are unique among siblings, all paths lead somewhere."""
        lines = (folder / task / "scene.usda").read_text().splitlines()
        open_paths: list[str] = []
        defined: set[str] = set()
        wanted = []
        pending = ""
        for line in map(str.strip, lines):
            if line.startswith("def "):
                pending = line.split('"')[1]
            elif line == "{":
                open_paths.append(pending)
                path = "/" + "/".join(open_paths)
                assert path not in defined, path
                defined.add(path)
            elif line == "}":
                open_paths.pop()
            elif line.startswith("rel "):
                wanted.append(line.split("<")[1].rstrip(">"))
        assert not open_paths
        assert set(wanted) <= defined

    @pytest.mark.parametrize(
        ("name", "clean"), [("door", "door"), ("a-b c", "a_b_c"), ("3rd", "_3rd"), ("é", "_")]
    )
    def test_names_are_allowed_ones(self, name: str, clean: str) -> None:
        assert prim_name(name) == clean


class TestScript:
    def test_topics_are_the_contract(self, folder: Path) -> None:
        plan = plan_of(folder / "shelves")
        topics = plan["topics"]
        told = [topic.name for topic in contract.joint_topics()]
        assert [topics[key] for key in ("joint_states", "positions", "velocities")] == told
        named = {name for camera in plan["cameras"] for name in camera["topics"].values()}
        assert named == {topic.name for topic in contract.camera_topics(R1)}
        for camera in plan["cameras"]:
            assert camera["topics"]["depth"] == f"camera/{camera['name']}/depth/image_raw"
            assert camera["link"] in load_description(R1.urdf_path).links

    def test_it_names_no_topic_and_imports_nothing_of_ours(self) -> None:
        source = Path(run.__file__).read_text()
        tree = ast.parse(source)
        words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        names = {topic.name for topic in (*contract.joint_topics(), *contract.camera_topics(R1))}
        assert not words & names
        modules = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not any(module.startswith("brs") for module in modules)

    def test_it_reads_only_keys_that_the_plan_has(self, folder: Path) -> None:
        plan = plan_of(folder / "shelves")
        known = {*plan, *plan["topics"], *plan["cameras"][0], *next(iter(plan["servos"].values()))}
        read = set()
        for node in ast.walk(ast.parse(Path(run.__file__).read_text())):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                read.add(node.slice.value)
        assert {key for key in read if isinstance(key, str)} - {"picture"} <= known

    def test_without_isaac_it_says_so_in_a_line(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.argv", ["run.py", "--folder", str(folder / "shelves")])
        with pytest.raises(SystemExit):
            run.main()
        assert "not Isaac Sim's Python" in capsys.readouterr().err


def test_gains_are_the_servos(folder: Path) -> None:
    plan = plan_of(folder / "shelves")
    model = World(R1, "shelves", 3).model
    for name, gains in plan["servos"].items():
        assert gains["stiffness"] == pytest.approx(model.actuator(name).gainprm[0])
        limit = model.jnt_actfrcrange[model.joint(name).id, 1]
        assert gains["effort"] == pytest.approx(limit)
        assert gains["damping"] > 0
    assert ElementTree.parse(folder / "shelves" / "robot.urdf").getroot().find("mujoco") is None


def test_unknown_names_are_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--robot", "r2", "--out", str(tmp_path)])
    assert "did you mean" in capsys.readouterr().err
