"""A supervisor with all its rules, from config/safety/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field

from brs_hardware import config
from brs_hardware.collision import CollisionGuard
from brs_hardware.collision_config import KeepOut
from brs_hardware.embodiment import Embodiment
from brs_hardware.safety.guards import BalanceRule, BaseRule, CollisionRule
from brs_hardware.safety.supervisor import PostureGuard, SafetySupervisor
from brs_hardware.safety.verdict import SafetyConfig
from brs_hardware.stability import Stability


@dataclass(frozen=True)
class SafetySetup:
    """Everything that a person may set about safety."""

    rules: SafetyConfig = field(default_factory=SafetyConfig)
    collisions: bool = True  # keep the robot off itself, the floor and the keep-outs
    balance: bool = True  # keep it from tipping over; slow the base where it is tall or reaches
    keep_outs: tuple[KeepOut, ...] = ()

    @property
    def needs_pose(self) -> bool:
        """Whether a rule asks where the base is: some keep-out stays behind when it drives."""
        return any(box.frame == "odom" for box in self.keep_outs)


def load_safety(name: str = "default") -> SafetySetup:
    """The set-up `name` (a file in config/safety, or a path to a YAML file).

    Raises:
        ConfigError: no such file, malformed YAML, unknown keys.
    """
    return config.load_named(SafetySetup, "safety", name, "safety set-up")


def make_supervisor(embodiment: Embodiment, setup: SafetySetup) -> SafetySupervisor:
    """The supervisor of the robot node, with the guards that its set-up asks for.

    Raises:
        ConfigError: what a guard needs is missing or does not fit the robot.
    """
    guards: list[PostureGuard] = []
    base_guard = None
    if setup.collisions:
        guards.append(CollisionRule(CollisionGuard(embodiment, keep_outs=setup.keep_outs)))
    if setup.balance:
        stability = Stability(embodiment)
        # Collisions have the last word: what they were asked about is what is sent.
        guards.insert(0, BalanceRule(embodiment, stability))
        base_guard = BaseRule(embodiment, stability, setup.keep_outs)
    return SafetySupervisor(embodiment, setup.rules, tuple(guards), base_guard)
