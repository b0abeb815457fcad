"""Remembers the leader's neutral binding over a restart of its driver.

The turn count of a motor is lost with its power, and then kept ticks would be wrong by turns. So
the motors themselves carry a token in a register that forgets it at power-off (profile velocity,
which means nothing while they are slack). Ticks are taken back only from motors that have it.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import numpy as np

from brs_hardware.joylo import JoyLo

_REGISTER = "profile_velocity"
# High enough to be no speed limit if torque is switched on, and never the power-on value 0.
_TOKENS = range(30_000, 32_767)


def save_neutral(leader: JoyLo, path: Path) -> None:
    """Keep the binding of a bound leader. Raises DeviceError, or OSError for the file."""
    token = secrets.choice(_TOKENS)
    leader.bus.sync_write(_REGISTER, dict.fromkeys(leader.config.motors, token))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    kept = {
        "token": token,
        "ticks": leader.neutral_ticks.tolist(),
        "signs": leader.signs.tolist(),
    }
    partial.write_text(json.dumps(kept))
    partial.replace(path)


def restore_neutral(leader: JoyLo, path: Path) -> bool:
    """Bind a connected leader as before; False if the motors lost power or nothing was kept.

    Raises:
        DeviceError: the bus failed.
    """
    try:
        kept = json.loads(path.read_text())
        token, ticks = int(kept["token"]), np.array(kept["ticks"], dtype=float)
        signs = [float(sign) for sign in kept["signs"]]
    except (FileNotFoundError, KeyError, ValueError, TypeError):
        return False
    motors = leader.config.motors
    # Ticks are worth something only with the signs that they were bound with.
    if ticks.shape != leader.signs.shape or signs != leader.signs.tolist():
        return False
    if leader.bus.sync_read(_REGISTER, motors) != [token] * len(motors):
        return False
    leader.restore_neutral(ticks)
    return True
