"""Faults of the leader: its serial bus and its Bluetooth controllers."""

from __future__ import annotations

from brs_sim.emulators.dynamixel_bus import EmulatedBus
from brs_sim.emulators.joylo import EmulatedJoyLo
from brs_sim.faults.fault import Fault, Sign

_SILENT = "leader arms: silent"


def leader_faults(leader: EmulatedJoyLo) -> list[Fault]:
    """Everything that may go wrong between the operator's hands and the computer."""
    motors = leader.config.motors

    def plug_in() -> None:
        leader.bus = EmulatedBus(leader.chain, leader.config.port)

    def silence(share: float) -> None:
        with leader._running().changing() as chain:
            chain.faults.dead = frozenset(motors[: int(share * len(motors))])

    def garble(probability: float) -> None:
        with leader._running().changing() as chain:
            chain.faults.corrupt_probability = probability

    return [
        Fault(
            "serial_cable",
            "serial cable pulled",
            "teleop lets go, robot holds; joylo reconnects",
            leader.unplug_bus,
            plug_in,
            Sign.TELEOP,
            _SILENT,
        ),
        Fault(
            "half_the_motors",
            "half of the motors silent",
            "teleop lets go, robot holds; joylo names the motors",
            lambda: silence(0.5),
            lambda: silence(0.0),
            Sign.TELEOP,
            _SILENT,
        ),
        Fault(
            "garbage_bytes",
            "garbage bytes on the bus",
            "no answer is believed; teleop lets go, robot holds",
            lambda: garble(1.0),
            lambda: garble(0.0),
            Sign.TELEOP,
            _SILENT,
        ),
        Fault(
            "bluetooth",
            "Bluetooth drop and return",
            "teleop lets go, robot holds; joylo reconnects the controller",
            leader.joycons["left"].disconnect,
            leader.joycons["left"].reconnect,
            Sign.TELEOP,
            "left Joy-Con",
        ),
    ]
