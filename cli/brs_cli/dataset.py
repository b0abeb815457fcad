"""`brs dataset COMMAND`: makes, checks and converts data sets for training."""

from __future__ import annotations

import importlib
import sys

from brs_hardware.config import did_you_mean

# Name -> module with a `main(arguments)`, and what it does.
COMMANDS = {
    "build": ("brs_cli.dataset_build", "make a data set of recorded episodes"),
    "info": ("brs_cli.dataset_info", "tell what a data set holds, and whether it is whole"),
    "check": ("brs_cli.dataset_check", "tell whether episodes are fit to learn from"),
    "convert": ("brs_cli.dataset_convert", "to and from LeRobot, BRS HDF5 and the hub"),
    "view": ("brs_cli.dataset_view", "look at episodes in a page; label, cut and delete them"),
}


def usage() -> str:
    rows = "\n".join(f"  {name:10} {text}" for name, (_, text) in COMMANDS.items())
    return (
        f"usage: brs dataset COMMAND [options]\n\n{rows}\n\n"
        "`brs dataset COMMAND --help` lists its options."
    )


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs dataset`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        raise SystemExit(0 if arguments else 2)
    command, *rest = arguments
    if command not in COMMANDS:
        raise SystemExit(f"brs dataset: no command '{command}'; {did_you_mean(command, COMMANDS)}")
    importlib.import_module(COMMANDS[command][0]).main(rest)
