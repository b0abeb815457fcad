"""`brs bring-up` against the simulated robot, and against none."""

from __future__ import annotations

import json
import sys

from harness import Harness, Process


def bring_up(ros: Harness, *arguments: str) -> Process:
    command = [sys.executable, "-m", "brs_cli.main", "bring-up", "--json", "--seconds", "1"]
    return ros.start("bring_up", [*command, *arguments])


def findings(process: Process) -> dict[str, str]:
    return {f["check"]: f["status"] for f in json.loads(process.output)}


def test_simulated_robot_may_be_armed_and_an_ill_one_may_not(ros: Harness) -> None:
    ros.start_node("r1_sim", {"camera_hz": 0.0})
    process = bring_up(ros)
    assert process.wait() == 0, process.output
    assert set(findings(process).values()) == {"ok"}
    ros.start_node(
        "r1_sim",
        {"camera_hz": 0.0, "battery_percent": 5.0, "fault": "torso:joint1:2", "remote_mode": 2},
        namespace="ill",
    )
    process = bring_up(ros, "--namespace", "ill")
    assert process.wait() == 1, process.output
    failed = {name for name, status in findings(process).items() if status == "fail"}
    assert failed == {"battery", "torso motor", "remote control"}


def test_no_robot_is_said_for_every_part(ros: Harness) -> None:
    process = bring_up(ros, "--patience", "1")
    assert process.wait() == 1, process.output
    found = findings(process)
    assert [found[f"{part} feedback"] for part in ("torso", "left_arm", "base")] == ["fail"] * 3
    assert [found[f"{part} command"] for part in ("torso", "left_arm", "base")] == ["fail"] * 3
