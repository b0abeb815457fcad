"""Reads launch files, and what arguments they declare."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brs_launch.actions import (
    Action,
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LaunchDescription,
    TimerAction,
    visit,
)
from brs_launch.context import Context
from brs_launch.errors import LaunchError, did_you_mean
from brs_launch.standins import stand_ins
from brs_launch.substitutions import perform

# Launch configurations that ExecuteProcess itself reads, in ROS 2 as here.
ALWAYS_KNOWN = ("sigterm_timeout", "sigkill_timeout")


def load(path: Path) -> LaunchDescription:
    """The description that a launch file gives.

    Raises:
        LaunchError: the file cannot be read, fails, or uses what brs_launch lacks.
    """
    namespace: dict[str, Any] = {"__file__": str(path), "__name__": "brs_launch_file"}
    try:
        source = path.read_text()
    except OSError as error:
        raise LaunchError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="correct the path"
        ) from None
    try:
        with stand_ins():
            exec(compile(source, str(path), "exec"), namespace)
            generate = namespace.get("generate_launch_description")
            if generate is None:
                raise LaunchError(
                    "no function generate_launch_description()",
                    where=str(path),
                    remedy="define it; it returns a LaunchDescription",
                )
            description = generate()
    except LaunchError as error:
        raise error.at(_line_in(path, error)) from None
    except ModuleNotFoundError as error:
        name = str(error.name)
        ours = name.partition(".")[0] in ("launch", "launch_ros")
        raise LaunchError(
            f"module '{name}' is not {'supported by brs_launch' if ours else 'installed'}",
            where=_line_in(path, error),
            remedy="install ROS 2's launch_ros, or do without" if ours else f"install {name}",
        ) from None
    except SyntaxError as error:
        raise LaunchError(
            f"not Python: {error.msg}", where=f"{path}:{error.lineno}", remedy="mend that line"
        ) from None
    except Exception as error:
        raise LaunchError(
            f"{type(error).__name__}: {error}",
            where=_line_in(path, error),
            remedy="mend that line",
        ) from error
    if not isinstance(description, LaunchDescription):
        raise LaunchError(
            f"generate_launch_description() gave {type(description).__name__}",
            where=str(path),
            remedy="return a LaunchDescription",
        )
    return description


def _line_in(path: Path, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)


@dataclass
class Declared:
    """Arguments found in a description and in the files that it includes."""

    arguments: dict[str, DeclareLaunchArgument] = field(default_factory=dict)
    # Some included file is known only while launching, so there may be arguments unseen.
    complete: bool = True

    def check(self, given: Iterable[str], path: Path) -> None:
        """Raises LaunchError if a given name is no argument."""
        if not self.complete:
            return
        for name in given:
            if name not in self.arguments and name not in ALWAYS_KNOWN:
                raise LaunchError(
                    f"no launch argument '{name}'",
                    where=str(path),
                    remedy=did_you_mean(name, self.arguments),
                )


def declared_arguments(description: LaunchDescription, context: Context) -> Declared:
    """All arguments that can be given, without carrying out the description.

    Args:
        description: of the file on the command line.
        context: fresh one, for the paths of included files.
    """
    found = Declared()
    _collect(description.entities, context, found, frozenset(), 0)
    return found


def _collect(
    actions: Iterable[Action], context: Context, found: Declared, given: frozenset[str], depth: int
) -> None:
    if depth > 20:
        raise LaunchError("launch files include each other without end", where="include")
    for action in actions:
        if isinstance(action, DeclareLaunchArgument):
            if action.name not in given:
                found.arguments.setdefault(action.name, action)
        elif isinstance(action, (GroupAction, TimerAction)):
            _collect(action.actions, context, found, given, depth)
        elif isinstance(action, IncludeLaunchDescription):
            try:
                names = {perform(context, name) for name, _ in action.launch_arguments}
                included = action.load(context)
            except LaunchError:
                # Its path may hang on values not known yet; if it is wrong, launching says so.
                found.complete = False
                continue
            _collect(included.entities, context, found, given | names, depth + 1)


def carry_out(path: Path, context: Context) -> None:
    """Load a launch file, check the arguments (all that the context holds), visit its actions.

    Raises:
        LaunchError: anything wrong with file or arguments.
    """
    description = load(path)
    declared = declared_arguments(description, Context(context.host, {}))
    declared.check(context.launch_configurations, path)
    visit(description.entities, context)
