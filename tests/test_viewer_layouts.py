"""The layouts for RViz and Foxglove name topics and frames that brs has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from brs_hardware.embodiment import load_embodiment
from brs_hardware.robot_frames import RobotFrames

CONFIG = Path(__file__).resolve().parents[1] / "config"
ROBOT = load_embodiment("r1")
TOPICS = {"/robot_description", "/perception/cloud", "/sim/objects", "/diagnostics"} | {
    f"/camera/{name}/{stream}"
    for name in ROBOT.cameras
    for stream in ("color/image_raw", "camera_info")
}


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys with their values, at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield str(key), inner
        if isinstance(inner, dict | list):
            yield from walk(inner)


def frames() -> set[str]:
    found = RobotFrames(ROBOT)
    return {"odom", found.root, *found.static.children}


def test_rviz_shows_robot_cloud_and_every_camera() -> None:
    layout = yaml.safe_load((CONFIG / "rviz" / "brs.rviz").read_text())
    manager = layout["Visualization Manager"]
    topics = {
        inner["Value"]
        for display in manager["Displays"]
        for key, inner in walk(display)
        if key in ("Topic", "Description Topic")
    }
    assert topics <= TOPICS
    colors = {f"/camera/{name}/color/image_raw" for name in ROBOT.cameras}
    assert topics >= {"/robot_description", "/perception/cloud"} | colors
    assert manager["Global Options"]["Fixed Frame"] == "odom"
    assert manager["Views"]["Current"]["Target Frame"] in frames()
    # The description comes once: who asks later needs it latched, images are best effort.
    wanted = {"/robot_description": "Transient Local"}
    for display in manager["Displays"]:
        for key, inner in walk(display):
            if key in ("Topic", "Description Topic"):
                policy = wanted.get(inner["Value"], "Volatile")
                assert inner["Durability Policy"] == policy


def test_foxglove_shows_robot_cloud_and_every_camera() -> None:
    layout = json.loads((CONFIG / "foxglove" / "brs.json").read_text())
    scene = layout["configById"]["3D!robot"]
    assert scene["followTf"] == "odom"
    assert scene["layers"]["robot"]["topic"] == "/robot_description"
    assert set(scene["topics"]) <= TOPICS
    named = {
        value
        for key, value in walk(layout)
        if key in ("imageTopic", "calibrationTopic", "topicToRender")
    }
    assert named <= TOPICS
    assert named >= {f"/camera/{name}/color/image_raw" for name in ROBOT.cameras}
    assert {v for k, v in walk(layout) if k == "frameId"} <= frames()
    panels = {v for k, v in walk(layout["layout"]) if k in ("first", "second") and type(v) is str}
    assert panels == set(layout["configById"])
