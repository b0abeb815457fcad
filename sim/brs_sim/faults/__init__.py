"""Faults to be put into a running stack, and an independent eye on what the robot is then told."""

from brs_sim.faults.fault import Fault, Sign
from brs_sim.faults.monitor import Command, MonitorConfig, SafetyMonitor, Violation

__all__ = ["Command", "Fault", "MonitorConfig", "SafetyMonitor", "Sign", "Violation"]
