"""The wizard that calibrates the leader's arms: two poses, a look at the outcome, a file."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator

import numpy as np
from rich.table import Table

from brs_cli.calibrate import Wizard
from brs_hardware import calibration_store as store
from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.joylo import JoyLo, JoyLoConfig
from brs_hardware.leader_calibration import (
    LeaderZeros,
    PoseReading,
    check_pose,
    joint_ranges,
    mounting_deviation_rad,
    pose_move_rad,
    read_pose,
    solve,
    turned_round,
    wrapped,
)
from brs_hardware.leader_config import CalibrationConfig, CalibrationPose

SAMPLE_PERIOD_S = 0.02


def calibrate(wizard: Wizard, config: JoyLoConfig, robot: str) -> None:
    """Calibrate and store; who gives up before the last step keeps the old calibration.

    Raises:
        BrsError: the bus failed or, where nothing is asked, a step went wrong.
    """
    settings = _settings(config)
    ranges = joint_ranges(load_embodiment(robot))
    with _connected(config) as leader:
        wizard.say(f"{len(config.motors)} motors answer at {config.port}; they are slack.")
        zeros = _solved(wizard, leader, settings)
        for joint in turned_round(config, zeros):
            wizard.say(
                f"{joint} turns the other way round than {config.name}.yaml says; the file you"
                " store goes before it.",
                style="yellow",
            )
        leader.bind_zeros(zeros, ranges)
        wizard.title("Step 3 of 3: look")
        wizard.say("Move joint by joint: do the angles follow as the robot's would?")
        wizard.wait("store", lambda: _angle_table(leader, None))
        made = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        path = store.save_leader_calibration(config, leader.bus, zeros, made)
    wizard.console.print(_outcome_table(config, zeros))
    wizard.say(f"Stored in {path}", style="green")


def check(wizard: Wizard, config: JoyLoConfig, robot: str) -> None:
    """Compare the first pose, held by hand, with what is stored.

    Raises:
        BrsError: nothing usable is stored, the bus failed, or a joint is off.
    """
    settings = _settings(config)
    pose = settings.poses[0]
    with _connected(config) as leader:
        stored = store.load_leader_calibration(config, leader.bus)
        if stored is None:
            raise ConfigError(
                "no calibration is stored", where=config.name, remedy="run `brs calibrate joylo`"
            )
        leader.bind_zeros(stored.zeros, joint_ranges(load_embodiment(robot)))
        wizard.title(f"Check of the calibration of {stored.made}")
        _show(wizard, pose)
        wizard.wait("check", lambda: _angle_table(leader, pose), both_hands=True)
        angles = np.mean(
            [_angles(leader) for _ in _paced(settings.samples)],
            axis=0,
        )
    deviation = check_pose(config, pose, angles, settings.drift_tolerance_rad)
    worst = int(np.argmax(np.abs(deviation)))
    wizard.say(
        f"Every joint is within {np.degrees(settings.drift_tolerance_rad):.1f} degrees of"
        f" '{pose.name}'; {config.joints[worst]} is farthest off,"
        f" {np.degrees(deviation[worst]):+.1f}.",
        style="green",
    )


def _settings(config: JoyLoConfig) -> CalibrationConfig:
    if config.calibration is None:
        raise ConfigError(
            "has no calibration poses", where=config.name, remedy="add 'calibration:' to its YAML"
        )
    return config.calibration


@contextlib.contextmanager
def _connected(config: JoyLoConfig) -> Iterator[JoyLo]:
    leader = JoyLo(config)
    leader.connect()
    try:
        yield leader
    finally:
        leader.close()


def _solved(wizard: Wizard, leader: JoyLo, settings: CalibrationConfig) -> LeaderZeros:
    """Zeros from both poses; a person who went wrong begins with the first one again."""
    first, second = settings.poses
    while True:
        wizard.title(f"Step 1 of 3: pose '{first.name}'")
        one = _read(wizard, leader, settings, first, None)
        wizard.title(f"Step 2 of 3: pose '{second.name}'")
        other = _read(wizard, leader, settings, second, one)
        try:
            return solve(leader.config, settings.poses, (one, other), settings.pose_tolerance_rad)
        except DeviceError as error:
            if not wizard.asks:
                raise
            wizard.say(str(error), style="red")


def _read(
    wizard: Wizard,
    leader: JoyLo,
    settings: CalibrationConfig,
    pose: CalibrationPose,
    before: PoseReading | None,
) -> PoseReading:
    """What the motors read in a pose; again until the arms were still."""
    _show(wizard, pose)
    move = None
    if before is not None:
        move = np.abs(pose_move_rad(settings.poses))
    while True:
        wizard.wait(
            "read this pose",
            lambda: _tick_table(leader, settings, before, move),
            both_hands=True,
        )
        samples = np.array([leader.read_ticks() for _ in _paced(settings.samples)])
        try:
            reading = read_pose(leader.config, samples, settings.still_rad)
        except DeviceError as error:
            if not wizard.asks:
                raise
            wizard.say(str(error), style="red")
            continue
        wizard.say(f"Read {len(samples)} times; the arms were still.", style="green")
        return reading


def _show(wizard: Wizard, pose: CalibrationPose) -> None:
    wizard.say(pose.hold)
    wizard.console.print(pose.picture, markup=False)


def _paced(samples: int) -> Iterator[None]:
    """As many turns as samples, at their period."""
    for _ in range(samples):
        yield
        time.sleep(SAMPLE_PERIOD_S)


def _angles(leader: JoyLo) -> np.ndarray:
    sample = leader.read(0.0)
    return np.concatenate([sample.left_arm, sample.right_arm])


def _two_arms(config: JoyLoConfig, columns: tuple[str, ...], cells: list[list[str]]) -> Table:
    """A table with a row for each joint and the columns of both arms side by side."""
    table = Table("joint", box=None, pad_edge=False)
    for side in ("left", "right"):
        for column in columns:
            table.add_column(f"{side} {column}", justify="right")
    count = len(config.left.joints)
    for row in range(max(count, len(config.right.joints))):
        left = cells[row] if row < count else [""] * len(columns)
        right = cells[count + row] if count + row < len(cells) else []
        table.add_row(str(row + 1), *left, *right)
    return table


def _tick_table(
    leader: JoyLo,
    settings: CalibrationConfig,
    before: PoseReading | None,
    move: np.ndarray | None,
) -> Table:
    """Encoders now and, in the second pose, how far each joint has turned since the first."""
    ticks, rows = leader.read_ticks(), leader.config.master_rows
    if before is None or move is None:
        return _two_arms(leader.config, ("ticks",), [[f"{ticks[row]:.0f}"] for row in rows])
    turned = np.abs(wrapped(ticks - before.ticks)[rows]) * RAD_PER_TICK
    fits = np.abs(turned - move) <= settings.pose_tolerance_rad
    cells = [
        [f"{ticks[row]:.0f}", f"[{'green' if fit else 'red'}]{np.degrees(angle):.0f}°[/]"]
        for row, angle, fit in zip(rows, turned, fits, strict=True)
    ]
    return _two_arms(leader.config, ("ticks", "turned"), cells)


def _angle_table(leader: JoyLo, pose: CalibrationPose | None) -> Table:
    """Joint angles now and, of a pose to hold, how far each is off."""
    angles = _angles(leader)
    cells = [[f"{degrees:.1f}°"] for degrees in np.degrees(angles)]
    if pose is None:
        return _two_arms(leader.config, ("angle",), cells)
    off = np.degrees(angles - np.concatenate([pose.left, pose.right]))
    cells = [[*cell, f"{degrees:+.1f}°"] for cell, degrees in zip(cells, off, strict=True)]
    return _two_arms(leader.config, ("angle", "off"), cells)


def _outcome_table(config: JoyLoConfig, zeros: LeaderZeros) -> Table:
    columns = ("sign", "zero", "mounted", "error")
    mounted = np.degrees(mounting_deviation_rad(zeros))
    error = np.degrees(zeros.pose_error_rad)
    cells = [
        [
            f"{zeros.signs[i]:+.0f}",
            f"{zeros.zero_ticks[i]:.1f}",
            f"{mounted[i]:+.1f}°",
            f"{error[i]:+.1f}°",
        ]
        for i in range(len(zeros.signs))
    ]
    return _two_arms(config, columns, cells)
