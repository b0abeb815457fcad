"""The wizard that calibrates the Joy-Cons' sticks: leave them alone, then circle them."""

from __future__ import annotations

import datetime
import time

import numpy as np
from rich.text import Text

from brs_cli.calibrate import REFRESH_S, Wizard
from brs_hardware.errors import DeviceError
from brs_hardware.joycon import JoyCon
from brs_hardware.joycon_calibration import (
    SECTORS,
    JoyConCalibration,
    centre_at_rest,
    coverage,
    save_stick,
    solve_stick,
)
from brs_hardware.leader_config import JoyLoConfig, StickConfig
from brs_sim.emulators.joycon_socket import device_factory

REST_S = 3.0
LEAST_CIRCLING_S = 3.0  # two slow rounds reach the rim where one cuts corners
MOST_CIRCLING_S = 30.0
SAMPLE_PERIOD_S = 0.015  # of the controller's reports


def calibrate_sticks(wizard: Wizard, config: JoyLoConfig, sides: tuple[str, ...]) -> None:
    """Calibrate and store the sticks of these sides, one after the other.

    Raises:
        BrsError: a controller is not there or, where nothing is asked, a step went wrong.
    """
    for side in sides:
        chosen = config.left_joycon if side == "left" else config.right_joycon
        joycon = JoyCon(side, chosen, time.monotonic, device_factory(chosen))
        joycon.connect()
        try:
            wizard.title(f"The {side} Joy-Con, {joycon.serial}")
            stick = _solved(wizard, joycon)
        finally:
            joycon.close()
        made = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        path = save_stick(JoyConCalibration(joycon.serial, side, made, stick))
        horizontal, vertical = zip(stick.lower, stick.centre, stick.upper, strict=True)
        wizard.say("horizontal {:.0f} .. {:.0f} .. {:.0f}".format(*horizontal))
        wizard.say("vertical   {:.0f} .. {:.0f} .. {:.0f}".format(*vertical))
        zone = chosen.dead_zone + (1.0 - chosen.dead_zone) * stick.rest
        wizard.say(f"dead zone  {100 * zone:.0f} % of the deflection")
        wizard.say(f"Stored in {path}", style="green")


def _solved(wizard: Wizard, joycon: JoyCon) -> StickConfig:
    while True:
        wizard.wait(
            f"leave the stick alone for {REST_S:.0f} s",
            lambda: Text("stick at {}, {}".format(*joycon.raw_stick())),
        )
        at_rest = np.array(_samples(joycon, REST_S))
        try:
            centre = centre_at_rest(at_rest)
            wizard.say("Now circle the stick at its rim, slowly, twice.")
            return solve_stick(at_rest, _circled(wizard, joycon, centre))
        except DeviceError as error:
            if not wizard.asks:
                raise
            wizard.say(str(error), style="red")


def _circled(wizard: Wizard, joycon: JoyCon, centre: np.ndarray) -> np.ndarray:
    """(n, 2) samples until the whole circle is covered, or patience ends."""
    samples: list[np.ndarray] = []
    start_s = time.monotonic()
    with wizard.live() as show:
        while True:
            samples += _samples(joycon, REFRESH_S)
            covered = coverage(np.array(samples), centre)
            dots = "".join("●" if there else "○" for there in covered)
            show(Text(f"{dots}  {covered.sum()} of {SECTORS}"))
            elapsed_s = time.monotonic() - start_s
            done = covered.all() and elapsed_s >= LEAST_CIRCLING_S
            if done or elapsed_s >= MOST_CIRCLING_S:
                return np.array(samples)


def _samples(joycon: JoyCon, duration_s: float) -> list[np.ndarray]:
    end_s = time.monotonic() + duration_s
    samples = []
    while time.monotonic() < end_s:
        samples.append(joycon.raw_stick())
        time.sleep(SAMPLE_PERIOD_S)
    return samples
