"""The leader's binding survives its driver's restart, as long as the motors have power."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from brs_hardware.joylo import JoyLo, JoyLoConfig, load_leader
from brs_hardware.neutral import restore_neutral, save_neutral
from brs_sim.emulators.joylo import EmulatedJoyLo


@pytest.fixture
def config(tmp_path: Path) -> JoyLoConfig:
    return load_leader("joylo_emulated", runtime=tmp_path)


def test_binding_survives_a_restart_of_the_driver(config: JoyLoConfig, tmp_path: Path) -> None:
    kept = tmp_path / "neutral.json"
    with EmulatedJoyLo(config) as hand:
        leader = JoyLo(config)
        leader.connect()
        leader.bind_neutral()
        save_neutral(leader, kept)
        leader.close()
        # The person moves on; a driver bound anew here would be wrong by this much.
        hand.move_hand(config.left.neutral - 0.5, config.right.neutral + 0.3)
        again = JoyLo(config)
        again.connect()
        assert restore_neutral(again, kept)
        np.testing.assert_allclose(again.read(0.0).left_arm, config.left.neutral - 0.5, atol=2e-3)
        again.close()


def test_a_binding_of_other_signs_is_not_taken_up(config: JoyLoConfig, tmp_path: Path) -> None:
    """A sign that was corrected since would move that joint the wrong way round."""
    kept = tmp_path / "neutral.json"
    with EmulatedJoyLo(config):
        leader = JoyLo(config)
        leader.connect()
        leader.bind_neutral()
        save_neutral(leader, kept)
        leader.close()
        left = dataclasses.replace(config.left, signs=-config.left.signs)
        corrected = JoyLo(dataclasses.replace(config, left=left))
        corrected.connect()
        assert not restore_neutral(corrected, kept)
        corrected.close()


def test_motors_that_lost_power_are_not_trusted(config: JoyLoConfig, tmp_path: Path) -> None:
    kept = tmp_path / "neutral.json"
    for powered_on in range(2):  # a new emulator is a power cycle
        with EmulatedJoyLo(config):
            leader = JoyLo(config)
            leader.connect()
            assert not restore_neutral(leader, kept)
            if powered_on == 0:
                leader.bind_neutral()
                save_neutral(leader, kept)
            leader.close()


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"token": 1}', '{"token": 1, "ticks": [0]}', '{"token": "x", "ticks": [1]}', "[]"],
)
def test_a_broken_file_means_nothing_was_kept(
    config: JoyLoConfig, tmp_path: Path, text: str
) -> None:
    kept = tmp_path / "neutral.json"
    kept.write_text(text)
    with EmulatedJoyLo(config):
        leader = JoyLo(config)
        leader.connect()
        assert not restore_neutral(leader, kept)
        leader.close()
