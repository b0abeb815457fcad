"""Which topics are shown, by which handler, and how many of their messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from brs_cli.view_log import When
from brs_cli.view_scene import Scene

Handler = Callable[[When, Any], None]
COMMAND = "brs_interfaces/msg/WholeBodyCommand"
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
JOINTS = "sensor_msgs/msg/JointState"


class Kind(Enum):
    """How many messages are wanted where not all can be had."""

    NEWEST = "only the newest counts"
    PICTURE = "the newest counts, and few are enough"
    ALL = "each says something else"


@dataclass(frozen=True)
class Wish:
    """Something to be shown, from the first of several topics that is there."""

    sources: tuple[tuple[str, str], ...]  # (topic, type) in order of preference
    handler: Handler
    kind: Kind
    without: tuple[str, str] | None = None  # (topic, type); only wanted where it is not there


@dataclass(frozen=True)
class Route:
    """A topic that is there, and who shows it."""

    topic: str  # absolute name
    type: str  # package/msg/Name
    handler: Handler
    kind: Kind


def wishes(scene: Scene) -> list[Wish]:
    """All that a scene can show."""
    return [*_robot(scene), *_states(scene), *_cameras(scene)]


def find_routes(
    wanted: list[Wish], present: Mapping[str, str], namespace: str
) -> tuple[list[Route], list[str]]:
    """Topics for wishes.

    Args:
        wanted: what to show.
        present: absolute topic -> type.
        namespace: of the robot's topics; "" for none.

    Returns:
        A route for each wish that can be met, and a line for each topic of an unexpected type.
    """
    routes: list[Route] = []
    wrong: list[str] = []
    for wish in wanted:
        if wish.without and present.get(absolute(wish.without[0], namespace)) == wish.without[1]:
            continue
        for name, kind in wish.sources:
            topic = absolute(name, namespace)
            if topic not in present:
                continue
            if present[topic] != kind:
                wrong.append(f"{topic}: is a {present[topic]}, not a {kind}; not shown")
                continue
            routes.append(Route(topic, kind, wish.handler, wish.kind))
            break
    return routes, wrong


def absolute(name: str, namespace: str) -> str:
    """A topic's full name; relative names lie in the namespace."""
    if name.startswith("/"):
        return name
    return "/".join(["", *filter(None, namespace.split("/")), name])


def guess_namespace(topics: Mapping[str, str]) -> str:
    """The namespace of a recorded robot: that of `robot/state`, or of its head camera.

    Empty where there is none, or more than one.
    """
    for name in ("/robot/state", "/camera/head/camera_info", "/odom"):
        found = {topic.removesuffix(name) for topic in topics if topic.endswith(name)}
        if found:
            return found.pop().strip("/") if len(found) == 1 else ""
    return ""


def _one(topic: str, kind: str, handler: Handler, many: Kind) -> Wish:
    return Wish(((topic, kind),), handler, many)


def _robot(scene: Scene) -> list[Wish]:
    robot = scene.embodiment
    # Without our robot node, the vendor's feedback shows the same, piece by piece.
    vendor = [(name, robot.group(name).feedback_topic) for name in robot.GROUPS]
    vendor += [(name, robot.gripper(name).feedback_topic) for name in robot.GRIPPERS]
    commands = tuple(
        (f"{source}/command", COMMAND) for source in ("robot", "teleop", "policy", "replay")
    )
    state = ("robot/state", "brs_interfaces/msg/WholeBodyState")
    odometry = (robot.base.odometry_topic, "nav_msgs/msg/Odometry")
    return [
        Wish((state,), scene.measured, Kind.NEWEST),
        Wish(commands, scene.commanded, Kind.NEWEST),
        *(
            Wish(((topic, JOINTS),), scene.feedback(name), Kind.NEWEST, without=state)
            for name, topic in vendor
        ),
        Wish((odometry,), scene.odometry, Kind.NEWEST, without=state),
    ]


def _states(scene: Scene) -> list[Wish]:
    package = "brs_interfaces/msg"
    return [
        _one("robot/safety", f"{package}/SafetyState", scene.safety, Kind.ALL),
        _one("teleop/state", f"{package}/TeleopState", scene.teleop, Kind.ALL),
        _one("episode/state", f"{package}/EpisodeState", scene.episode, Kind.ALL),
        _one("sim/task", f"{package}/TaskState", scene.task, Kind.ALL),
        _one("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", scene.diagnostics, Kind.ALL),
    ]


def _cameras(scene: Scene) -> list[Wish]:
    cloud = ("perception/cloud", "sensor_msgs/msg/PointCloud2")
    objects = ("sim/objects", "visualization_msgs/msg/MarkerArray")
    found = [
        _one(*cloud, scene.cloud, Kind.PICTURE),
        _one(*objects, scene.objects, Kind.PICTURE),
    ]
    for name in scene.embodiment.cameras:
        base = f"camera/{name}"
        info = (f"{base}/camera_info", "sensor_msgs/msg/CameraInfo")
        # Compressed already by whoever has the picture: no work here, and less to carry.
        color = (
            (f"{base}/color/image_raw/compressed", COMPRESSED),
            (f"{base}/color/image_raw", IMAGE),
        )
        depth = (
            (f"{base}/depth/image_raw/compressedDepth", COMPRESSED),
            (f"{base}/depth/image_raw", IMAGE),
        )
        found += [
            _one(*info, scene.camera_info(name), Kind.PICTURE),
            Wish(color, scene.color(name), Kind.PICTURE),
            Wish(depth, scene.depth(name), Kind.PICTURE),
        ]
    return found
