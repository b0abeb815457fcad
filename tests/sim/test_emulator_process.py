"""The emulated bus as a process of its own, and the measurement that uses it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from brs_hardware.dynamixel import DynamixelBus
from brs_sim.emulators.chain import MotorChain
from brs_sim.emulators.dynamixel_bus import EmulatedBus, joylo_motors
from brs_sim.emulators.measure import emulated_bus, leader_bus


def test_a_bus_of_its_own_process_is_read_and_leaves_nothing_behind() -> None:
    with emulated_bus("--motors", "3", "--baud", "1000000", "--no-fast-sync-read") as port:
        assert Path(port).is_symlink()
        with DynamixelBus(port, 1_000_000, reply_timeout_s=0.5) as bus:
            bus.watch(range(3))
            assert not bus.fast
            assert bus.read_states()["position"].tolist() == [2048] * 3
    assert not Path(port).is_symlink()
    assert not list(Path(tempfile.gettempdir()).glob(f"{Path(port).parent.name}*"))


def test_the_measurement_gives_the_benchmarks_numbers() -> None:
    result = leader_bus(0.05)
    assert all(value > 0.0 for value in result.values())
    assert {"leader_bus_hz", "leader_bus_ratio"} <= result.keys()
    assert result["leader_bus_ratio"] == result["leader_bus_hz"] / result["leader_bus_two_hz"]


def test_closing_twice_and_a_stale_link_do_no_harm(tmp_path: Path) -> None:
    link = tmp_path / "tty"
    link.symlink_to("/nowhere")
    before = len(list(Path("/proc/self/fd").iterdir()))
    bus = EmulatedBus(MotorChain(joylo_motors([1], 57_600)), link)
    assert link.samefile(link.readlink())
    bus.close()
    bus.close()
    assert not link.is_symlink()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
