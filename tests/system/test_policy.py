"""The SROS2 policies of config/sros2 against what the nodes really open."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import tiny_policy
import yaml
from harness import ROOT, Harness
from policy import Rules, opened_by, read_policy, write_policy
from std_msgs.msg import Bool
from test_inspire_hand import robot_with_hand
from test_replay import bag_of

from brs_cli.person import SERVICES
from brs_cli.session import POSES, STATES
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_sim.emulators.inspire_hand import emulated_hand

OPERATOR = ROOT / "config" / "sros2" / "operator.xml"
POLICY = ROOT / "config" / "sros2" / "policy.xml"
# Those that `brs demo` starts and replay; the others are started apart, to spare small machines.
CORE = {"r1_sim", "robot", "teleop", "joylo", "leader_emulator", "recorder", "replay"}
CORE |= {"description"}
LEARNT = {"policy", "policy_server"}
# The recorder follows them, too, and no node of CORE publishes them.
FOLLOWED = (
    *("anomaly/scores", "policy/command", "policy/state"),
    *("perception/cloud", "perception/state"),
)
# What a node opens depends on its parameters: it is started with each of these, too.
VARIANTS: dict[str, list[dict[str, object]]] = {
    "perception": [{"cameras": "simulated", "fuse": False}, {"transport": "compressed"}],
    "external_sim": [{"targets": "arrays"}],
    "anomaly_monitor": [
        {"cameras": ["head", "left_wrist", "right_wrist"], "hold": True, "transport": transport}
        for transport in ("raw", "compressed")
    ],
    # The first asks the server.
    "policy": [{"checkpoint": "clouds"}, {"checkpoint": "pictures"}],
}
SETTLED_S = 8.0


def policies() -> dict[str, Rules]:
    """Allowed names by node."""
    both = {**read_policy(POLICY), **read_policy(OPERATOR)}
    return {path.removeprefix("/brs/"): rules for path, rules in both.items()}


def executables() -> set[str]:
    """Nodes that the workspace installs."""
    folder = ROOT / "ros_ws" / "install" / "lib" / "brs_nodes"
    return {path.name for path in folder.iterdir()}


def command_topics() -> set[str]:
    """What moves the robot, from its description."""
    robot = load_embodiment("r1")
    topics = {robot.group(name).command_topic for name in robot.GROUPS}
    topics |= {robot.gripper(name).command_topic for name in robot.GRIPPERS}
    topics |= {robot.base.command_topic, robot.base.brake_topic}
    return {f"/{topic.strip('/')}" for topic in topics if topic}


def test_only_the_robot_node_may_move_the_robot() -> None:
    allowed = policies()
    for topic in command_topics():
        assert {node for node, rules in allowed.items() if topic in rules.publish} == {"robot"}
    arming = {node for node, rules in allowed.items() if "/robot/arm" in rules.request}
    assert arming == {"operator", "replay"}
    assert not any("*" in name for rules in allowed.values() for name in rules.publish)


def test_every_node_has_a_policy_and_a_person_may_do_what_the_commands_do() -> None:
    allowed = policies()
    assert executables() | {"operator"} == set(allowed)
    asked = {f"/{topic}" for _, topic, _, _ in SERVICES.values()}
    asked |= {f"/episode/{action}" for action in ("start", "pause", "mark", "stop")}
    asked.add("/robot/select_source")
    assert asked <= allowed["operator"].request
    assert {f"/{topic}" for topic in (*STATES, POSES)} <= allowed["operator"].subscribe


def start(ros: Harness, names: list[str], devices: ExitStack) -> None:
    """Start nodes as far as they go without devices, and hands with emulated ones."""
    hands: list[dict[str, object]] = []
    for gripper in Embodiment.GRIPPERS if "inspire_hand" in names else ():
        _, bus = devices.enter_context(emulated_hand())
        robot = robot_with_hand(ros.folder, bus.port, gripper)
        hands.append({"robot": str(robot), "gripper": gripper})
    parameters: dict[str, dict[str, object]] = {
        "r1_sim": {"camera_hz": 0.0},
        # A leader that mirrors listens to the robot, too.
        "joylo": {"leader": "joylo_emulated", "mirror": True},
        "recorder": {"folder": str(ros.folder / "episodes")},
        "replay": {"bag": str(bag_of(ros.folder)), "start_tolerance_rad": 10.0},
    }
    checkpoints = {}
    if "policy" in names:
        for name in ("clouds", "pictures"):
            path = ros.folder / f"{name}.safetensors"
            checkpoints[name] = str(tiny_policy.write(path, pictures=name == "pictures"))
        parameters["policy"] = {"inference_timeout_s": 5.0}
        parameters["policy_server"] = {"checkpoint": "clouds"}
    for name in names:
        variants = [parameters.get(name, {}), *VARIANTS.get(name, [])]
        variants = hands if name == "inspire_hand" else variants
        for number, variant in enumerate(variants):
            given = {"use_sim_time": True, **variant}
            if "checkpoint" in given:
                given["checkpoint"] = checkpoints[str(given["checkpoint"])]
            ros.start_node(
                name,
                given,
                namespace=f"variant{number}" if number else "",
                env={"BRS_RUNTIME_DIR": str(ros.folder / "run")},
            )
    for name in FOLLOWED:
        ros.node.create_publisher(Bool, name, 1)


@pytest.mark.system
@pytest.mark.timeout(240)
@pytest.mark.parametrize("group", ["core", "learnt", "rest"])
def test_nodes_open_what_their_policy_allows_and_nothing_else(ros: Harness, group: str) -> None:
    groups = {"core": CORE, "learnt": LEARNT, "rest": executables() - CORE - LEARNT}
    names = sorted(groups[group])
    with ExitStack() as devices:
        start(ros, names, devices)
        if os.environ.get("BRS_WRITE_POLICY"):
            rewrite(ros, names)
        check(ros, names)


def check(ros: Harness, names: list[str]) -> None:
    """What the nodes open is what they may open."""
    allowed = policies()
    differences: dict[str, object] = {}

    def compare() -> bool:
        differences.clear()
        for name in names:
            opened = opened_by(ros.node, name)
            wrong = {
                "not allowed": opened.minus(allowed[name]),
                "allowed for nothing": allowed[name].minus(opened),
            }
            if any(wrong.values()):
                differences[name] = wrong
        return not differences

    try:
        ros.wait_for(compare, "nodes to open what config/sros2/policy.xml allows", 90.0)
    except AssertionError as error:
        raise AssertionError(f"{yaml.safe_dump(differences)}\n{error}") from None


def rewrite(ros: Harness, names: list[str]) -> None:
    """Write the policy anew from what the nodes open; the rest of it is kept."""
    seen: dict[str, Rules] = {}
    since_s = time.monotonic()

    def settled() -> bool:
        nonlocal seen, since_s
        now = {name: opened_by(ros.node, name) for name in names}
        if now != seen:
            seen, since_s = now, time.monotonic()
        return all(rules.publish for rules in now.values()) and (
            time.monotonic() - since_s > SETTLED_S
        )

    ros.wait_for(settled, "nodes to settle", 90.0)
    kept = {name: rules for name, rules in policies().items() if name != "operator"}
    write_policy(POLICY, {**kept, **seen})


def test_the_reader_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    text = POLICY.read_text().replace('href="common/', f'href="{POLICY.parent}/common/')
    path = tmp_path / "policy.xml"
    path.write_text(text)
    assert read_policy(path) == read_policy(POLICY)
    for old, new in (
        ('version="0.2.0"', 'version="0.3.0"'),
        ('publish="ALLOW"', 'publish="DENY"'),
        ('publish="ALLOW"', 'shout="ALLOW"'),
        ("<topics ", "<subjects "),
        ("<enclave path=", "<enclave name="),
    ):
        wrong = text.replace(old, new, 1).replace(
            "</topics>", f"</{new[1:-1]}>", old == "<topics "
        )
        path.write_text(wrong)
        with pytest.raises((ValueError, KeyError)):
            read_policy(path)
