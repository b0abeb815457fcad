"""Each fault of docs/faults.md on the running stack: told of, stood still for, recovered from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NoReturn

import pytest
from harness import _free_domain

from brs_cli.fault_rig import Rig
from brs_cli.fault_table import go_through, kinds

NAMES = {
    "stack": (
        *("serial_cable", "half_the_motors", "garbage_bytes", "bluetooth"),
        *("killed_joylo", "killed_teleop", "killed_robot", "killed_recorder"),
        *("feedback_frozen", "memory_pressure", "camera_unplugged", "camera_frozen"),
        *("flood_wrong_source", "flood", "not_a_number", "disk_full"),
    ),
    "network": ("packet_loss", "participant_lost"),
    "clock": ("clock_ahead", "clock_back"),
}


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest) -> Iterator[tuple[str, Rig]]:
    """One running stack for all faults of its kind, in a DDS domain of its own."""
    lock, domain = _free_domain()
    with closing(lock), pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        with Rig(**kinds()[request.param].options) as running:
            yield request.param, running


@pytest.mark.parametrize(
    ("rig", "name"),
    [(kind, name) for kind, names in NAMES.items() for name in names],
    indirect=["rig"],
    scope="module",
)
def test_fault(rig: tuple[str, Rig], name: str, refused: Callable[[str], NoReturn]) -> None:
    kind, running = rig
    faults = {fault.name: fault for fault in kinds()[kind].faults(running)}
    assert set(faults) <= set(NAMES[kind])
    if running.disk is None and name == "disk_full":
        refused(running.no_disk)
    fault = faults[name]
    outcome = go_through(running, fault)
    if outcome.lost:  # a busy computer kept the recorder from its work, once; twice is a fault
        outcome = go_through(running, fault)
    if outcome.skipped and name == "packet_loss":  # the only one that wants rights
        refused(outcome.skipped)
    assert not outcome.skipped
    assert not outcome.problem
    assert outcome.seen and outcome.unsafe == 0
    assert (outcome.still_s is not None) == fault.stops
    assert outcome.slowest_stop_ms <= 100.0
    if fault.records and not fault.loses:
        assert outcome.lost == 0
