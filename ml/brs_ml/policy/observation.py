"""What crosses the seams of a policy; free of PyTorch, so that nodes and simulators share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Observation:
    """What a policy sees: T_o steps at the rate of its data, the newest last."""

    stamps_ns: tuple[int, ...]  # (T_o,) when each was made; equal only for the same observation
    proprioception: np.ndarray  # (T_o, d) in the order and units of the robot's layout
    cloud: np.ndarray | None = None  # (T_o, n, 6) x, y, z [m] in base_link, colours 0 to 1
    images: Mapping[str, np.ndarray] = field(default_factory=dict)  # (T_o, h, w, 3) uint8 RGB


@dataclass(frozen=True)
class Chunk:
    """What is to be done, from the newest observation on."""

    actions: np.ndarray  # (T_a, d) float64, in the order and units of the robot's layout
    period_s: float  # from one action to the next
    stamp_ns: int  # of the newest observation


@dataclass(frozen=True)
class Committed:
    """What a chunk must agree with, because it is done or about to be done already."""

    actions: np.ndarray  # (T_a, d) in the order and units of the robot's layout
    known: np.ndarray  # (T_a,) 1: exactly this; 0: free; between: so much of it
