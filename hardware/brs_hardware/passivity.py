"""Whether the leader's force feedback gives away energy: before it runs, and while it runs.

A hand stays in contact with any passive leader. What makes a virtual spring active is time: it
pushes with a force that was right a moment ago. Colgate and Schenkel (1997): a spring K and a
damper B computed every T, and carried out a delay later, are passive on a device with its own
viscous friction b if b > K (T / 2 + delay) + |B|. A follower that copies the leader after some
time and pulls it back through the spring adds up to 0.217 K times that time (the deepest
trough of sin(x) / x). Diolaiti et al. (2006): Coulomb friction c must hold what the spring does
within one tick of the encoder, c > K tick / 2, or it hums. All in current of one motor.

The observer follows Hannaford and Ryu (2002): the work that the motors do on the hand, minus what
friction eats. The hand may get back what it put into the virtual springs, as long as they hold it;
what it gets beyond that was generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.errors import ConfigError

FOLLOWER_TROUGH = 0.2173  # -min(sin(x) / x)


@dataclass(frozen=True)
class LoopTiming:
    """Times that the gains have to live with."""

    period_s: float  # of the control loop
    delay_s: float  # from reading a position to the current that answers it
    follower_delay_s: float = 0.0  # from the leader's motion to the robot's, as seen back here


def largest_stiffness_a_rad(
    viscous_a_s_rad: float, coulomb_a: float, damping_a_s_rad: np.ndarray, timing: LoopTiming
) -> np.ndarray:
    """Greatest passive stiffness for each damping [A/rad], 0 where the damping alone is too much.

    Args:
        viscous_a_s_rad: the motor's own viscous friction.
        coulomb_a: the motor's own Coulomb friction.
        damping_a_s_rad: (n,) virtual damping.
        timing: of the loop.
    """
    spare = viscous_a_s_rad - np.abs(damping_a_s_rad)
    time_s = timing.period_s / 2.0 + timing.delay_s + FOLLOWER_TROUGH * timing.follower_delay_s
    viscous: np.ndarray = np.maximum(spare, 0.0) / time_s
    return np.minimum(viscous, 2.0 * coulomb_a / RAD_PER_TICK)


def check_gains(
    what: str,
    joints: Sequence[str],
    stiffness_a_rad: np.ndarray,
    damping_a_s_rad: np.ndarray,
    largest_a_rad: np.ndarray,
) -> None:
    """See that gains are passive.

    Args:
        what: which gains, for the message.
        joints: names of the n joints.
        stiffness_a_rad: (n,).
        damping_a_s_rad: (n,).
        largest_a_rad: (n,) of `largest_stiffness_a_rad`.

    Raises:
        ConfigError: names the first joint that is not, and the largest stiffness it may have.
    """
    for joint, stiffness, damping, largest in zip(
        joints, stiffness_a_rad, damping_a_s_rad, largest_a_rad, strict=True
    ):
        if stiffness > largest:
            raise ConfigError(
                f"{joint}: a stiffness of {stiffness:g} A/rad with a damping of {damping:g}"
                " A s/rad is not passive at this loop's period and delay",
                where=what,
                remedy=f"at most {largest:.3g} A/rad, or less damping or a faster loop",
            )


@dataclass(frozen=True)
class PassivityConfig:
    """How much energy a joint may generate."""

    budget_j: float = 0.02  # beyond it damping is added
    let_go_j: float = 0.08  # beyond it the motors are let go
    damping_a_s_rad: float = 0.02  # the most that is added

    def __post_init__(self) -> None:
        if not 0.0 < self.budget_j < self.let_go_j:
            raise ValueError("'budget_j' must lie between 0 and 'let_go_j'")


class PassivityObserver:
    """Keeps the books of each joint's energy; damps, and in the end says to let go.

    Args:
        config: limits.
        torque_nm_a: (n,) torque of a joint for each ampere of one motor of it.
        coulomb_a: friction of a motor.
        viscous_a_s_rad: friction of a motor.
    """

    def __init__(
        self,
        config: PassivityConfig,
        torque_nm_a: np.ndarray,
        coulomb_a: float,
        viscous_a_s_rad: float,
    ) -> None:
        self.config = config
        self._torque_nm_a = torque_nm_a
        self._coulomb_a, self._viscous_a_s_rad = coulomb_a, viscous_a_s_rad
        self.generated_j = np.zeros(len(torque_nm_a))
        self.peak_j = 0.0  # greatest so far
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def restart(self) -> None:
        """Forget all; to be called when the law changes."""
        self.generated_j[:] = 0.0
        self._before = None

    def observe(
        self,
        position_rad: np.ndarray,
        current_a: np.ndarray,
        stored: np.ndarray,
        supplied: np.ndarray,
        dt_s: float,
    ) -> None:
        """Book one period.

        Args:
            position_rad: (n,) measured.
            current_a: (n,) measured, without what balances gravity.
            stored: (n,) energy in the virtual springs now [A rad].
            supplied: (n,) energy that a target moved on purpose put into them since the last
                call [A rad]; what a robot that lags puts in is none.
            dt_s: since the last call.
        """
        before, self._before = self._before, (position_rad, current_a)
        if before is None:
            self.generated_j = -self._torque_nm_a * stored  # the hand's, from before
            return
        if dt_s <= 0.0:
            return
        moved = position_rad - before[0]
        work = 0.5 * (current_a + before[1]) * moved
        eaten = self._coulomb_a * np.abs(moved) + self._viscous_a_s_rad * moved**2 / dt_s
        given = self.generated_j + self._torque_nm_a * (work - supplied - eaten)
        # Never below what the springs hold: what was dissipated long ago excuses nothing now.
        self.generated_j = np.maximum(given, -self._torque_nm_a * stored)
        self.peak_j = max(self.peak_j, float(self.generated_j.max()))

    @property
    def passive(self) -> bool:
        """Whether every joint keeps within its budget."""
        return bool(np.all(self.generated_j <= self.config.budget_j))

    @property
    def active_joint(self) -> int | None:
        """The joint that generates so much that it has to be let go, if there is one."""
        worst = int(np.argmax(self.generated_j))
        return worst if self.generated_j[worst] > self.config.let_go_j else None

    def damping(self, velocity_rad_s: np.ndarray) -> np.ndarray:
        """(n,) current to add [A]: damping of the joints beyond their budget."""
        config = self.config
        span = config.let_go_j - config.budget_j
        share = np.clip((self.generated_j - config.budget_j) / span, 0.0, 1.0)
        added: np.ndarray = -config.damping_a_s_rad * np.sqrt(share) * velocity_rad_s
        return added
