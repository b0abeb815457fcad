"""Turns each ROS message, live or from a bag, into what rerun shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from brs_cli.view_blueprint import blueprint
from brs_cli.view_log import ViewLog, When, import_rerun
from brs_cli.view_pictures import MILLIMETRES, cloud_of, color_picture, depth_picture
from brs_cli.view_robot import RobotModel
from brs_hardware.cameras.throttle import Throttle
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError
from brs_hardware.feedback import joint_order
from brs_hardware.kinematics import optical_frame

# Constants of the messages, which a bag does not hold.
MODES = {"disarmed": (130, 130, 130), "armed": (0, 158, 115), "e-stop": (213, 94, 0)}
ARMED = 1
TELEOP = ("idle", "refused", "ramping", "engaged", "clutched")
EPISODE = ("idle", "recording", "review", "error", "paused")
LEVELS = ("INFO", "WARN", "ERROR", "ERROR")  # of safety events and diagnostics
MEASURED, COMMANDED = "measured", "commanded"
MODEL_HZ = 30.0  # a moving picture needs no more
FRUSTUM_M = 0.15  # how far before a camera its picture is drawn
POINT_M = 0.006
MARKER_CUBE = 1
MOST_PROBLEMS = 20  # lines of a topic; they may hold numbers that are never the same


class Scene:
    """What rerun shows of one robot.

    Args:
        log: of the recording.
        embodiment: the robot.
        image_hz: each camera's pictures a second, and clouds a second; infinity for all.
        jpeg_quality: 1 to 95.
        say: told of what cannot be shown, once each.
    """

    def __init__(
        self,
        log: ViewLog,
        embodiment: Embodiment,
        image_hz: float,
        jpeg_quality: int,
        say: Callable[[str], None],
    ) -> None:
        self._rr = import_rerun()
        self._log, self._say = log, say
        self.embodiment = embodiment
        self.model = RobotModel(log, embodiment)
        self._image_hz, self._jpeg_quality = image_hz, jpeg_quality
        self._joints: dict[str, float] = {}  # newest feedback where nobody sends robot/state
        self._base_pose = np.zeros(3)
        self._throttles: dict[str, Throttle] = {}
        self._news: dict[str, Mapping[str, object]] = {}
        self._intrinsics: dict[str, tuple[Any, ...]] = {}
        self._problems: dict[str, set[str]] = {}
        self._name_curves()
        colors = self._rr.StateConfiguration(values=list(MODES), colors=list(MODES.values()))
        log.static("states/mode", colors)

    def take(
        self, topic: str, handler: Callable[[When, Any], None], message: Any, log_ns: int
    ) -> None:
        """Show a message; one that is malformed becomes a line instead.

        Args:
            topic: it came on, named in that line.
            handler: a method of this class.
            message: with the fields of its type.
            log_ns: when it was received [ns].
        """
        when = When(_stamp_ns(message) or log_ns, log_ns)
        try:
            handler(when, message)
        except (ValueError, BrsError) as error:
            self.problem(when, topic, str(error))

    def problem(self, when: When, topic: str, line: str) -> None:
        """Say once what cannot be shown, in the recording's log, too; of a topic a few lines."""
        said = self._problems.setdefault(topic, set())
        if line not in said and len(said) < MOST_PROBLEMS:
            said.add(line)
            self._log.text(when, "log/view", "WARN", f"{topic}: {line}")
            self._say(f"{topic}: {line}")

    def arrange(self, has_clouds: bool) -> None:
        """Tell the viewer how to lay it out; `has_clouds` as in `blueprint`."""
        shapes = self.model.collision_shapes
        self._log.stream.send_blueprint(blueprint(self.embodiment, shapes, has_clouds))

    def flush(self) -> None:
        """Send what waits to be sent."""
        self._log.flush()

    # -- robot -----------------------------------------------------------------------------

    def measured(self, when: When, message: Any) -> None:
        """brs_interfaces/WholeBodyState."""
        joints: dict[str, float] = {}
        for name in self.embodiment.GROUPS:
            position = np.array(getattr(message, name).position, dtype=float)
            self._group(when, name, MEASURED, position)
            joints.update(zip(self.embodiment.group(name).joints, position, strict=True))
        closed = self._grippers_and_base(when, MEASURED, message)
        for name, fraction in zip(self.embodiment.GRIPPERS, closed, strict=True):
            joints.update(self._fingers(name, float(fraction)))
        self._move(when, np.array(message.base_pose, dtype=float), joints)

    def commanded(self, when: When, message: Any) -> None:
        """brs_interfaces/WholeBodyCommand."""
        for name in self.embodiment.GROUPS:
            self._group(when, name, COMMANDED, np.array(getattr(message, name), dtype=float))
        self._grippers_and_base(when, COMMANDED, message)

    def feedback(self, name: str) -> Callable[[When, Any], None]:
        """Handler of the vendor's sensor_msgs/JointState of a group or a gripper."""

        def gripper(when: When, message: Any) -> None:
            closed = self.embodiment.gripper(name).to_closed(_first(message.position))
            self._joints.update(self._fingers(name, closed))

        def group(when: When, message: Any) -> None:
            order = joint_order(self.embodiment, name, list(message.name))
            position = np.array(message.position, dtype=float)
            if len(position) <= order.max():
                raise ValueError(f"{len(position)} joints, {order.max() + 1} expected")
            self._group(when, name, MEASURED, position[order])
            joints = self.embodiment.group(name).joints
            self._joints.update(zip(joints, position[order].tolist(), strict=True))
            self._move(when, self._base_pose, self._joints)

        return gripper if name in self.embodiment.GRIPPERS else group

    def odometry(self, when: When, message: Any) -> None:
        """nav_msgs/Odometry."""
        place, turn = message.pose.pose.position, message.pose.pose.orientation
        yaw = np.arctan2(
            2.0 * (turn.w * turn.z + turn.x * turn.y), 1.0 - 2.0 * (turn.y**2 + turn.z**2)
        )
        self._base_pose = np.array([place.x, place.y, yaw])
        twist = message.twist.twist
        velocity = np.array([twist.linear.x, twist.linear.y, twist.angular.z])
        self._log.numbers(when, f"base/{MEASURED}", velocity)

    def _group(self, when: When, name: str, kind: str, position: np.ndarray) -> None:
        joints = self.embodiment.group(name).joints
        if len(position) != len(joints):
            raise ValueError(f"{name} has {len(joints)} joints, the message {len(position)}")
        self._log.numbers(when, f"joints/{name}/{kind}", position)

    def _grippers_and_base(self, when: When, kind: str, message: Any) -> np.ndarray:
        closed = np.array([getattr(message, name) for name in self.embodiment.GRIPPERS])
        self._log.numbers(when, f"grippers/{kind}", closed)
        self._log.numbers(when, f"base/{kind}", np.array(message.base_velocity, dtype=float))
        return closed

    def _fingers(self, name: str, closed: float) -> dict[str, float]:
        gripper = self.embodiment.gripper(name)
        share_m = gripper.to_stroke_mm(closed) / 1000.0 / len(gripper.joints)
        return dict.fromkeys(gripper.joints, share_m)

    def _move(self, when: When, base_pose: np.ndarray, joints: dict[str, float]) -> None:
        if not self._turn("model", when, MODEL_HZ):
            return
        if wrong := self.model.place(when, base_pose, joints):
            self.problem(when, "robot", f"not a number: {', '.join(wrong)}")

    # -- states and lines ------------------------------------------------------------------

    def safety(self, when: When, message: Any) -> None:
        """brs_interfaces/SafetyState."""
        self._log.state(when, "states/mode", _name(MODES, message.mode))
        drives = message.mode == ARMED and not message.holding
        driver = message.source if drives else "nobody"
        if self._log.state(when, "states/drives", driver):
            self._log.text(when, "log/safety", "INFO", f"{driver} drives")
        # Messages tell ages that change all the time: a rule is told of when it begins to hold.
        lines = {f"{e.rule} {e.part}".strip(): (e.severity, e.message) for e in message.events}
        self._tell_news(when, "log/safety", lines, {key: s for key, (s, _) in lines.items()})

    def teleop(self, when: When, message: Any) -> None:
        """brs_interfaces/TeleopState."""
        if self._log.state(when, "states/teleop", _name(TELEOP, message.state)):
            line = f"{_name(TELEOP, message.state)}: {message.message}".rstrip(": ")
            self._log.text(when, "log/teleop", "INFO", line)

    def episode(self, when: When, message: Any) -> None:
        """brs_interfaces/EpisodeState."""
        if self._log.state(when, "states/episode", _name(EPISODE, message.state)):
            line = f"{_name(EPISODE, message.state)} {message.episode} {message.message}".strip()
            self._log.text(when, "log/episode", "INFO", line)

    def task(self, when: When, message: Any) -> None:
        """brs_interfaces/TaskState."""
        for name, done in zip(message.subtasks, message.done, strict=True):
            state = "done" if done else "open"
            if self._log.state(when, f"states/task/{_entity(name)}", state) and done:
                self._log.text(when, "log/task", "INFO", f"{message.task}: {name} done")

    def diagnostics(self, when: When, message: Any) -> None:
        """diagnostic_msgs/DiagnosticArray; a status is shown when its level or line changes."""
        for status in message.status:
            level = status.level
            severity = level[0] if isinstance(level, bytes) else int(level)
            entity = f"log/diagnostics/{_entity(status.name.strip('/'))}"
            lines = {status.name: (severity, status.message)}
            self._tell_news(when, entity, lines, lines)

    def _tell_news(
        self,
        when: When,
        entity: str,
        lines: dict[str, tuple[int, str]],
        news: Mapping[str, object],
    ) -> None:
        """Log those (severity, line) whose news are other than at the last call."""
        before = self._news.get(entity, {})
        for key, (severity, line) in lines.items():
            if key not in before or before[key] != news[key]:
                self._log.text(when, entity, _name(LEVELS, severity), f"{key}: {line}")
        self._news[entity] = news

    # -- pictures --------------------------------------------------------------------------

    def camera_info(self, camera: str) -> Callable[[When, Any], None]:
        """Handler of a camera's sensor_msgs/CameraInfo."""

        def handler(when: When, message: Any) -> None:
            intrinsics = (*map(float, message.k), int(message.width), int(message.height))
            if not np.all(np.isfinite(intrinsics)) or intrinsics[0] <= 0.0:
                raise ValueError(f"focal length {intrinsics[0]:g} of {camera} is not positive")
            if self._intrinsics.get(camera) == intrinsics:
                return
            self._intrinsics[camera] = intrinsics
            pinhole = self._rr.Pinhole(
                image_from_camera=np.array(intrinsics[:9]).reshape(3, 3),
                resolution=intrinsics[9:],
                # Also where the message names another: the stack's frames are those of the URDF.
                parent_frame=optical_frame(camera),
                image_plane_distance=FRUSTUM_M,
            )
            self._log.at(when, f"cameras/{camera}", pinhole)

        return handler

    def color(self, camera: str) -> Callable[[When, Any], None]:
        """Handler of a camera's sensor_msgs/Image or CompressedImage in colour."""

        def handler(when: When, message: Any) -> None:
            entity = f"cameras/{camera}/color"
            if self._turn(entity, when, self._image_hz):
                contents, media_type = color_picture(message, camera, self._jpeg_quality)
                picture = self._rr.EncodedImage(contents=contents, media_type=media_type)
                self._log.at(when, entity, picture)

        return handler

    def depth(self, camera: str) -> Callable[[When, Any], None]:
        """Handler of a camera's sensor_msgs/Image or CompressedImage of depth."""
        near_m, far_m = self.embodiment.cameras[camera].depth_range

        def handler(when: When, message: Any) -> None:
            entity = f"cameras/{camera}/depth"
            if self._turn(entity, when, self._image_hz):
                blob, media_type = depth_picture(message, camera)
                picture = self._rr.EncodedDepthImage(
                    blob=blob,
                    media_type=media_type,
                    meter=MILLIMETRES,
                    depth_range=[near_m * MILLIMETRES, far_m * MILLIMETRES],
                )
                self._log.at(when, entity, picture)

        return handler

    def cloud(self, when: When, message: Any) -> None:
        """sensor_msgs/PointCloud2."""
        if self._turn("cloud", when, self._image_hz):
            self.points(when, message.header.frame_id, *cloud_of(message))

    def points(
        self, when: When, frame: str, points: np.ndarray, colors: np.ndarray | None
    ) -> None:
        """A cloud: points (n, 3) [m] in a frame, colours (n, 3) uint8 RGB if there are any."""
        shown = self._rr.Points3D(points, colors=colors, radii=POINT_M)
        self._log.at(when, "cloud", self._rr.CoordinateFrame(frame), shown)

    def objects(self, when: When, message: Any) -> None:
        """visualization_msgs/MarkerArray: its cubes."""
        cubes = [marker for marker in message.markers if marker.type == MARKER_CUBE]
        if not cubes or not self._turn("objects", when, self._image_hz):
            return
        when = when._replace(capture_ns=_stamp_ns(cubes[0]) or when.log_ns)
        places = [cube.pose.position for cube in cubes]
        turns = [cube.pose.orientation for cube in cubes]
        boxes = self._rr.Boxes3D(
            centers=[(place.x, place.y, place.z) for place in places],
            quaternions=[(turn.x, turn.y, turn.z, turn.w) for turn in turns],
            half_sizes=[(c.scale.x / 2, c.scale.y / 2, c.scale.z / 2) for c in cubes],
            labels=[cube.ns for cube in cubes],
            show_labels=False,
        )
        frame = self._rr.CoordinateFrame(cubes[0].header.frame_id)
        self._log.at(when, "objects", frame, boxes)

    # -- helpers ---------------------------------------------------------------------------

    def _turn(self, what: str, when: When, rate_hz: float) -> bool:
        """Whether so many a second let this one through."""
        throttle = self._throttles.setdefault(what, Throttle(rate_hz))
        return throttle.lets(when.capture_ns * 1e-9)

    def _name_curves(self) -> None:
        curves = {
            f"joints/{name}": self.embodiment.group(name).joints for name in self.embodiment.GROUPS
        }
        curves["grippers"] = self.embodiment.GRIPPERS
        curves["base"] = ("vx [m/s]", "vy [m/s]", "wz [rad/s]")
        for entity, names in curves.items():
            colors = list(itertools.islice(itertools.cycle(PALETTE), len(names)))
            for kind, width, share in ((MEASURED, 2.0, 1.0), (COMMANDED, 1.0, 0.6)):
                lines = self._rr.SeriesLines(
                    names=[f"{name} {kind}" for name in names],
                    colors=[[round(share * part) for part in color] for color in colors],
                    widths=[width] * len(names),
                )
                self._log.static(f"{entity}/{kind}", lines)


# Of curves; told apart by people with any colour vision (Okabe and Ito).
PALETTE = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115)),
    *((240, 228, 66), (213, 94, 0), (204, 121, 167), (0, 114, 178)),
)


def _name(names: Iterable[str], number: int) -> str:
    """The name of a constant; its number where it has none."""
    return dict(enumerate(names)).get(int(number), str(number))


def _entity(name: str) -> str:
    """A name as one part of an entity's path."""
    return "_".join(name.replace("/", " ").split()) or "unnamed"


def _first(values: Any) -> float:
    if not len(values):
        raise ValueError("no position")
    return float(values[0])


def _stamp_ns(message: Any) -> int:
    """Header stamp [ns], 0 where there is none."""
    header = getattr(message, "header", None)
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec if header else 0
