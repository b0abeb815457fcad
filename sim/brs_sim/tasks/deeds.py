"""Does what a Deed says: moves things as an invisible hand would, to test rules by."""

from __future__ import annotations

from collections.abc import Iterable

from brs_sim.tasks.registry import Deed
from brs_sim.world import LOOK_S, World


def perform(world: World, deeds: Iterable[Deed]) -> None:
    """Performs the deeds one after the other; physics goes on meanwhile.

    Raises:
        BrsError: a deed names what the scene does not have.
    """
    for deed in deeds:
        if deed.base_pose is not None:
            world.chassis.place(deed.base_pose)
        for _ in range(max(round(deed.hold_s / LOOK_S), 1)):
            for name, value in deed.fixtures.items():
                world.turn_fixture(name, value)
            for name, pose in deed.objects.items():
                world.place_object(name, pose)
            world.step(LOOK_S)
