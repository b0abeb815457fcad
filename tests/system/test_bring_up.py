"""`brs bring-up` against the simulated robot, and against none."""

from __future__ import annotations

import json
import sys

import pytest
from harness import Harness, Process

# It imports, discovers, measures and ends: half a minute where every core is taken thrice.
PATIENCE_S = 120.0


def bring_up(ros: Harness, *arguments: str) -> Process:
    command = [sys.executable, "-m", "brs_cli.main", "bring-up", "--json", "--seconds", "1"]
    return ros.start("bring_up", [*command, *arguments])


def findings(process: Process) -> dict[str, str]:
    """Check -> status. Rates are left out: a busy machine simulates slowly."""
    found = json.loads(process.output)
    return {f["check"]: f["status"] for f in found if "Hz" not in f["detail"]}


@pytest.mark.parametrize("robot", ["r1", "r1_lite", "r1_pro"])
def test_simulated_robot_of_each_generation_may_be_armed(ros: Harness, robot: str) -> None:
    ros.start_node("r1_sim", {"robot": robot, "camera_hz": 0.0})
    process = bring_up(ros, "--robot", robot)
    process.wait(PATIENCE_S)
    found = findings(process)
    assert set(found.values()) == {"ok"}, process.output
    assert {"torso joints", "left_arm joints", "base command", "battery"} <= set(found)


def test_wrong_and_ill_robots_may_not(ros: Harness) -> None:
    ros.start_node("r1_sim", {"camera_hz": 0.0})
    process = bring_up(ros, "--robot", "r1_pro")
    assert process.wait(PATIENCE_S) == 1, process.output
    assert findings(process)["left_arm joints"] == "fail"
    ros.start_node(
        "r1_sim",
        {"camera_hz": 0.0, "battery_percent": 5.0, "fault": "torso:joint1:2", "remote_mode": 2},
        namespace="ill",
    )
    process = bring_up(ros, "--namespace", "ill")
    assert process.wait(PATIENCE_S) == 1, process.output
    wrong = {name: status for name, status in findings(process).items() if status != "ok"}
    assert wrong == {"battery": "fail", "torso motor": "fail", "remote control": "warn"}


def test_no_robot_is_said_for_every_part(ros: Harness) -> None:
    process = bring_up(ros, "--patience", "1")
    assert process.wait(PATIENCE_S) == 1, process.output
    found = findings(process)
    assert [found[f"{part} feedback"] for part in ("torso", "left_arm", "base")] == ["fail"] * 3
    assert [found[f"{part} command"] for part in ("torso", "left_arm", "base")] == ["fail"] * 3
