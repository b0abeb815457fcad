"""A process with everything resolved: what to run, where, and what to do when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class ParameterSet:
    """ROS parameters of one node, handed over in a file.

    Args:
        node: absolute node name, or `/**` for whatever node runs in the process.
        values: parameter name (dots separate levels) to value.
    """

    node: str
    values: dict[str, Any]

    def yaml(self) -> str:
        """The file's text; strings are quoted, so that none reads as a number."""
        return yaml.dump({self.node: {"ros__parameters": self.values}}, Dumper=_Quoting)


class _Quoting(yaml.SafeDumper):
    """Writes every string in quotes: ROS reads a bare 1e-3 as a number, PyYAML does not."""


_Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


@dataclass(frozen=True)
class NodeDetails:
    """What makes a process a ROS node."""

    package: str
    executable: str
    name: str | None  # as the launch file gives it
    namespace: str | None  # absolute
    parameters: dict[str, Any]  # of the dictionaries, later ones winning; files are not read
    parameter_files: tuple[str, ...]
    remappings: tuple[tuple[str, str], ...]

    @property
    def full_name(self) -> str:
        """Namespace and name as ROS shows them."""
        return f"{(self.namespace or '').rstrip('/')}/{self.name or self.executable}"


@dataclass(frozen=True)
class ProcessSpec:
    """One process to run."""

    label: str  # before the number in the prefix of its output
    arguments: tuple[str | ParameterSet, ...]  # a set becomes the path of its file
    environment: dict[str, str]
    cwd: str | None
    screen: bool  # both streams are shown; otherwise only stderr
    respawn: bool
    respawn_delay_s: float
    respawn_max_retries: int  # negative: no limit
    sigterm_timeout_s: float  # after SIGINT
    sigkill_timeout_s: float  # after SIGTERM
    on_exit: Any = None  # actions, or a callable (event, context) giving some
    node: NodeDetails | None = field(default=None)

    def command(self, store: Callable[[str], Path]) -> list[str]:
        """The command line.

        Args:
            store: writes a text to a new file and gives its path.
        """
        return [
            argument if isinstance(argument, str) else str(store(argument.yaml()))
            for argument in self.arguments
        ]
