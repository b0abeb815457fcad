"""`brs dataset build EPISODES --out DIR`: makes a data set of recorded episodes."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from brs_cli.dataset_clouds import CloudFactory, layout_of
from brs_hardware.embodiment import load_embodiment
from brs_hardware.perception.config import CloudConfig, load_cloud
from brs_ml.dataset import (
    CLOUD_SOURCES,
    DIFFERENCES,
    AlignConfig,
    BuildConfig,
    Index,
    Outcome,
    build,
    find_episodes,
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    defaults = BuildConfig()
    parser = argparse.ArgumentParser(prog="brs dataset build", description=__doc__)
    parser.add_argument("episodes", type=Path, nargs="+", help="episodes, or folders of them")
    parser.add_argument("--out", type=Path, required=True, help="the data set's folder, made here")
    parser.add_argument("--robot", default="r1", help="robot description")
    parser.add_argument("--rate", type=float, default=defaults.align.rate_hz, help="steps [Hz]")
    parser.add_argument("--cloud", default="default", help="configuration in config/perception")
    parser.add_argument(
        "--clouds",
        choices=CLOUD_SOURCES,
        default=defaults.cloud_source,
        help="made of the pictures, recorded live, or recorded if all episodes hold them",
    )
    parser.add_argument("--no-clouds", action="store_true", help="leave clouds out")
    parser.add_argument("--no-images", action="store_true", help="leave pictures out")
    parser.add_argument("--jpeg", type=int, default=defaults.jpeg_quality, help="quality, 1-100")
    parser.add_argument(
        "--action",
        default=defaults.align.command_topic,
        metavar="TOPIC",
        help="commands that are the actions (default: %(default)s: what who drove asked for)",
    )
    parser.add_argument(
        "--action-phase",
        type=float,
        default=defaults.align.joint_action_phase,
        help="moment of a step, 0 to 1, whose joint command is its action",
    )
    parser.add_argument(
        "--validation", type=float, default=defaults.validation_share, help="share of episodes"
    )
    parser.add_argument("--split-seed", type=int, default=0, help="of that choice")
    parser.add_argument("--failures", action="store_true", help="take failed episodes, too")
    parser.add_argument(
        "--allow", action="append", default=[], choices=DIFFERENCES, help="what may differ"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes")
    return parser.parse_args(arguments)


def settings(options: argparse.Namespace, cameras: tuple[str, ...]) -> BuildConfig:
    """The data set's settings.

    Raises:
        ConfigError: no such cloud configuration.
        ValueError: a number is out of its range.
    """
    align = AlignConfig(
        rate_hz=options.rate,
        command_topic=options.action,
        joint_action_phase=options.action_phase,
        cameras=cameras,
    )
    clouds: dict[str, Any] = {}
    if not options.no_clouds:
        cloud = load_cloud(options.cloud)
        clouds = {
            "cloud_lower": tuple(float(value) for value in cloud.crop.lower),
            "cloud_upper": tuple(float(value) for value in cloud.crop.upper),
            "cloud_points": cloud.points,
            "cloud_recipe": recipe(cloud),
            "cloud_source": options.clouds,
        }
    return BuildConfig(
        align=align,
        images=not options.no_images,
        jpeg_quality=options.jpeg,
        validation_share=options.validation,
        split_seed=options.split_seed,
        failures=options.failures,
        differences=tuple(options.allow),
        **clouds,
    )


def recipe(cloud: CloudConfig) -> dict[str, Any]:
    """A cloud's configuration in plain numbers, as it is kept with the data set."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return value.tolist() if isinstance(value, np.ndarray) else value

    return {key: plain(value) for key, value in dataclasses.asdict(cloud).items()}


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Raises BrsError or EpisodeError with what to do."""
    options = parse(arguments)
    console = Console(stderr=True)
    robot = load_embodiment(options.robot)
    try:
        config = settings(options, tuple(robot.cameras))
    except ValueError as error:
        raise SystemExit(f"brs dataset build: {error}") from None

    def tell(outcome: Outcome, done: int, count: int) -> None:
        state = f"[red]{outcome.problem}" if outcome.part is None else "done"
        console.print(f"{done}/{count} {outcome.name}: {state}")

    begun_s = time.monotonic()
    index = build(
        find_episodes(options.episodes),
        options.out,
        layout_of(robot),
        config,
        clouds=CloudFactory(options.robot, options.cloud) if config.fuses else None,
        workers=options.workers,
        progress=tell,
    )
    for line in repairs(index):
        console.print(f"[yellow]in part[/] {line}")
    for name, reason in index.left_out.items():
        console.print(f"[yellow]left out[/] {name}: {reason}")
    print(f"{summary(index)}, in {time.monotonic() - begun_s:.1f} s: {options.out}")


def repairs(index: Index) -> Iterator[str]:
    """A line for each episode that was not whole."""
    for episode in index.episodes:
        if episode.torn:
            damaged = episode.source.get("damaged_chunks", 0)
            why = f"{damaged} chunks are damaged" if damaged else "its bag broke off"
            yield f"{episode.name}: {why}; {episode.steps - episode.invalid_steps} steps are whole"


def summary(index: Index) -> str:
    """A data set in one line."""
    training = sum(episode.split == "train" for episode in index.episodes)
    invalid = sum(episode.invalid_steps for episode in index.episodes)
    size_mb = sum(file.bytes for file in index.files.values()) / 1e6
    clouds = {str(episode.source.get("clouds", "none")) for episode in index.episodes} - {"none"}
    return (
        f"{len(index.episodes)} episodes ({training} for training), {index.steps} steps of "
        f"{1 / index.rate_hz:g} s ({invalid} not valid), {size_mb:.1f} MB"
        + "".join(f", {source} clouds" for source in sorted(clouds))
    )
