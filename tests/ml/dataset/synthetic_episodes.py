"""Small episodes whose every number follows from its time, written by the recorder's writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from brs_ml.dataset import (
    AlignConfig,
    BuildConfig,
    Dataset,
    Frame,
    Part,
    RobotLayout,
    build,
    find_episodes,
)
from brs_ml.episode import EpisodeInfo, EpisodeWriter, Topic

INTERFACES = Path(__file__).parents[3] / "ros_ws/src/brs_interfaces/msg"
START_NS = 1_700_000_000_000_000_000
CAMERAS = ("head", "wrist")
HEIGHT, WIDTH = 24, 32
LOWER, UPPER = (0.0, -1.0, -0.5), (2.0, 1.0, 1.5)

STORE = get_typestore(Stores.ROS2_JAZZY)
for _name in ("JointGroupState", "WholeBodyState", "WholeBodyCommand"):
    _text = (INTERFACES / f"{_name}.msg").read_text()
    STORE.register(get_types_from_msg(_text, f"brs_interfaces/msg/{_name}"))
TYPES = STORE.types


def layout(robot: str = "r1", arm: int = 6) -> RobotLayout:
    """A robot with 4 + 2 x `arm` joints."""

    def part(name: str, count: int, unit: str, limit: float) -> Part:
        names = tuple(f"{name}_{i}" for i in range(count))
        return Part(name, names, (unit,) * count, (-limit,) * count, (limit,) * count)

    return RobotLayout(
        robot,
        (
            part("base", 3, "m/s", 0.4),
            part("torso", 4, "rad", 3.0),
            part("left_arm", arm, "rad", 3.0),
            part("left_gripper", 1, "1", 1.0),
            part("right_arm", arm, "rad", 3.0),
            part("right_gripper", 1, "1", 1.0),
        ),
    )


def proprioception_at(seconds: float) -> np.ndarray:
    """(21,) what the robot measures: straight lines, so that interpolation is exact."""
    return np.arange(1, 22) * 0.01 + seconds * np.linspace(-0.1, 0.1, 21)


def command_at(seconds: float) -> np.ndarray:
    """(21,) what it is told."""
    return np.sin(seconds + np.arange(21)) * 0.3


def picture_at(seconds: float, camera: str) -> np.ndarray:
    """(h, w, 3) uint8: one colour that tells camera and tenths of a second."""
    color = (int(seconds * 10) % 250, 60 * CAMERAS.index(camera) + 40, 100)
    return np.full((HEIGHT, WIDTH, 3), color, np.uint8)


@dataclass(frozen=True)
class Recipe:
    """How an episode is; times are in seconds from its start."""

    seconds: float = 2.0
    robot: str = "r1"
    success: bool | None = True
    state_hz: float = 100.0
    command_hz: float = 100.0
    picture_hz: float = 15.0
    focal: float = 30.0
    drivers: tuple[tuple[str, float, float], ...] = ()
    asked: tuple[str, ...] = ()  # sources whose own commands are recorded, see `asked_at`
    pauses: tuple[tuple[float, float], ...] = ()
    # (kind, seconds) -> whether a sample is left out: state, command or a camera's name
    gap: Callable[[str, float], bool] = lambda kind, seconds: False
    depth: bool = True
    cloud_hz: float = 0.0  # of recorded clouds; 0: none
    cloud_frame: str = "base_link"
    state_of: Callable[[float], np.ndarray] = proprioception_at
    clock: Callable[[float], float] = lambda seconds: seconds  # stamp of a moment
    arm: int = 6
    told_height: int = HEIGHT  # in camera_info


def record(folder: Path, recipe: Recipe | None = None) -> Path:
    """Write an episode to a folder (made here) and close it."""
    recipe = recipe or Recipe()
    folder.mkdir(parents=True)
    info = EpisodeInfo(
        task="shelves",
        instruction="put the box away",
        operator="script",
        robot=recipe.robot,
        drivers=[
            {"source": s, "start_ns": stamp(a), "stop_ns": stamp(b)} for s, a, b in recipe.drivers
        ],
        pauses=[{"start_ns": stamp(a), "stop_ns": stamp(b)} for a, b in recipe.pauses],
    )
    writer = EpisodeWriter(folder, info, chunk_bytes=40_000)
    for seconds, topic, kind, data in sorted(_messages(recipe), key=lambda entry: entry[0]):
        writer.add_topic(Topic(topic, kind, STORE.generate_msgdef(kind, ros_version=2)[0]))
        writer.write(topic, stamp(seconds) + 2_000_000, stamp(seconds), data)
    writer.close(status="saved", success=recipe.success)
    return folder


def stamp(seconds: float) -> int:
    return START_NS + round(seconds * 1e9)


def _messages(recipe: Recipe) -> list[tuple[float, str, str, bytes]]:
    found = []
    for name, rate, make in (
        ("state", recipe.state_hz, _state),
        ("command", recipe.command_hz, _command),
    ):
        for seconds in np.arange(0.0, recipe.seconds, 1.0 / rate):
            if not recipe.gap(name, seconds):
                found.append((seconds, f"/robot/{name}", *make(seconds, recipe)))
    for source in recipe.asked:
        for seconds in np.arange(0.0, recipe.seconds, 1.0 / recipe.command_hz):
            message = _command(seconds, recipe, asked_at(seconds, source))
            found.append((seconds, f"/{source}/command", *message))
    for number, camera in enumerate(CAMERAS):
        # Cameras are not synchronous.
        for seconds in np.arange(0.01 * number, recipe.seconds, 1.0 / recipe.picture_hz):
            if not recipe.gap(camera, seconds):
                for topic, kind, data in _pictures(seconds, camera, recipe):
                    found.append((seconds, f"/camera/{camera}/{topic}", kind, data))
    if recipe.cloud_hz:
        for seconds in np.arange(0.02, recipe.seconds, 1.0 / recipe.cloud_hz):
            if not recipe.gap("cloud", seconds):
                found.append((seconds, "/perception/cloud", *_cloud(seconds, recipe)))
    return found


def cloud_at(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """(3, 3) points [m] and colours of the cloud recorded at a moment; it tells the moment.

    Of the points that are recorded beside them, one is outside of the box and one no number.
    """
    points = np.array([[0.1 * seconds, 0.2, 0.3], [0.5, 0.1 * seconds, 0.0], [1.5, -0.5, 1.0]])
    return points.astype(np.float32), np.array([[250, 0, 9], [1, 2, 3], [90, 80, 70]], np.uint8)


def _cloud(seconds: float, recipe: Recipe) -> tuple[str, bytes]:
    points, colors = cloud_at(seconds)
    rows = np.zeros(5, [("xyz", "<f4", 3), ("bgr", "u1", 3), ("spare", "u1")])
    rows["xyz"][:3], rows["bgr"][:3] = points, colors[:, ::-1]
    rows["xyz"][3:] = [[5.0, 0.0, 0.0], [np.nan, 0.0, 0.0]]
    field = TYPES["sensor_msgs/msg/PointField"]
    fields = [field(name, 4 * i, 7, 1) for i, name in enumerate(("x", "y", "z", "rgb"))]
    header = _header(recipe.clock(seconds), recipe.cloud_frame)
    data = rows.view(np.uint8)
    return _serialized(
        "sensor_msgs/msg/PointCloud2", header, 1, 5, fields, False, 16, 80, data, True
    )


def _header(seconds: float, frame: str = "base_link") -> Any:
    seconds_, nanoseconds = divmod(stamp(seconds), 10**9)
    time = TYPES["builtin_interfaces/msg/Time"](sec=seconds_, nanosec=nanoseconds)
    return TYPES["std_msgs/msg/Header"](stamp=time, frame_id=frame)


def _serialized(kind: str, *fields: Any) -> tuple[str, bytes]:
    return kind, bytes(STORE.serialize_cdr(TYPES[kind](*fields), kind))


def _parts(values: np.ndarray, arm: int) -> list[np.ndarray]:
    ends = np.cumsum([3, 4, arm, 1, arm, 1])
    long = np.resize(values, ends[-1]) if arm != 6 else values
    return np.split(long, ends[:-1])


def _state(seconds: float, recipe: Recipe) -> tuple[str, bytes]:
    base, torso, left, left_grip, right, right_grip = _parts(recipe.state_of(seconds), recipe.arm)
    joints = TYPES["brs_interfaces/msg/JointGroupState"]
    return _serialized(
        "brs_interfaces/msg/WholeBodyState",
        _header(recipe.clock(seconds)),
        np.array([seconds, 0.0, 3.0 + seconds]),  # the heading passes pi
        base,
        *(joints(part, part * 0, part * 0) for part in (torso, left, right)),
        float(left_grip[0]),
        float(right_grip[0]),
    )


def asked_at(seconds: float, source: str) -> np.ndarray:
    """What a source asks for: the robot's command and some more, another amount for each."""
    return command_at(seconds) + 0.01 * len(source)


def _command(
    seconds: float, recipe: Recipe, command: np.ndarray | None = None
) -> tuple[str, bytes]:
    values = command_at(seconds) if command is None else command
    base, torso, left, left_grip, right, right_grip = _parts(values, recipe.arm)
    return _serialized(
        "brs_interfaces/msg/WholeBodyCommand",
        _header(recipe.clock(seconds)),
        "teleop",
        base,
        torso,
        left,
        right,
        float(left_grip[0]),
        float(right_grip[0]),
    )


def _pictures(seconds: float, camera: str, recipe: Recipe) -> list[tuple[str, str, bytes]]:
    header = _header(recipe.clock(seconds), f"{camera}_camera_optical_frame")
    color = picture_at(seconds, camera).ravel()
    depth = np.full((HEIGHT, WIDTH), 1.0 + seconds, "<f4").view(np.uint8).ravel()
    matrix = np.array([recipe.focal, 0, 16, 0, recipe.focal, 12, 0, 0, 1], float)
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    found = [
        (
            "color/image_raw",
            *_serialized(
                "sensor_msgs/msg/Image", header, HEIGHT, WIDTH, "rgb8", 0, 3 * WIDTH, color
            ),
        ),
        (
            "camera_info",
            *_serialized(
                "sensor_msgs/msg/CameraInfo",
                header,
                recipe.told_height,
                WIDTH,
                "plumb_bob",
                np.zeros(5),
                matrix,
                np.eye(3).ravel(),
                np.zeros(12),
                0,
                0,
                region,
            ),
        ),
    ]
    if recipe.depth:
        image = ("sensor_msgs/msg/Image", header, HEIGHT, WIDTH, "32FC1", 0, 4 * WIDTH, depth)
        found.append(("depth/image_raw", *_serialized(*image)))
    return found


class TellingClouds:
    """Clouds that tell what they were made of: the cameras' stamps and joints."""

    def __call__(self, frames: list[Frame]) -> tuple[np.ndarray, np.ndarray]:
        points = [
            [
                (frame.stamp_ns - START_NS) * 1e-9 / 10,
                frame.joints["torso"][0],
                frame.depth[0, 0] / 10,
            ]
            for frame in frames
        ]
        points.append([frames[0].base_pose[0] / 10, 0.0, frames[0].base_pose[2] / 10])
        colors = [frame.color[0, 0] for frame in frames] + [np.zeros(3)]
        return np.array(points, np.float32), np.array(colors, np.uint8)


def settings(**changes: Any) -> BuildConfig:
    """Settings for these episodes; fields of AlignConfig go there."""
    align = {k: changes.pop(k) for k in tuple(changes) if k in AlignConfig.__dataclass_fields__}
    values = {
        "cloud_lower": LOWER,
        "cloud_upper": UPPER,
        "cloud_points": 8,
        "validation_share": 0.0,
        **changes,
    }
    return BuildConfig(align=AlignConfig(cameras=CAMERAS, **align), **values)


def made(
    root: Path, recipes: dict[str, Recipe] | None = None, out: str = "set", **changes: Any
) -> Dataset:
    """A data set of episodes recorded for it."""
    for name, recipe in (recipes or {"one": Recipe()}).items():
        if not (root / "episodes" / name).exists():
            record(root / "episodes" / name, recipe)
    episodes = find_episodes([root / "episodes"])
    build(episodes, root / out, layout(), settings(**changes), clouds=TellingClouds)
    return Dataset(root / out, verify=True)


def seconds_of(dataset: Dataset) -> np.ndarray:
    return (dataset.column("stamp_ns") - START_NS) * 1e-9
