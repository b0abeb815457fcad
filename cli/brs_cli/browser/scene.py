"""The 3-D view: the robot's shapes once; its joints are turned by the player in the browser."""

from __future__ import annotations

from typing import Any

import numpy as np
from nicegui import ui

from brs_cli.browser.contents import Contents
from brs_cli.browser.library import Opened
from brs_cli.browser.shapes import Shape, drawing_of
from brs_hardware.embodiment import Embodiment

# URDF cylinders stand along z, those of the browser's library along y.
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
BACKGROUND = "#f3f5f7"
POINT_M = 0.012
FRAMES_HZ = 20
ROUND = 24  # sides of a cylinder
VIEW = np.array([-2.1, -2.0, 1.1])  # where the eye is, from what it looks at [m]
LOOK_AT_M = 0.8  # height of that


class RobotView:
    """A scene that shows one robot at a time. Made inside a page."""

    def __init__(self) -> None:
        camera = ui.scene.perspective_camera(fov=38)
        self._scene = ui.scene(
            grid=(12, 24), camera=camera, background_color=BACKGROUND, fps=FRAMES_HZ
        )
        self._scene.classes("brs-scene")
        self._robot = ""
        self._fixed: dict[str, Any] = {}  # what the player must know of the robot
        self._moving: list[Any] = []  # cloud and boxes of the episode

    def show(self, opened: Opened) -> dict[str, Any]:
        """Draw an episode's robot and boxes; returns what the player needs to move them.

        Raises:
            ConfigError: the robot's URDF is wrong.
        """
        if self._robot != opened.robot.name:
            self._draw_robot(opened.robot)
        for part in self._moving:
            part.delete()
        contents = opened.contents
        middle = _middle(contents)
        x, y, z = (np.array([*middle, LOOK_AT_M]) + VIEW).tolist()
        self._scene.move_camera(x, y, z, *middle, LOOK_AT_M, duration=0)
        with self._scene:
            boxes = {
                name: self._scene.box(*box.size).material(_hex(box.color))
                for name, box in contents.boxes.items()
            }
            self._moving = list(boxes.values())
            cloud = None
            if contents.cloud is not None:
                with self._root:
                    cloud = self._scene.point_cloud([[0, 0, 0]], [[0, 0, 0]], POINT_M)
                self._moving.append(cloud)
        ids = {name: box.id for name, box in boxes.items()}
        return {**self._fixed, "boxes": ids, "cloud": cloud.id if cloud else None}

    def _draw_robot(self, robot: Embodiment) -> None:
        drawing = drawing_of(robot)
        driven = _driven(robot)
        self._scene.clear()
        self._moving = []
        joints = []
        with self._scene, self._scene.group() as self._root:
            self._root.move(0.0, 0.0, drawing.height_m)
            groups = {drawing.root: self._root}
            self._draw_link(drawing.shapes[drawing.root])
        for joint in drawing.joints:
            with groups[joint.parent], self._scene.group() as group:
                group.move(*joint.position.tolist()).rotate_R(joint.rotation.tolist())
                groups[joint.child] = group
                self._draw_link(drawing.shapes[joint.child])
            if joint.name in driven:
                joints.append(
                    {
                        "id": group.id,
                        "slides": joint.kind == "prismatic",
                        "position": joint.position.tolist(),
                        "rotation": joint.rotation.tolist(),
                        "axis": joint.axis.tolist(),
                        **driven[joint.name],
                    }
                )
        self._robot = robot.name
        self._fixed = {
            "id": self._scene.id,
            "root": self._root.id,
            "height": drawing.height_m,
            "joints": joints,
        }

    def _draw_link(self, shapes: list[Shape]) -> None:
        for shape in shapes:
            rotation = shape.rotation
            if shape.kind == "box":
                width, depth, height = shape.size
                body: Any = self._scene.box(width, depth, height)
            elif shape.kind == "cylinder":
                radius, length = shape.size
                body = self._scene.cylinder(radius, radius, length, ROUND)
                rotation = rotation @ UPRIGHT
            else:
                body = self._scene.sphere(shape.size[0])
            body.material(shape.color).move(*shape.position.tolist())
            body.rotate_R(rotation.tolist())


def _driven(robot: Embodiment) -> dict[str, dict[str, Any]]:
    """Joint -> the curve that moves it: its panel and column, and q = offset + scale * value."""
    driven: dict[str, dict[str, Any]] = {}
    for name in robot.GROUPS:
        for column, joint in enumerate(robot.group(name).joints):
            driven[joint] = {"panel": name, "column": column, "offset": 0.0, "scale": 1.0}
    for column, name in enumerate(robot.GRIPPERS):
        gripper = robot.gripper(name)
        fingers = 1000.0 * len(gripper.joints)
        opened, closed = (gripper.to_stroke_mm(share) / fingers for share in (0.0, 1.0))
        curve = {"panel": "grippers", "column": column, "offset": opened, "scale": closed - opened}
        driven |= dict.fromkeys(gripper.joints, curve)
    return driven


def _middle(contents: Contents) -> tuple[float, float]:
    """Where the robot is in the mean, in odom [m]."""
    poses = np.array([row[:2] for row in contents.base_poses.rows if np.isfinite(row).all()])
    x, y = poses.mean(axis=0) if len(poses) else (0.0, 0.0)
    return float(x), float(y)


def _hex(color: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * min(1.0, max(0.0, part))):02x}" for part in color)
