"""Who gets in from outside: sockets of a node, a participant on another interface, keys."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from brs_interfaces.srv import StartEpisode
from harness import ROOT, Harness, Process
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from brs_cli.environment import confine
from brs_cli.exposure import OpenSocket, ephemeral_ports, listens_beyond

pytestmark = pytest.mark.system
INTRUDER = """
import sys, time, rclpy
rclpy.init(args=[])
node = rclpy.create_node("intruder")
end_s = time.monotonic() + float(sys.argv[1])
seen = False
while not seen and time.monotonic() < end_s:
    rclpy.spin_once(node, timeout_sec=0.1)
    seen = "teleop" in node.get_node_names()
print("got in" if seen else "kept out")
"""
# UDP alone, bound to one address: what another computer looks like from here.
INTRUDER_PROFILE = """<dds xmlns="http://www.eprosima.com"><profiles>
<transport_descriptors><transport_descriptor><transport_id>outside</transport_id>
<type>UDPv4</type><interfaceWhiteList><address>{address}</address></interfaceWhiteList>
</transport_descriptor></transport_descriptors>
<participant profile_name="outside" is_default_profile="true"><rtps>
<userTransports><transport_id>outside</transport_id></userTransports>
<useBuiltinTransports>false</useBuiltinTransports>
</rtps></participant></profiles></dds>"""


def outer_address() -> str:
    """This computer's first IPv4 address that is not loopback; skips where there is none."""
    for addresses in psutil.net_if_addrs().values():
        for entry in addresses:
            if entry.family == socket.AF_INET and not entry.address.startswith("127."):
                return entry.address
    pytest.skip("this computer has no network interface")


def environment(**asked: str) -> dict[str, str]:
    """What `brs` hands to a node where a person has asked for `asked`."""
    names = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTDDS_DEFAULT_PROFILES_FILE")
    env = {name: value for name, value in os.environ.items() if name not in names} | asked
    confine(env)
    return {name: env[name] for name in names}


NETWORKS = pytest.mark.parametrize("asked", [{}, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}])


def start_teleop(ros: Harness, asked: dict[str, str]) -> Process:
    process = ros.start_node("teleop", env=environment(**asked))
    ros.wait_for(lambda: "teleop" in ros.node.get_node_names(), "teleop")
    return process


@NETWORKS
def test_nodes_listen_beyond_this_computer_only_where_asked(
    ros: Harness, asked: dict[str, str]
) -> None:
    process = start_teleop(ros, asked)
    domain = int(os.environ["ROS_DOMAIN_ID"])
    listening = [
        entry
        for entry in psutil.Process(process.popen.pid).net_connections("inet")
        if listens_beyond(
            OpenSocket("teleop", 0, "udp", entry.laddr.ip, entry.laddr.port),
            domain,
            ephemeral_ports(),
        )
    ]
    assert bool(listening) == bool(asked), listening


@NETWORKS
def test_only_a_network_that_was_asked_for_lets_another_computer_in(
    ros: Harness, asked: dict[str, str]
) -> None:
    address = outer_address()
    start_teleop(ros, asked)
    profile = ros.folder / "intruder.xml"
    profile.write_text(INTRUDER_PROFILE.format(address=address))
    env = {
        "FASTDDS_DEFAULT_PROFILES_FILE": str(profile),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "ROS_STATIC_PEERS": address,
    }
    patience_s = "20" if asked else "5"
    intruder = ros.start("intruder", [sys.executable, "-c", INTRUDER, patience_s], env)
    intruder.wait(60.0)
    assert intruder.output.strip().endswith("got in" if asked else "kept out")


def test_brs_confines_what_it_starts() -> None:
    """The environment after `brs` has prepared it, as each command and launch file sees it."""
    names = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTDDS_DEFAULT_PROFILES_FILE", "BRS_WORKSPACE")
    env = {name: value for name, value in os.environ.items() if name not in names}
    code = (
        f"import os, sys; names = {names[:2]!r}; sys.argv = ['brs', 'demo']\n"
        "os.execve = lambda path, words, env: sys.exit('\\n'.join(env[name] for name in names))\n"
        "from brs_cli.main import main; main()"
    )
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    profile = ROOT / "config" / "dds" / "fastdds_local.xml"
    assert said.stderr.split() == ["LOCALHOST", str(profile)]


def test_a_node_told_to_be_secure_does_not_run_without_keys(ros: Harness) -> None:
    (ros.folder / "keys" / "enclaves" / "brs" / "robot").mkdir(parents=True)
    env = {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(ros.folder / "keys"),
        "ROS_SECURITY_ENCLAVE_OVERRIDE": "/brs/robot",
    }
    process = ros.start_node("robot", env=env)
    assert process.wait() != 0
    assert "security" in process.output
    assert ros.node.count_publishers("/motion_target/target_speed_chassis") == 0


def test_a_service_call_cannot_choose_where_episodes_go(ros: Harness, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "episodes", tmp_path / "elsewhere"
    ros.start_node("recorder", {"folder": str(folder), "min_free_mb": 1})
    moved = Parameter("folder", value=str(elsewhere)).to_parameter_msg()
    ros.call(SetParameters, "recorder/set_parameters", SetParameters.Request(parameters=[moved]))
    request = StartEpisode.Request(task="../../elsewhere/x", operator_name="/etc/\n../y")
    answer = ros.call(StartEpisode, "episode/start", request)
    assert answer.success and Path(answer.path).resolve().parent == folder.resolve()
    assert not elsewhere.exists()
