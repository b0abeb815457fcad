"""`brs monitor COMMAND`: watches cameras for what should not happen, said in words."""

from __future__ import annotations

import sys

from brs_cli.subcommands import run_subcommand

# Name -> module with a `main(arguments)`, and what it does.
COMMANDS = {
    "serve": ("brs_cli.monitor_serve", "open the page: cameras, scores, texts, alarms (default)"),
    "train": ("brs_cli.anomaly_train", "teach the small encoder and judge on generated clips"),
    "calibrate": ("brs_cli.anomaly_calibrate", "learn from footage of your home what is normal"),
    "soak": ("brs_cli.anomaly_soak", "score frames for long and see whether memory grows"),
    "eval": ("brs_cli.anomaly_eval", "measure on generated clips, or on a benchmark you have"),
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs monitor`; by itself it opens the page."""
    arguments = sys.argv[1:] if arguments is None else arguments
    run_subcommand("brs monitor", COMMANDS, arguments or ["serve"])
