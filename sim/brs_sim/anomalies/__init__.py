"""Generated clips of household anomalies, with the truth of every frame."""

from brs_sim.anomalies.clip import KINDS, MOTION_KINDS, RATE_HZ, Clip, Sight

__all__ = ["KINDS", "MOTION_KINDS", "RATE_HZ", "Clip", "Sight"]
