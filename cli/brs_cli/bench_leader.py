"""How fast the force feedback runs: driver, laws and emulated arms with weight, unpaced.

The arms are emulated by another process, so that they cost the loop no time but their answers'.
"""

from __future__ import annotations

import dataclasses
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from brs_cli.bench import Figure, figure
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import DeviceError
from brs_hardware.joylo import JoyLo, JoyLoConfig, load_leader
from brs_hardware.leader_control import load_leader_control
from brs_hardware.leader_loop import LeaderLoop
from brs_hardware.leader_modes import FollowerMotion, LeaderController

_START_TIMEOUT_S = 20.0
_SLICE_S = 0.1


def measure_leader(seconds: float) -> list[Figure]:
    """Turns a second of the bilateral loop: read 16 motors, compute, write 16 currents."""
    with tempfile.TemporaryDirectory(prefix="brs") as folder:
        config = dataclasses.replace(_config(folder), reply_timeout_s=0.2)
        emulator = subprocess.Popen([sys.executable, "-m", "brs_cli.bench_leader", folder])
        try:
            _wait_for(Path(config.port), emulator)
            rates = _rates(config, min(seconds, 10.0))
        finally:
            emulator.terminate()
            emulator.wait()
    return [
        figure("bilateral_hz", statistics.median(rates), "Hz", ">= 250"),
        figure("bilateral_slowest_hz", min(rates), "Hz"),
    ]


def _rates(config: JoyLoConfig, seconds: float) -> list[float]:
    """Turns a second in each slice of time."""
    robot = load_embodiment("r1")
    arms = (robot.left_arm, robot.right_arm)
    # A stall of this computer shall slow the loop down, not end it.
    control = dataclasses.replace(load_leader_control(), watchdog_s=0.1)
    leader = JoyLo(config)
    leader.connect()
    try:
        leader.bind_neutral()
        pose = np.concatenate([config.left.neutral, config.right.neutral])
        controller = LeaderController(
            control,
            config,
            np.concatenate([arm.lower for arm in arms]),
            np.concatenate([arm.upper for arm in arms]),
        )
        loop, rates = LeaderLoop(leader, controller), []
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            rates.append(_rate(loop, pose))
        return rates
    finally:
        leader.close()


def _rate(loop: LeaderLoop, pose: np.ndarray) -> float:
    """Turns a second over one slice of time; a leader that was let go is taken up again."""
    begun_s = last_s = time.monotonic()
    turns = 0
    if loop.mode == "free":
        loop.take("bilateral", last_s, FollowerMotion(last_s, pose, np.zeros(12)))
    while last_s < begun_s + _SLICE_S and loop.mode != "free":
        now_s = time.monotonic()
        loop.step(now_s, now_s - last_s, FollowerMotion(now_s, pose, np.zeros(12)))
        last_s, turns = now_s, turns + 1
    return turns / (time.monotonic() - begun_s)


def _config(folder: str) -> JoyLoConfig:
    return load_leader("joylo_emulated", runtime=Path(folder))


def _wait_for(port: Path, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while not port.exists():
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise DeviceError("the emulated leader did not start", where=str(port))
        time.sleep(0.02)


def main() -> None:
    """The emulator's process: serve the arms until SIGTERM."""
    from brs_sim.emulators.joylo import EmulatedJoyLo

    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # only sigwait receives them
    with EmulatedJoyLo(_config(sys.argv[1])):
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
