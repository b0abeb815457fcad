"""`brs monitor COMMAND`: watches cameras for what should not happen, said in words."""

from __future__ import annotations

import importlib
import sys

from brs_hardware.config import did_you_mean

# Name -> module with a `main(arguments)`, and what it does.
COMMANDS = {
    "train": ("brs_cli.anomaly_train", "teach the small encoder and judge on generated clips"),
    "eval": ("brs_cli.anomaly_eval", "measure on generated clips, or on a benchmark you have"),
}


def usage() -> str:
    rows = "\n".join(f"  {name:10} {text}" for name, (_, text) in COMMANDS.items())
    return (
        f"usage: brs monitor COMMAND [options]\n\n{rows}\n\n"
        "`brs monitor COMMAND --help` lists its options."
    )


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs monitor`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        raise SystemExit(0 if arguments else 2)
    command, *rest = arguments
    if command not in COMMANDS:
        raise SystemExit(f"brs monitor: no command '{command}'; {did_you_mean(command, COMMANDS)}")
    importlib.import_module(COMMANDS[command][0]).main(rest)
