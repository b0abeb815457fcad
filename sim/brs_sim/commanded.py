"""The robot node's rules between commands and a world, without ROS."""

from __future__ import annotations

from dataclasses import replace

from brs_hardware.embodiment import Embodiment
from brs_hardware.safety import SafetyVerdict
from brs_hardware.safety.setup import SafetySetup, make_supervisor
from brs_hardware.types import WholeBodyCommand
from brs_sim.world import World

# Without the guards on postures, which take most of an episode's computing time.
UNGUARDED = SafetySetup(collisions=False, balance=False)


class CommandedRobot:
    """Leads the simulated robot to commands as the robot node does: through the supervisor.

    Args:
        world: to be commanded; its time is the clock.
        source: whose commands these are: teleop, policy or replay.
        setup: which guards there are.
    """

    def __init__(self, world: World, source: str, setup: SafetySetup = UNGUARDED) -> None:
        self.world, self.source = world, source
        self.supervisor = make_supervisor(world.embodiment, setup)
        self.supervisor.select_source(source)
        self.supervisor.arm(world.time_s, world.whole_body_state())

    def apply(self, command: WholeBodyCommand | None) -> SafetyVerdict:
        """One tick of the robot node; call it at about 100 Hz.

        Args:
            command: that has just come, if any; it counts as made now.

        Returns:
            What the rules made of it.
        """
        now_s, world = self.world.time_s, self.world
        if command is not None:
            stamped = replace(command, source=self.source, stamp_s=now_s)
            self.supervisor.offer(now_s, stamped)
        verdict = self.supervisor.step(now_s, world.whole_body_state())
        sent = verdict.command
        if sent is None:
            return verdict
        for group in Embodiment.GROUPS:
            world.command_joints(group, getattr(sent, group))
        for gripper in Embodiment.GRIPPERS:
            stroke_mm = world.embodiment.gripper(gripper).to_stroke_mm(getattr(sent, gripper))
            world.command_gripper(gripper, stroke_mm)
        world.command_base(*sent.base_velocity)
        return verdict
