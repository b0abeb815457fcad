"""How far the robot is from tipping over, and how fast its base may therefore drive.

A robot on wheels stands while its zero-moment point, where gravity and inertia together press
on the floor, lies within the polygon of its wheels (Vukobratovic and Borovac, "Zero-moment point:
thirty-five years of its life", 2004). The links count as at rest relative to the base, whose
acceleration is all there is. Needs the extra `sim` (MuJoCo). Positions in base_link, metres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brs_hardware import config as yaml_config
from brs_hardware.collision_model import JointVector, load_spec
from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError

GRAVITY_M_S2 = 9.81


@dataclass(frozen=True)
class StabilityConfig:
    """Room that must be left; config/robots/*_stability.yaml."""

    min_margin_m: float  # zero-moment point to the nearest edge of the wheel polygon
    floor_height_m: float  # z of the floor in base_link
    stop_deceleration: np.ndarray  # (2,) x, y [m/s^2] with which the chassis may stop
    max_turning_speed_m_s: float  # of a tool, from the base's turning alone
    tools: tuple[str, ...]  # links whose reach counts

    def __post_init__(self) -> None:
        if self.min_margin_m < 0.0 or self.max_turning_speed_m_s <= 0.0:
            raise ValueError("needs min_margin_m >= 0 and max_turning_speed_m_s > 0")
        if self.stop_deceleration.shape != (2,) or np.any(self.stop_deceleration <= 0.0):
            raise ValueError("'stop_deceleration' needs 2 positive numbers")


@dataclass(frozen=True)
class TipOver:
    """Where the robot would tip first."""

    margin_m: float  # zero-moment point inside that edge; negative: it tips
    edge: str  # such as `front`, as seen from the middle of the wheels


def load_stability_config(embodiment: Embodiment) -> StabilityConfig:
    """`<robot>_stability.yaml` beside the robot's YAML. Raises ConfigError."""
    robot = Path(embodiment.path)
    return yaml_config.load(StabilityConfig, robot.with_name(f"{robot.stem}_stability.yaml"))


class Stability:
    """Balance of one robot. Not thread-safe.

    Args:
        embodiment: the robot; its wheels span the polygon.
        config: room to be left; `<robot>_stability.yaml` if not given.

    Raises:
        ConfigError: MuJoCo is missing, a link is unknown, or the wheels span no polygon.
    """

    def __init__(self, embodiment: Embodiment, config: StabilityConfig | None = None) -> None:
        self.config = config or load_stability_config(embodiment)
        self._base = embodiment.base
        self._mujoco, spec = load_spec(embodiment)
        # Drawn shapes have no mass of their own; the links' inertias are the URDF's.
        self._model = spec.compile()
        self._data = self._mujoco.MjData(self._model)
        self._joints = JointVector(embodiment, self._model)
        self._links = {self._model.body(i).name: i for i in range(1, self._model.nbody)}
        for tool in self.config.tools:
            self._link(tool)
        self._corners = _in_order(np.asarray(self._base.wheel_positions))
        along = np.roll(self._corners, -1, axis=0) - self._corners
        # Counter-clockwise, so the inside is to the left of each edge.
        self._inward = np.column_stack([-along[:, 1], along[:, 0]])
        self._inward /= np.linalg.norm(self._inward, axis=1)[:, None]

    def centre_of_mass(
        self, joints: Mapping[str, np.ndarray], payloads_kg: Mapping[str, float] | None = None
    ) -> np.ndarray:
        """(3,) in base_link [m].

        Args:
            joints: positions [rad] by group; a group left out stands at zero.
            payloads_kg: link -> mass held at its origin, e.g. `{"left_tcp": 1.5}`.
        """
        self._data.qpos[:] = 0.0
        self._data.qpos[self._joints.position_index] = self._joints.stack(joints)
        self._mujoco.mj_kinematics(self._model, self._data)
        masses, places = self._model.body_mass, self._data.xipos
        for link, mass in (payloads_kg or {}).items():
            masses = np.append(masses, mass)
            places = np.vstack([places, self._data.xpos[self._link(link)]])
        centre: np.ndarray = masses @ places / masses.sum()
        return centre

    def margin(
        self,
        joints: Mapping[str, np.ndarray],
        base_acceleration: tuple[float, float] = (0.0, 0.0),
        payloads_kg: Mapping[str, float] | None = None,
    ) -> TipOver:
        """Distance of the zero-moment point to the nearest edge.

        Args:
            joints: positions [rad] by group.
            base_acceleration: ax, ay [m/s^2] in base_link.
            payloads_kg: see `centre_of_mass`.
        """
        room, height = self._room(self.centre_of_mass(joints, payloads_kg))
        inertia = self._inward @ np.asarray(base_acceleration) * height / GRAVITY_M_S2
        margins = room - inertia
        worst = int(np.argmin(margins))
        return TipOver(float(margins[worst]), self._edge_name(worst))

    def max_acceleration(
        self,
        joints: Mapping[str, np.ndarray],
        direction: tuple[float, float],
        payloads_kg: Mapping[str, float] | None = None,
    ) -> float:
        """Greatest acceleration [m/s^2] of the base that leaves `min_margin_m`.

        Args:
            joints: positions [rad] by group.
            direction: x, y of the acceleration in base_link, any length but zero; braking from
                driving forward accelerates backward.
            payloads_kg: see `centre_of_mass`.

        Returns:
            0 where even standing leaves less, inf where no acceleration that way could tip it.
        """
        room, height = self._room(self.centre_of_mass(joints, payloads_kg))
        spare = room - self.config.min_margin_m
        unit = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
        towards = self._inward @ unit * height / GRAVITY_M_S2  # [m] a [m/s^2]
        if np.any(spare < 0.0):
            return 0.0
        heading = towards > 1e-9
        return float(np.min(spare[heading] / towards[heading], initial=np.inf))

    def base_speed_scale(
        self, joints: Mapping[str, np.ndarray], payloads_kg: Mapping[str, float] | None = None
    ) -> float:
        """Share 0..1 of the base's greatest speed that suits torso height and reach.

        A stop at `stop_deceleration` must leave `min_margin_m` whichever way the base drives.
        Where it would not, the base must stop more gently, and to rest within the same way it
        drives slower by the root of that. Turning must not swing a tool faster than
        `max_turning_speed_m_s`.
        """
        return self.base_limits(joints, payloads_kg)[0]

    def base_limits(
        self, joints: Mapping[str, np.ndarray], payloads_kg: Mapping[str, float] | None = None
    ) -> tuple[float, np.ndarray]:
        """`base_speed_scale`, and (2,) the greatest acceleration [m/s^2] along x and along y.

        The acceleration leaves `min_margin_m` both forward and backward (left and right).

        Args:
            joints: positions [rad] by group.
            payloads_kg: see `centre_of_mass`.
        """
        room, height = self._room(self.centre_of_mass(joints, payloads_kg))
        spare = np.maximum(room - self.config.min_margin_m, 0.0)
        pull = np.abs(self._inward) * height / GRAVITY_M_S2  # [m] a [m/s^2], by edge and axis
        stopping = np.sqrt(np.min(spare / (pull @ self.config.stop_deceleration)))
        reach = max(np.hypot(*self._data.xpos[self._link(t)][:2]) for t in self.config.tools)
        swing = float(self._base.max_velocity[2]) * max(reach, 1e-9)
        scale = float(min(1.0, stopping, self.config.max_turning_speed_m_s / swing))
        return scale, np.min(spare[:, None] / np.maximum(pull, 1e-9), axis=0)

    def _room(self, centre: np.ndarray) -> tuple[np.ndarray, float]:
        """Distances (edges,) of the centre of mass inside the edges, and its height [m]."""
        room = np.einsum("ei,ei->e", centre[:2] - self._corners, self._inward)
        return room, float(centre[2]) - self.config.floor_height_m

    def _edge_name(self, edge: int) -> str:
        out_x, out_y = -self._inward[edge]
        front = "front" if out_x > 0.3 else "rear" if out_x < -0.3 else ""
        side = "left" if out_y > 0.3 else "right" if out_y < -0.3 else ""
        return "-".join(word for word in (front, side) if word)

    def _link(self, name: str) -> int:
        if name not in self._links:
            raise ConfigError(f"no link '{name}'", remedy=did_you_mean(name, self._links))
        return self._links[name]


def _in_order(wheels: np.ndarray) -> np.ndarray:
    """Wheels (k, 2) counter-clockwise. Raises ConfigError: they span no convex polygon."""
    outward = wheels - wheels.mean(axis=0)
    corners: np.ndarray = wheels[np.argsort(np.arctan2(outward[:, 1], outward[:, 0]))]
    along = np.roll(corners, -1, axis=0) - corners
    after = np.roll(along, -1, axis=0)
    if len(wheels) < 3 or np.any(along[:, 0] * after[:, 1] - along[:, 1] * after[:, 0] <= 0.0):
        raise ConfigError(
            "the wheels span no convex polygon", remedy="correct 'wheel_positions:' of the base"
        )
    return corners
