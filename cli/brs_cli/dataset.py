"""`brs dataset COMMAND`: makes, checks and converts data sets for training."""

from __future__ import annotations

from brs_cli.subcommands import run_subcommand

# Name -> module with a `main(arguments)`, and what it does.
COMMANDS = {
    "build": ("brs_cli.dataset_build", "make a data set of recorded episodes"),
    "info": ("brs_cli.dataset_info", "tell what a data set holds, and whether it is whole"),
    "check": ("brs_cli.dataset_check", "tell whether episodes are fit to learn from"),
    "convert": ("brs_cli.dataset_convert", "to and from LeRobot, BRS HDF5 and the hub"),
    "view": ("brs_cli.dataset_view", "look at episodes in a page; label, cut and delete them"),
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs dataset`."""
    run_subcommand("brs dataset", COMMANDS, arguments)
