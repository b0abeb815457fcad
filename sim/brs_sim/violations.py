"""Counts what must not happen: collisions of the robot, and motors that would give up.

Both as in the trials of the paper (BRS, section on safety), where a person watched for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np

from brs_sim.model import BASE_JOINTS, robot_root
from brs_sim.tasks.config import ViolationConfig


@dataclass(frozen=True)
class Violation:
    """One breach."""

    time_s: float  # simulated, since the reset
    kind: str  # "collision" or "power loss"
    what: str  # bodies or joint concerned
    amount: float  # force [N], or share of the motor's greatest effort


@dataclass
class ViolationCounter:
    """Watches one world from its reset on.

    Args:
        model: of the world.
        config: what counts.
    """

    model: mujoco.MjModel
    config: ViolationConfig
    found: list[Violation] = field(default_factory=list)

    def __post_init__(self) -> None:
        model = self.model
        root = model.body(robot_root(model)).id
        self._is_robot = model.body_rootid[model.geom_bodyid] == root  # (ngeom,)
        driven = [
            i
            for i in range(model.njnt)
            if model.jnt_actfrclimited[i] and model.joint(i).name not in BASE_JOINTS
        ]
        # Grippers press at their limit whenever they hold something; that is what they are for.
        self._joints = np.array(
            [i for i in driven if model.jnt_type[i] == mujoco.mjtJoint.mjJNT_HINGE]
        )
        self._dofs = model.jnt_dofadr[self._joints]
        self._limit = model.jnt_actfrcrange[self._joints, 1]
        self._since_s = np.full(len(self._joints), np.inf)
        self._last_s: dict[str, float] = {}

    def look(self, data: mujoco.MjData) -> None:
        """Looks at forces and efforts now; called often."""
        if data.ncon:
            self._look_at_contacts(data)
        share = np.abs(data.qfrc_actuator[self._dofs]) / self._limit
        over = share >= self.config.overload_share
        self._since_s = np.where(over, np.minimum(self._since_s, data.time), np.inf)
        for i in np.flatnonzero(data.time - self._since_s >= self.config.overload_s):
            name = self.model.joint(self._joints[i]).name
            self._tell(data.time, "power loss", str(name), float(share[i]))

    def _look_at_contacts(self, data: mujoco.MjData) -> None:
        contact = data.contact
        address = contact.efc_address
        robot = self._is_robot[contact.geom]
        between = (robot[:, 0] != robot[:, 1]) & (address >= 0)
        if not between.any():
            return
        pairs, force = contact.geom[between], data.efc_force[address[between]]
        hardest = int(np.argmax(force))
        if force[hardest] > self.config.collision_force_n:
            bodies = self.model.geom_bodyid[pairs[hardest]]
            what = " and ".join(sorted(self.model.body(body).name for body in bodies))
            self._tell(data.time, "collision", what, float(force[hardest]))

    def _tell(self, time_s: float, kind: str, what: str, amount: float) -> None:
        """A breach, unless it goes on from a moment ago."""
        before = self._last_s.get(kind, -np.inf)
        self._last_s[kind] = time_s
        if time_s - before >= self.config.separate_s:
            self.found.append(Violation(time_s, kind, what, amount))
