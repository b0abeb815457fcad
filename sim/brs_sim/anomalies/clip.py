"""Clips of a home in which something may go wrong, with the truth of every frame."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError
from brs_sim.anomalies.home import (
    AWAY_M,
    CABINET,
    CAMERA,
    DRAWER,
    DRAWER_TRAVEL_M,
    SPILL_RINGS,
    TABLE,
    VASE,
    VERTICAL_FOV,
    Home,
    build_home,
)
from brs_sim.cameras import CameraRenderer
from brs_sim.model import BASE_JOINTS, THIRD_PERSON
from brs_sim.world import Snapshot

KINDS = (
    "fallen_object",
    "person",
    "drawer_open",
    "spill",
    "arm_raised",
    "robot_stuck",
    "robot_spinning",
)
MOTION_KINDS = ("robot_stuck", "robot_spinning")  # one frame alone does not tell
RATE_HZ = 10.0
SIDE_PX = 240
_FOLDED = {
    "torso": (0.0, -0.1, -0.1, 0.0),
    "left_arm": (1.5, 2.8, -2.4, 0.0, -0.1, 0.0),
    "right_arm": (-1.5, 2.8, -2.4, 0.0, 0.1, 0.0),
}
_RAISED = (0.0, 0.9, -0.2, 0.0, 0.0, 0.0)
_GRAVITY = 9.81  # [m/s^2]
_NOISE = 2.0  # standard deviation of the camera's noise


@dataclass(frozen=True)
class Sight:
    """Where something is in the picture."""

    column: float  # [px]
    row: float  # [px]
    radius: float  # [px]

    @property
    def inside(self) -> bool:
        """Whether its middle is in the picture."""
        return 0.0 <= self.column < SIDE_PX and 0.0 <= self.row < SIDE_PX


@dataclass(frozen=True)
class _Plan:
    """How a clip's robot moves, and what happens."""

    middle: np.ndarray  # (2,) of the robot's way [m]
    reach: np.ndarray  # (2,) to either side [m]
    period_s: float
    phase: float
    yaw: float
    arm_swing: float  # [rad]
    place: np.ndarray  # (2,) of spill, or where the person goes [m]
    door: np.ndarray  # (2,) where the person comes from [m]


class Clip:
    """A clip; the same for the same arguments.

    Args:
        embodiment: the robot.
        kind: what goes wrong, of KINDS; none: nothing does.
        seed: of room, motions and time.
        frames: how many, at 10 Hz.

    Attributes:
        begin: first frame in which it goes wrong; equals `frames` if it never does.

    Raises:
        BrsError: unknown kind.
    """

    def __init__(
        self, embodiment: Embodiment, kind: str | None, seed: int, frames: int = 168
    ) -> None:
        if kind is not None and kind not in KINDS:
            raise BrsError(f"unknown anomaly '{kind}'", remedy=did_you_mean(kind, KINDS))
        random = np.random.default_rng([seed, KINDS.index(kind) if kind else len(KINDS)])
        self.kind, self.frames, self._seed = kind, frames, seed
        self.home: Home = build_home(embodiment, random)
        share = random.uniform(0.25, 0.6)
        self.begin = int(frames * share) if kind else frames
        self._plan = _Plan(
            middle=random.uniform([0.2, -1.0], [0.8, -0.5]),
            reach=random.uniform([0.3, -0.25], [0.6, 0.25]),
            period_s=float(random.uniform(5.0, 8.0)),
            phase=float(random.uniform(0.0, 2.0 * np.pi)),
            yaw=float(random.uniform(-np.pi, np.pi)),
            arm_swing=float(random.uniform(0.15, 0.4)),
            place=random.uniform([-0.5, -0.1], [0.9, 0.7]),
            door=np.array([2.0, random.uniform(1.2, 1.9)]),
        )

    @property
    def embodiment(self) -> Embodiment:
        """The robot; with `model` this is a scene that `CameraRenderer` draws."""
        return self.home.embodiment

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled room."""
        return self.home.model

    def truth(self) -> np.ndarray:
        """(frames,) bool: whether it is going wrong."""
        return np.arange(self.frames) >= self.begin

    def draw(self, renderer: CameraRenderer, frame: int) -> np.ndarray:
        """A frame as the camera sees it, (240, 240, 3) uint8 RGB, with its noise."""
        snapshot = Snapshot(frame / RATE_HZ, self.model, self.positions(frame))
        picture = renderer.render_third_person(snapshot, SIDE_PX, SIDE_PX)
        random = np.random.default_rng([self._seed, frame, 7])
        noise = random.normal(0.0, _NOISE, picture.shape)
        return np.clip(picture + noise, 0.0, 255.0).astype(np.uint8)

    def sight(self, frame: int) -> Sight | None:
        """Where the anomaly is seen; none before it begins."""
        if frame < self.begin or self.kind is None:
            return None
        return self._seen(*self._place(frame))

    def robot_sight(self, frame: int) -> Sight:
        """Where the robot is seen."""
        base, _ = self._base(frame)
        return self._seen(np.array([*base, 0.7]), 0.6)

    def positions(self, frame: int) -> np.ndarray:
        """(nq,) of a frame."""
        model = self.model
        qpos = np.array(model.qpos0)

        def put(joint: str, value: float) -> None:
            qpos[model.joint(joint).qposadr[0]] = value

        base, yaw = self._base(frame)
        for name, value in zip(BASE_JOINTS, (*base, yaw), strict=True):
            put(name, value)
        for group, values in self._arms(frame).items():
            for name, value in zip(self.embodiment.group(group).joints, values, strict=True):
                put(name, value)
        self._put_person(frame, put)
        if self.kind == "drawer_open":
            put(DRAWER, DRAWER_TRAVEL_M * np.clip(self._since_s(frame) / 0.5, 0.0, 1.0))
        self._put_spill(frame, put)
        if self.kind == "fallen_object" and frame >= self.begin:
            start = model.joint("vase").qposadr[0]
            qpos[start : start + 7] = self._vase(frame)
        return qpos

    def _since_s(self, frame: int) -> float:
        """Time since it begins; the first wrong frame shows already some of it."""
        return (frame - self.begin + 1) / RATE_HZ

    def _base(self, frame: int) -> tuple[np.ndarray, float]:
        """Place (2,) and yaw of the robot, which never rests unless it is stuck."""
        plan, time_s = self._plan, frame / RATE_HZ
        halted = self.kind in MOTION_KINDS and frame >= self.begin
        if halted:
            time_s = self.begin / RATE_HZ
        angle = 2.0 * np.pi * time_s / plan.period_s + plan.phase
        # A figure of eight: nowhere on it does the robot come to rest.
        place = plan.middle + plan.reach * [np.sin(angle), np.sin(2.0 * angle)]
        yaw = plan.yaw + 0.5 * np.sin(angle + 1.0)
        if halted and self.kind == "robot_spinning":
            yaw += 3.0 * self._since_s(frame)
        elif halted:  # it goes on trying
            tremble = np.sin(2.0 * np.pi * 2.7 * frame / RATE_HZ)
            place, yaw = place + 0.006 * tremble, yaw + 0.015 * tremble
        return place, float(yaw)

    def _arms(self, frame: int) -> dict[str, np.ndarray]:
        stuck = self.kind == "robot_stuck" and frame >= self.begin
        time_s = (self.begin if stuck else frame) / RATE_HZ
        poses = {group: np.array(pose) for group, pose in _FOLDED.items()}
        for i, group in enumerate(("left_arm", "right_arm")):
            swing = self._plan.arm_swing * np.sin(2.2 * time_s + self._plan.phase + 1.7 * i)
            poses[group][:3] += swing * np.array([0.5, -0.6, 0.6])
        if self.kind == "arm_raised" and frame >= self.begin:
            share = np.clip(self._since_s(frame) / 0.8, 0.0, 1.0)
            group = ("left_arm", "right_arm")[self._seed % 2]
            poses[group] += share * (np.array(_RAISED) - poses[group])
        return poses

    def _put_person(self, frame: int, put: object) -> None:
        assert callable(put)
        put("person_x", AWAY_M)
        if self.kind != "person" or frame < self.begin:
            return
        place, walking, yaw = self._person(frame)
        put("person_x", place[0])
        put("person_y", place[1])
        put("person_yaw", yaw)
        stride = 0.5 * np.sin(7.0 * frame / RATE_HZ) * walking
        for side, sign in (("left", 1.0), ("right", -1.0)):
            put(f"person_{side}_leg", sign * stride)
            put(f"person_{side}_arm", -sign * stride)

    def _person(self, frame: int) -> tuple[np.ndarray, float, float]:
        """Place (2,), 1 while walking, yaw."""
        way = self._plan.place - self._plan.door
        length = max(float(np.linalg.norm(way)), 1e-6)
        share = np.clip(0.9 * self._since_s(frame) / length, 0.0, 1.0)
        return self._plan.door + share * way, float(share < 1.0), float(np.arctan2(way[1], way[0]))

    def _put_spill(self, frame: int, put: object) -> None:
        assert callable(put)
        if self.kind != "spill" or frame < self.begin:
            return
        put("spill_x", self._plan.place[0])
        put("spill_y", self._plan.place[1])
        for i in range(min(1 + int(self._since_s(frame) / 0.4), SPILL_RINGS)):
            put(f"spill_{i}", 0.104 + 0.0008 * (SPILL_RINGS - i))

    def _vase(self, frame: int) -> np.ndarray:
        """(7,) pose: off the table's edge, then on its side on the floor."""
        time_s = self._since_s(frame)
        height = TABLE[2] + VASE[1] - 0.5 * _GRAVITY * max(time_s - 0.1, 0.0) ** 2
        tumble = min(2.6 * time_s, np.pi / 2)
        y = self.home.vase[1] - min(0.7 * time_s, 0.45)
        half = np.array([np.cos(tumble / 2), np.sin(tumble / 2), 0.0, 0.0])
        return np.array([self.home.vase[0], y, max(height, VASE[0]), *half])

    def _place(self, frame: int) -> tuple[np.ndarray, float]:
        """Middle (3,) and radius [m] of what is wrong."""
        if self.kind == "fallen_object":
            return self._vase(frame)[:3], 0.2
        if self.kind == "person":
            return np.array([*self._person(frame)[0], 0.9]), 0.7
        if self.kind == "drawer_open":
            x = self.home.cabinet[0] - CABINET[0] / 2 - DRAWER_TRAVEL_M / 2
            return np.array([x, self.home.cabinet[1], self.home.drawer_height]), 0.3
        if self.kind == "spill":
            return np.array([*self._plan.place, 0.0]), 0.3
        height = 1.1 if self.kind == "arm_raised" else 0.7
        return np.array([*self._base(frame)[0], height]), 0.6

    def _seen(self, place: np.ndarray, radius_m: float) -> Sight:
        model = self.model
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, model.camera(THIRD_PERSON).quat)
        x, y, z = turn.reshape(3, 3).T @ (place - CAMERA)
        focal = SIDE_PX / 2.0 / np.tan(np.radians(VERTICAL_FOV) / 2.0)
        middle = (SIDE_PX - 1) / 2.0
        return Sight(middle - focal * x / z, middle + focal * y / z, focal * radius_m / -z)
