"""What a launch file would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from brs_launch.actions import Action, visit
from brs_launch.context import Context
from brs_launch.errors import LaunchError
from brs_launch.events import EventHandler
from brs_launch.loading import Declared, carry_out, declared_arguments, load
from brs_launch.spec import ParameterSet, ProcessSpec
from brs_launch.substitutions import perform


class Description:
    """A dry run: collects what a session would start.

    Args:
        path: launch file.
        arguments: given by the user.

    Raises:
        LaunchError: as when launching.
    """

    def __init__(self, path: Path, arguments: dict[str, str]) -> None:
        self.processes: list[ProcessSpec] = []
        self.lines: list[str] = []
        self._timers: list[tuple[float, list[Action]]] = []
        self._indent = ""
        context = Context(self, arguments)
        carry_out(path, context)
        # A timer's actions see the values of its firing time, when all others have been visited.
        while self._timers:
            period_s, actions = self._timers.pop(0)
            self.lines.append(f"after {period_s:g} s:")
            self._indent = "  "
            visit(actions, context)
            self._indent = ""

    def start_process(self, action: Action, spec: ProcessSpec) -> None:
        self.processes.append(spec)
        self._add(*describe_process(spec))

    def start_timer(self, period_s: float, actions: Iterable[Action]) -> None:
        self._timers.append((period_s, list(actions)))

    def register_handler(self, handler: EventHandler) -> None:
        reaction = handler.reaction
        if callable(reaction):
            steps = getattr(reaction, "__name__", "a function") + "()"
        else:
            actions = reaction if isinstance(reaction, Iterable) else [reaction]
            steps = ", ".join(type(action).__name__ for action in actions)
        self._add(f"{type(handler).__name__}: {steps}")

    def request_shutdown(self, reason: str, *, required: str = "", status: int = 0) -> None:
        self._add(f"shutdown: {reason}")

    def log(self, text: str) -> None:
        self._add(f"log: {text}")

    def text(self) -> str:
        """One line a step, with the details of each process below it."""
        return "\n".join(self.lines)

    def _add(self, *lines: str) -> None:
        self.lines += [self._indent + line for line in lines]


def describe_process(spec: ProcessSpec) -> list[str]:
    """A process in a few lines."""
    node = spec.node
    extra = f" (respawns after {spec.respawn_delay_s:g} s)" if spec.respawn else ""
    if node is None:
        words = [a for a in spec.arguments if not isinstance(a, ParameterSet)]
        return [f"process {spec.label}{extra}", f"    command: {' '.join(words)}"]
    lines = [f"node {node.full_name} ({node.package}/{node.executable}){extra}"]
    lines += [f"    parameters of {path}" for path in node.parameter_files]
    lines += [f"    {name}: {value!r}" for name, value in node.parameters.items()]
    lines += [f"    remap {source} to {target}" for source, target in node.remappings]
    return lines


class _Nobody:
    """A host for looking at declarations only."""

    def start_process(self, action: Action, spec: ProcessSpec) -> None: ...

    def start_timer(self, period_s: float, actions: Iterable[Action]) -> None: ...

    def register_handler(self, handler: EventHandler) -> None: ...

    def request_shutdown(self, reason: str, *, required: str = "", status: int = 0) -> None: ...

    def log(self, text: str) -> None: ...


def arguments_of(path: Path) -> Declared:
    """The arguments that a launch file takes. Raises LaunchError if it cannot be loaded."""
    return declared_arguments(load(path), Context(_Nobody(), {}))


def format_arguments(declared: Declared) -> str:
    """The arguments for a reader: name, default, choices, description."""
    context = Context(_Nobody(), {})
    lines = []
    for name, argument in declared.arguments.items():
        default = "(required)"
        if argument.default_value is not None:
            try:
                default = f"(default: '{perform(context, argument.default_value)}')"
            except LaunchError:
                default = "(default: known while launching)"
        choices = f" one of {', '.join(argument.choices)}" if argument.choices else ""
        lines.append(f"  {name}{choices} {default}")
        if argument.description:
            lines.append(f"      {argument.description}")
    if not declared.complete:
        lines.append("  and perhaps others, of files that are included only while launching")
    return "\n".join(lines) or "  no arguments"
