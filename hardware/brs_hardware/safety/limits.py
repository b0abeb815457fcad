"""The commanded posture: what was sent last, and how it may go on from there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.motion import JointMotion, limit_change
from brs_hardware.safety.verdict import SafetyEvent, Severity
from brs_hardware.types import WholeBodyCommand, WholeBodyState

_WORTH_TELLING = 1.02  # of a limit; what is cut off below is no news
# A joint is told of that goes with so much of its greatest speed and will still need so long [s].
_FULL_SPEED, _BEHIND_S = 0.9, 0.1


class CommandedMotion:
    """Torso, arms, grippers and base as commanded, moved on within all limits.

    Joints are kept in one row: torso, left arm, right arm.

    Args:
        embodiment: limits of every joint.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        self.embodiment = embodiment
        groups = [embodiment.group(name) for name in Embodiment.GROUPS]
        ends = np.cumsum([len(group.joints) for group in groups])
        starts = ends - [len(group.joints) for group in groups]
        self._rows = {
            name: slice(start, end)
            for name, start, end in zip(Embodiment.GROUPS, starts, ends, strict=True)
        }
        self._names = [joint for group in groups for joint in group.joints]
        self._lower = np.concatenate([group.lower for group in groups])
        self._upper = np.concatenate([group.upper for group in groups])
        self.max_acceleration = np.concatenate([group.max_acceleration for group in groups])
        self._max_velocity = np.concatenate([group.max_velocity for group in groups])
        self._joints = JointMotion(
            self._max_velocity,
            self.max_acceleration,
            np.concatenate([group.max_jerk for group in groups]),
        )
        self.base_velocity = np.zeros(3)
        self.grippers = dict.fromkeys(Embodiment.GRIPPERS, 0.0)

    @property
    def position(self) -> np.ndarray:
        """(n,) commanded joint positions [rad]."""
        return self._joints.position

    @property
    def velocity(self) -> np.ndarray:
        """(n,) commanded joint velocities [rad/s]."""
        return self._joints.velocity

    def row(self, groups: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) joints from values by group."""
        return np.concatenate([groups[name] for name in Embodiment.GROUPS])

    def groups(self, row: np.ndarray) -> dict[str, np.ndarray]:
        """Values by group from (n,) joints."""
        return {name: row[span] for name, span in self._rows.items()}

    def outside(self, state: WholeBodyState) -> tuple[str, float]:
        """The joint measured farthest beyond its limits, and how far [rad]."""
        measured = self.row({name: getattr(state, name).position for name in self._rows})
        beyond = np.maximum(self._lower - measured, measured - self._upper)
        worst = int(np.argmax(beyond))
        return self._names[worst], float(max(beyond[worst], 0.0))

    def settle(self, state: WholeBodyState) -> None:
        """Start from rest where the robot is measured."""
        measured = self.row({name: getattr(state, name).position for name in self._rows})
        self._joints.settle(np.clip(measured, self._lower, self._upper))
        self.base_velocity = np.zeros(3)
        self.grippers = {
            name: min(max(getattr(state, name), 0.0), 1.0) for name in Embodiment.GRIPPERS
        }

    def toward(self, target: np.ndarray, dt_s: float, speed: float = 1.0) -> list[SafetyEvent]:
        """Move the joints one step toward `target` (n,), and tell what the limits changed of it.

        Args:
            target: (n,) where to [rad].
            dt_s: since the last step [s].
            speed: share of the greatest joint velocity.

        Raises:
            ArithmeticError: no motion was found, which no finite target may bring about.
        """
        inside = np.clip(target, self._lower, self._upper)
        beyond = np.abs(target - inside)
        worst = int(np.argmax(beyond))
        events = []
        if beyond[worst] > 1e-3:
            joint = self._names[worst]
            message = f"{joint} asked {beyond[worst]:.3g} rad beyond its limit; stopped there"
            events.append(SafetyEvent("joint_limit", Severity.LIMITED, joint, message))
        self._joints.toward(inside, dt_s, speed)
        self._joints.stay_within(self._lower, self._upper, dt_s)
        return [*events, *self._behind(inside, speed * self._max_velocity)]

    def _behind(self, wanted: np.ndarray, fastest: np.ndarray) -> list[SafetyEvent]:
        """Tells of a joint that goes as fast as it may, and yet stays behind what is asked."""
        gap = wanted - self.position
        late_s = np.abs(gap) / fastest
        late_s[self.velocity * np.sign(gap) < _FULL_SPEED * fastest] = 0.0
        worst = int(np.argmax(late_s))
        if late_s[worst] < _BEHIND_S:
            return []
        joint = self._names[worst]
        message = (
            f"{joint} goes with its greatest speed, {fastest[worst]:.2f} rad/s, and is"
            f" {abs(gap[worst]):.2f} rad behind what is asked"
        )
        return [SafetyEvent("joint_speed", Severity.LIMITED, joint, message)]

    def brake(self, dt_s: float) -> None:
        """Bring the joints to rest by one step; the base stands at once."""
        self.base_velocity = np.zeros(3)
        self._joints.brake(dt_s)
        self._joints.stay_within(self._lower, self._upper, dt_s)

    def restrict(self, position: np.ndarray, dt_s: float) -> None:
        """Take (n,) joints that a later rule chose in place of the last step."""
        self._joints.restrict(position, dt_s)

    def drive(
        self, wanted: np.ndarray, scale: float, max_acceleration: np.ndarray, dt_s: float
    ) -> list[SafetyEvent]:
        """Move the base velocity (3,) toward what is wanted, and tell what the limits changed.

        Args:
            wanted: (3,) vx, vy [m/s], wz [rad/s].
            scale: 0..1, share of the greatest velocity that the posture allows.
            max_acceleration: (3,) at most, what the posture allows.
            dt_s: since the last step [s].
        """
        base = self.embodiment.base
        fastest = base.max_velocity * scale
        still = np.where(np.abs(wanted) < base.deadband, 0.0, wanted)
        inside = np.clip(still, -fastest, fastest)
        gain = np.minimum(base.max_acceleration, max_acceleration)
        self.base_velocity = limit_change(self.base_velocity, inside, gain, dt_s)
        events = []
        if np.any(np.abs(still) > fastest * _WORTH_TELLING):
            why = "" if scale == 1.0 else f" ({scale:.0%} for this posture)"
            message = f"base asked for {_listed(wanted)}; limited to {_listed(fastest)}{why}"
            events.append(SafetyEvent("base_velocity", Severity.LIMITED, "base", message))
        if np.any(np.abs(inside - self.base_velocity) > gain * _BEHIND_S):
            message = f"base speeds up by at most {_listed(gain)} a second"
            events.append(SafetyEvent("base_acceleration", Severity.INFO, "base", message))
        return events

    def grip(self, target: WholeBodyCommand, dt_s: float) -> list[SafetyEvent]:
        """Move the grippers toward a command (0 open .. 1 closed) for `dt_s`, at their speed."""
        events = []
        for name, now in self.grippers.items():
            fastest = self.embodiment.gripper(name).max_speed
            reach = fastest * dt_s
            wanted = min(max(getattr(target, name), 0.0), 1.0)
            self.grippers[name] = float(min(max(wanted, now - reach), now + reach))
            if abs(wanted - self.grippers[name]) > fastest * _BEHIND_S:
                message = f"{name} closes and opens by at most {fastest:.3g} a second"
                events.append(SafetyEvent("gripper_speed", Severity.INFO, name, message))
        return events

    def command(self, stamp_s: float, source: str) -> WholeBodyCommand:
        """All of it as one command, stamped [s] as what it follows."""
        joints = self.groups(self.position.copy())
        return WholeBodyCommand(
            stamp_s=stamp_s,
            base_velocity=self.base_velocity.copy(),
            torso=joints["torso"],
            left_arm=joints["left_arm"],
            right_arm=joints["right_arm"],
            left_gripper=self.grippers["left_gripper"],
            right_gripper=self.grippers["right_gripper"],
            source=source,
        )


def _listed(values: np.ndarray) -> str:
    return f"[{', '.join(f'{value:.3g}' for value in values)}]"
