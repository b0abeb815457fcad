"""When the leader mirrors the robot, and when it is the person's: so that a takeover has no jump.

While the robot is armed and nobody holds a dead-man button, somebody else moves the robot or it
stands: the leader goes along. Whoever presses the button finds the leader where the robot is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.errors import ConfigError

PERSON_MODES = ("free", "float", "bilateral")
RETRY_S = 1.0


class LeaderPolicy:
    """Modes that are taken by themselves; a mode asked for by a person stays until then.

    Args:
        person_mode: while a dead-man button is held: free, float or bilateral.
        mirror: whether the leader follows the robot while none is held.

    Raises:
        ConfigError: no such mode.
    """

    def __init__(self, person_mode: str, mirror: bool) -> None:
        if person_mode not in PERSON_MODES:
            hint = did_you_mean(person_mode, PERSON_MODES)
            raise ConfigError(f"unknown mode '{person_mode}'", where="parameter mode", remedy=hint)
        # A leader that is never driven by itself is not slackened by itself either.
        self.active = mirror or person_mode != "free"
        self._modes = {
            "person": person_mode,
            "robot": "mirror" if mirror else _resting(person_mode),
            "nobody": _resting(person_mode),
        }
        self._situation = "nobody" if _resting(person_mode) == "free" else ""
        self._again_s = np.inf

    def wish(self, now_s: float, armed: bool, dead_man: bool) -> str | None:
        """The mode to take up now, None to leave it as it is.

        Args:
            now_s: any steady clock [s].
            armed: whether the robot follows somebody.
            dead_man: whether a dead-man button is held.
        """
        if not self.active:
            return None
        situation = "person" if dead_man else "robot" if armed else "nobody"
        if situation == self._situation and now_s < self._again_s:
            return None
        self._situation, self._again_s = situation, np.inf
        return self._modes[situation]

    def failed(self, now_s: float) -> None:
        """The mode was refused or let go: where no person drives, try again in a while."""
        if self._situation != "person":
            self._again_s = now_s + RETRY_S


def _resting(person_mode: str) -> str:
    """Between presses a floating leader floats on; another one is slack."""
    return "float" if person_mode == "float" else "free"


@dataclass(frozen=True)
class RumbleConfig:
    """When a Joy-Con shakes."""

    rise: float = 0.15  # of an effort over its usual level, as a share of the greatest effort
    full_rise: float = 0.6  # shakes at full strength
    settle_s: float = 0.5  # in which an effort becomes usual
    period_s: float = 0.1  # between two shakes, and their length


class ContactRumble:
    """Contact felt in the hand: the robot's joint efforts that rise quickly.

    Args:
        greatest_effort_nm: (joints,) of both arms, left then right.
        config: thresholds.
    """

    def __init__(self, greatest_effort_nm: np.ndarray, config: RumbleConfig | None = None) -> None:
        self.config = config or RumbleConfig()
        self._greatest_nm = greatest_effort_nm
        self._usual: np.ndarray | None = None
        self._seen_s = 0.0
        self._shaken_s = -np.inf

    def feel(self, now_s: float, effort_nm: np.ndarray) -> tuple[float, float]:
        """Strengths 0..1 for the left and right Joy-Con; (0, 0) leaves them alone.

        Args:
            now_s: any steady clock [s].
            effort_nm: (joints,) measured.
        """
        config, share = self.config, np.abs(effort_nm) / self._greatest_nm
        if self._usual is None:
            self._usual, self._seen_s = share, now_s
        rise = share - self._usual
        weight = 1.0 - np.exp(-max(now_s - self._seen_s, 0.0) / config.settle_s)
        self._usual, self._seen_s = self._usual + weight * rise, now_s
        worst = rise.reshape(2, -1).max(axis=1)
        if now_s < self._shaken_s + config.period_s or worst.max() <= config.rise:
            return 0.0, 0.0
        self._shaken_s = now_s
        left, right = np.where(worst > config.rise, np.clip(worst / config.full_rise, 0, 1), 0.0)
        return float(left), float(right)
