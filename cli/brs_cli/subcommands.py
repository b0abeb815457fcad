"""Commands of a command, such as `brs dataset build`: a module each, imported when asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

from brs_hardware.config import did_you_mean


def run_subcommand(
    name: str, commands: Mapping[str, tuple[str, str]], arguments: list[str] | None
) -> None:
    """Run what the first argument names with the others, or tell what there is.

    Args:
        name: of the command, such as `brs dataset`.
        commands: name -> module with a `main(arguments)`, and what it does.
        arguments: after `name`; None: those of this process.

    Raises:
        SystemExit: help was asked for (0), nothing was (2), or an unknown command, in one line.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        rows = "\n".join(f"  {command:10} {text}" for command, (_, text) in commands.items())
        print(f"usage: {name} COMMAND [options]\n\n{rows}\n")
        print(f"`{name} COMMAND --help` lists its options.")
        raise SystemExit(0 if arguments else 2)
    command, *rest = arguments
    if command not in commands:
        raise SystemExit(f"{name}: no command '{command}'; {did_you_mean(command, commands)}")
    importlib.import_module(commands[command][0]).main(rest)
