"""`brs monitor train`: teaches the small encoder and judge on generated clips of homes."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from brs_hardware.config import config_folder, load_named
from brs_hardware.embodiment import load_embodiment
from brs_ml.anomaly import MonitorConfig, watch_texts

# Rooms of training and of testing never meet.
TRAINING_SEEDS, TEST_SEEDS = 100_000, 0


@dataclass(frozen=True)
class Phrases:
    """config/anomaly/household.yaml."""

    phrases: dict[str, tuple[str, ...]]


def weights_file() -> Path:
    """Where the small models lie."""
    return config_folder() / "anomaly" / "household.safetensors"


def main(arguments: list[str]) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="brs monitor train", description=__doc__.split(": ")[1])
    parser.add_argument("--rooms", type=int, default=300, help="of eight clips each")
    parser.add_argument("--encoder-steps", type=int, default=12_000)
    parser.add_argument("--judge-steps", type=int, default=18_000)
    parser.add_argument("--robot", default="r1")
    parser.add_argument("--out", type=Path, default=weights_file())
    options = parser.parse_args(arguments)
    train(options)


def train(options: argparse.Namespace) -> None:
    """Draw, teach the encoder, show what it picks to the judge, teach the judge, save."""
    from brs_cli.anomaly_lessons import encoder_pictures, judge_pictures, lessons, scorer_of
    from brs_ml.anomaly.small import SmallEncoder
    from brs_ml.anomaly.training import (
        EncoderData,
        JudgeData,
        TrainingConfig,
        train_judge,
        train_small,
    )

    say = Console(stderr=True).print
    phrases = load_named(Phrases, "anomaly", "household", "list of phrases").phrases
    config = TrainingConfig(options.encoder_steps, options.judge_steps)
    say(f"drawing {options.rooms} rooms ...")
    taught = list(lessons(load_embodiment(options.robot), options.rooms, TRAINING_SEEDS))
    say("teaching the encoder ...")
    pictures, shows = encoder_pictures(taught, side_px=64)
    models = train_small(phrases, EncoderData(pictures, shows), config)
    say("teaching the judge ...")
    keywords = [several[0] for several in phrases.values()]
    texts = watch_texts(keywords, SmallEncoder(models), MonitorConfig())
    shown = judge_pictures(taught, scorer_of(SmallEncoder(models), texts), keywords)
    train_judge(models, phrases, [JudgeData(*rows) for rows in shown], config)
    models.save(options.out)
    say(f"wrote {options.out}")
