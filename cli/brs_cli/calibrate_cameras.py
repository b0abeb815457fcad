"""The wizard that finds where a camera sits: a printed board, a robot moved by hand, a file."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from brs_cli.calibrate import Wizard
from brs_hardware import config
from brs_hardware.camera_calibration.board import Board, draw_page
from brs_hardware.camera_calibration.hand_eye import HandEye
from brs_hardware.camera_calibration.mounts import (
    MeasuredMount,
    description_block,
    difference,
    measured_mount,
    save_mount,
    with_measured_mounts,
)
from brs_hardware.camera_calibration.views import Remark, ViewCollector, ViewSettings
from brs_hardware.cameras import load_cameras
from brs_hardware.embodiment import Camera, Embodiment, load_embodiment
from brs_hardware.errors import BrsError, ConfigError


def main(options: argparse.Namespace) -> None:
    """Do what the options of `brs calibrate cameras` ask for.

    Raises:
        BrsError: the options do not fit, views do not suffice, or a file cannot be written.
    """
    board = _board(options)
    if options.print_board:
        draw_page(board, Path(options.print_board))
        return
    if options.write_description:
        robot = with_measured_mounts(load_embodiment(options.robot))
        _write_description(options.write_description, robot)
        return
    camera = _camera(options, load_embodiment(options.robot))
    if options.forget:
        save_mount(load_embodiment(options.robot).name, camera, None)
        return
    wizard = Wizard(asks=not options.yes, countdown_s=options.countdown)
    calibrate(wizard, options, camera, board)


def calibrate(wizard: Wizard, options: argparse.Namespace, camera: str, board: Board) -> None:
    """Collect views, solve, show, and keep; who gives up keeps what was kept before.

    Raises:
        BrsError: nothing could be read, or the views do not tell the mount.
    """
    from brs_cli.camera_views import read_bag, watch

    robot = with_measured_mounts(load_embodiment(options.robot))
    settings = ViewSettings(wanted=options.views)
    collector = ViewCollector(robot, camera, board, options.board_on, settings)
    wizard.title(f"Camera '{camera}' on {collector.camera.link} of {robot.name}")
    if options.bag:
        wizard.say(_tally(read_bag(Path(options.bag), camera, collector)))
    else:
        where = "in the room" if options.board_on == "base_link" else f"on {options.board_on}"
        wizard.say(
            f"Fix the board {where} so that it cannot move, and keep the base where it is. Move"
            " the robot by its leader until the camera sees the board, let it stand still for a"
            " moment, move on: nearer, farther, and turned each time. The robot does nothing by"
            " itself. Ctrl-C gives up."
        )
        with wizard.live() as show:
            watch(
                options.namespace,
                camera,
                collector,
                lambda remark: show(progress(collector, remark)),
            )
    try:
        outcome = collector.solve()
    except BrsError as error:
        raise type(error)(error.what, where=camera, remedy=error.remedy) from None
    made = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    mount = measured_mount(collector.camera, outcome, made, _serial(options.rig, camera))
    wizard.console.print(outcome_table(collector.camera, mount))
    for line in findings(collector, outcome, mount):
        wizard.say(line)
    for hint in outcome.hints:
        wizard.say(hint, style="yellow")
    wizard.wait("keep this mount", lambda: Text(""))
    path = save_mount(robot.name, camera, mount)
    wizard.say(f"Stored in {path}", style="green")


def progress(collector: ViewCollector, remark: str) -> RenderableType:
    """How far the collection is, what is missing, and what became of the newest picture."""
    wanted, there = collector.settings.wanted, len(collector.views)
    dots = "●" * min(there, wanted) + "○" * max(wanted - there, 0)
    lack = collector.lack
    return Group(
        Text(f"{dots}  {there} of {wanted} views"),
        Text(f"missing: {lack}" if lack else "enough", style="yellow" if lack else "green"),
        Text(remark),
    )


def outcome_table(before: Camera, mount: MeasuredMount) -> Table:
    """Six numbers before and after, in the link's axes."""
    table = Table("", box=None, pad_edge=False)
    for column in ("before", "measured", "change", "±"):
        table.add_column(column, justify="right")
    rows = [
        (f"{axis}, mm", *(1e3 * np.array([before.position[i], mount.position[i]])), std)
        for i, (axis, std) in enumerate(zip("xyz", 1e3 * mount.position_std_m, strict=True))
    ]
    names, stds = ("roll", "pitch", "yaw"), np.degrees(mount.rotation_std_rad)
    rows += [
        (f"{name}, °", *np.degrees([before.rpy[i], mount.rpy[i]]), std)
        for i, (name, std) in enumerate(zip(names, stds, strict=True))
    ]
    for name, old, new, std in rows:
        table.add_row(name, f"{old:.2f}", f"{new:.2f}", f"{new - old:+.2f}", f"{std:.2f}")
    return table


def findings(collector: ViewCollector, outcome: HandEye, mount: MeasuredMount) -> list[str]:
    """What the figures say, a line each."""
    way_m, turn_rad = difference(collector.camera, mount)
    lines = [
        f"{mount.views} views; corners are {outcome.rms_px:.2f} px off (rms),"
        f" {outcome.p95_px:.2f} (95 %), {outcome.max_px:.2f} at most.",
        f"The camera sits {1e3 * way_m:.1f} mm and {np.degrees(turn_rad):.2f} degrees from where"
        " it was believed to be.",
    ]
    if outcome.outliers:
        off = ", ".join(f"{i + 1} ({outcome.view_rms_px[i]:.1f} px)" for i in outcome.outliers)
        lines.append(f"Left out, as they do not fit the others: view {off}.")
    return lines


def _tally(remarks: list[Remark]) -> str:
    kept = sum(remark.kept for remark in remarks)
    others = Counter(remark.text for remark in remarks if not remark.kept)
    reasons = "".join(f"; {count}: {text}" for text, count in others.most_common())
    return f"{len(remarks)} pictures, {kept} views kept{reasons}"


def _board(options: argparse.Namespace) -> Board:
    board = config.load(Board, options.board) if options.board else Board()
    if options.square_mm is None:
        return board
    if not 0.0 < options.square_mm < 1000.0:
        raise ConfigError("squares have a size", where="--square-mm", remedy="measure them")
    scale = options.square_mm / 1e3 / board.square_m
    return dataclasses.replace(
        board, square_m=board.square_m * scale, marker_m=board.marker_m * scale
    )


def _camera(options: argparse.Namespace, robot: Embodiment) -> str:
    if options.camera in robot.cameras:
        return str(options.camera)
    if options.camera is None:
        raise ConfigError("name a camera", where=robot.name, remedy=", ".join(robot.cameras))
    raise ConfigError(
        f"no camera '{options.camera}'",
        where=robot.name,
        remedy=config.did_you_mean(options.camera, robot.cameras),
    )


def _serial(rig: str, camera: str) -> str | None:
    """Serial number of a camera by the rig's file, where one is named."""
    cameras = load_cameras(rig).cameras if rig else {}
    return cameras[camera].serial if camera in cameras else None


def _write_description(target: str, robot: Embodiment) -> None:
    text = description_block(robot)
    if target == "-":
        print(text, end="")
        return
    try:
        with Path(target).open("x") as file:  # a description has more than cameras
            file.write(text)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=target, remedy="name a new file"
        ) from None
