"""`brs monitor COMMAND`: watches cameras for what should not happen, said in words."""

from __future__ import annotations

from brs_cli.subcommands import run_subcommand

# Name -> module with a `main(arguments)`, and what it does.
COMMANDS = {
    "train": ("brs_cli.anomaly_train", "teach the small encoder and judge on generated clips"),
    "eval": ("brs_cli.anomaly_eval", "measure on generated clips, or on a benchmark you have"),
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs monitor`."""
    run_subcommand("brs monitor", COMMANDS, arguments)
