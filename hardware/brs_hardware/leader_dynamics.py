"""Gravity on the leader's arms, and the masses behind it found from holding currents.

A joint holds against gravity with the torque -axis . sum((r - p) x m g) over what lies beyond it:
linear in each link's mass and first moment, so that a least-squares fit finds them (the usual
regressor of rigid-body identification).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

GRAVITY_M_S2 = 9.81
# How far the fit lets a link stray from its estimate before it costs as much as one friction
# torque of misfit: a mass [kg], and that mass at a typical distance [kg m].
_MASS_SCALE_KG = 0.02
_MOMENT_SCALE_KG_M = 0.02 * 0.05


@dataclass(frozen=True)
class MotorModel:
    """One motor, at its shaft."""

    torque_constant_nm_a: float
    coulomb_nm: float
    viscous_nm_s_rad: float
    armature_kg_m2: float

    def __post_init__(self) -> None:
        if self.torque_constant_nm_a <= 0.0:
            raise ValueError("'torque_constant_nm_a' must be above 0")
        if min(self.coulomb_nm, self.viscous_nm_s_rad, self.armature_kg_m2) < 0.0:
            raise ValueError("friction and inertia of a motor are not negative")

    @property
    def coulomb_a(self) -> float:
        """Current that Coulomb friction eats [A]."""
        return self.coulomb_nm / self.torque_constant_nm_a

    @property
    def viscous_a_s_rad(self) -> float:
        """Current that viscous friction eats [A s/rad]."""
        return self.viscous_nm_s_rad / self.torque_constant_nm_a


@dataclass(frozen=True)
class LinkModel:
    """One link and the joint that turns it, at zero angle in the frame of the link before."""

    origin_m: np.ndarray  # (3,) of the joint
    axis: np.ndarray  # (3,) unit
    mass_kg: float
    centre_m: np.ndarray  # (3,) centre of mass in the link's own frame

    def __post_init__(self) -> None:
        for name in ("origin_m", "axis", "centre_m"):
            if getattr(self, name).shape != (3,):
                raise ValueError(f"'{name}' needs 3 numbers")
        if abs(np.linalg.norm(self.axis) - 1.0) > 1e-6:
            raise ValueError("'axis' must have length 1")
        if self.mass_kg < 0.0:
            raise ValueError("'mass_kg' must not be negative")


@dataclass(frozen=True)
class LeaderArmModel:
    """One arm as it is mounted."""

    mount_rpy_rad: np.ndarray  # (3,) of the arm's base in a frame with z up
    links: tuple[LinkModel, ...]

    def __post_init__(self) -> None:
        if self.mount_rpy_rad.shape != (3,):
            raise ValueError("'mount_rpy_rad' needs 3 numbers")


@dataclass(frozen=True)
class LeaderModel:
    """Both arms and the motor they are built from."""

    motor: MotorModel
    left: LeaderArmModel
    right: LeaderArmModel

    def __post_init__(self) -> None:
        if len(self.left.links) != len(self.right.links):
            raise ValueError("both arms need the same number of links")


class GravityModel:
    """Torques that hold both arms still; joints in the order left, right.

    Args:
        model: links and mounting of the arms, n joints each.
    """

    def __init__(self, model: LeaderModel) -> None:
        arms = (model.left, model.right)
        self.joints = sum(len(arm.links) for arm in arms)
        skew = np.array([[_cross_matrix(link.axis) for link in arm.links] for arm in arms])
        self._skew, self._skew_squared = skew, skew @ skew
        self._axes = np.array([[link.axis for link in arm.links] for arm in arms])
        self._origins = np.array([[link.origin_m for link in arm.links] for arm in arms])
        masses = np.array([[link.mass_kg for link in arm.links] for arm in arms])
        centres = np.array([[link.centre_m for link in arm.links] for arm in arms])
        self.parameters = np.concatenate([masses[..., None], masses[..., None] * centres], axis=2)
        # Gravity as each arm's base sees it.
        up = np.array([rotation_of_rpy(arm.mount_rpy_rad)[2] for arm in arms])
        # axis x gravity is this times the axis; np.cross would take as long as all the rest.
        self._lever = np.array([-_cross_matrix(-GRAVITY_M_S2 * each) for each in up])[:, None]

    def torque(self, position_rad: np.ndarray) -> np.ndarray:
        """(joints,) torque that each joint must exert to stay [N m], for (joints,) angles."""
        turns, places, levers = self._place(position_rad)
        masses, moments = self.parameters[..., 0], self.parameters[..., 1:]
        loads = masses[..., None] * places + (turns @ moments[..., None])[..., 0]
        # Sums over everything beyond each joint, from the tip inwards.
        beyond = np.cumsum(loads[:, ::-1], axis=1)[:, ::-1]
        carried = np.cumsum(masses[:, ::-1], axis=1)[:, ::-1]
        torque: np.ndarray = np.sum(levers * (beyond - carried[..., None] * places), axis=2)
        return torque.ravel()

    def regressor(self, position_rad: np.ndarray) -> np.ndarray:
        """(arms, n, 4 n): `torque` of an arm is this times its links' (mass, first moments)."""
        turns, places, levers = self._place(position_rad)
        apart = places[:, None] - places[:, :, None]  # arm, joint, link, xyz
        of_mass = np.einsum("ajx,ajlx->ajl", levers, apart)
        of_moment = np.einsum("ajx,alxk->ajlk", levers, turns)
        count = places.shape[1]
        full = np.concatenate([of_mass[..., None], of_moment], axis=3)
        full *= np.triu(np.ones((count, count)))[None, :, :, None]  # a joint carries those beyond
        return full.reshape(2, count, 4 * count)

    def _place(self, position_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Turns (arms, n, 3, 3), places (arms, n, 3), and torque per first moment (arms, n, 3)."""
        angle = position_rad.reshape(2, -1)[..., None, None]
        own = np.eye(3) + np.sin(angle) * self._skew + (1.0 - np.cos(angle)) * self._skew_squared
        turns, places = np.empty_like(own), np.empty_like(self._origins)
        turn, place = np.broadcast_to(np.eye(3), (2, 3, 3)), np.zeros((2, 3))
        for joint in range(own.shape[1]):
            place = place + (turn @ self._origins[:, joint, :, None])[..., 0]
            turn = turn @ own[:, joint]
            turns[:, joint], places[:, joint] = turn, place
        levers = (self._lever @ (turns @ self._axes[..., None]))[..., 0]
        return turns, places, levers


@dataclass(frozen=True)
class GravityFit:
    """What `identify_gravity` found."""

    model: LeaderModel
    before_nm: float  # root mean square of what the old model left unexplained
    after_nm: float  # the same of the new one


def identify_gravity(
    model: LeaderModel, position_rad: np.ndarray, current_a: np.ndarray, motors: np.ndarray
) -> GravityFit:
    """Fit masses and centres of mass to currents that held the arms still.

    Poses alone cannot tell all parameters apart, so those that they leave open stay near the
    estimate (ridge regression, with the motors' Coulomb friction as the noise).

    Args:
        model: the estimate to start from.
        position_rad: (poses, joints).
        current_a: (poses, joints) of one motor of each joint.
        motors: (joints,) number of motors of each joint.

    Raises:
        ValueError: shapes do not fit, or there are fewer than two poses.
    """
    if position_rad.shape != current_a.shape or len(position_rad) < 2:
        raise ValueError("give one row of positions and of currents for each of two poses or more")
    gravity = GravityModel(model)
    torque = current_a * motors * model.motor.torque_constant_nm_a
    rows = np.array([gravity.regressor(pose) for pose in position_rad])  # poses, arms, n, 4 n
    wanted = torque.reshape(len(torque), 2, -1)
    count = wanted.shape[2]
    noise_nm = max(model.motor.coulomb_nm, 1e-6)
    scale = np.tile([_MASS_SCALE_KG, *[_MOMENT_SCALE_KG_M] * 3], count)
    found, residuals = [], []
    for arm in range(2):
        matrix = rows[:, arm].reshape(-1, 4 * count)
        estimate = gravity.parameters[arm].ravel()
        missing = wanted[:, arm].ravel() - matrix @ estimate
        weighted = np.vstack([matrix * scale / noise_nm, np.eye(4 * count)])
        target = np.concatenate([missing / noise_nm, np.zeros(4 * count)])
        change = scale * np.linalg.lstsq(weighted, target, rcond=None)[0]
        found.append((estimate + change).reshape(count, 4))
        residuals.append((missing, missing - matrix @ change))
    before, after = (np.concatenate(parts) for parts in zip(*residuals, strict=True))
    return GravityFit(
        replace(model, left=_with(model.left, found[0]), right=_with(model.right, found[1])),
        float(np.sqrt(np.mean(before**2))),
        float(np.sqrt(np.mean(after**2))),
    )


def rotation_of_rpy(rpy_rad: np.ndarray) -> np.ndarray:
    """(3, 3) rotation by roll, pitch and yaw about fixed x, y, z [rad]."""
    turn = np.eye(3)
    for axis, angle in zip(np.eye(3), rpy_rad, strict=True):
        skew = _cross_matrix(axis)
        turn = (np.eye(3) + np.sin(angle) * skew + (1.0 - np.cos(angle)) * skew @ skew) @ turn
    return turn


def _with(arm: LeaderArmModel, parameters: np.ndarray) -> LeaderArmModel:
    """The arm with other (n, 4) masses and first moments; a mass is never below a gram."""
    links = []
    for link, (mass, *moment) in zip(arm.links, parameters, strict=True):
        mass_kg = max(float(mass), 1e-3)
        links.append(replace(link, mass_kg=mass_kg, centre_m=np.array(moment) / mass_kg))
    return replace(arm, links=tuple(links))


def _cross_matrix(axis: np.ndarray) -> np.ndarray:
    x, y, z = axis
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
