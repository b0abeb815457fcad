"""Control processes leave shared memory to the others."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from brs_nodes.transport import DATAGRAMS, datagrams, talk_by_datagrams

PROFILES = Path(__file__).resolve().parents[2] / "config" / "dds"
NAME = "FASTDDS_DEFAULT_PROFILES_FILE"


def transports(profile: str) -> list[str | None]:
    root = ElementTree.parse(PROFILES / profile).getroot()
    assert root.findtext(".//{*}useBuiltinTransports") == "false"
    return [element.text for element in root.iterfind(".//{*}transport_descriptor/{*}type")]


@pytest.mark.parametrize(("ordinary", "control"), DATAGRAMS.items())
def test_the_control_profile_lacks_shared_memory_and_nothing_else(
    ordinary: str, control: str
) -> None:
    assert transports(ordinary) == ["SHM", "UDPv4"]
    assert transports(control) == ["UDPv4"]
    fences = [
        [element.text for element in ElementTree.parse(PROFILES / name).iterfind(".//{*}address")]
        for name in (ordinary, control)
    ]
    assert set(fences[0]) == set(fences[1])


def test_on_localhost_the_middleware_adds_nothing() -> None:
    env = {
        NAME: str(PROFILES / "fastdds_local.xml"),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOCALHOST_ONLY": "1",
    }
    talk_by_datagrams(env)
    assert env == {
        NAME: str(PROFILES / "fastdds_local_control.xml"),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",
    }


def test_on_the_network_its_range_stays() -> None:
    env = {NAME: str(PROFILES / "fastdds.xml"), "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    talk_by_datagrams(env)
    assert env[NAME] == str(PROFILES / "fastdds_control.xml")
    assert env["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


@pytest.mark.parametrize("env", [{}, {NAME: "/somebody/else.xml"}])
def test_what_somebody_chose_stays(env: dict[str, str]) -> None:
    chosen = dict(env)
    talk_by_datagrams(chosen)
    assert chosen == env


def test_processes_started_afterwards_inherit_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, str(PROFILES / "fastdds_local.xml"))
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", "1")
    before = dict(os.environ)
    with datagrams():
        assert os.environ[NAME].endswith("control.xml")
    assert dict(os.environ) == before
