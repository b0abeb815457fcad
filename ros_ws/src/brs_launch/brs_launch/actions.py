"""What a launch file may ask for, other than processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brs_launch.conditions import Condition
from brs_launch.context import Context, Described
from brs_launch.errors import LaunchError, did_you_mean
from brs_launch.events import EventHandler, ProcessExited
from brs_launch.events import Shutdown as ShutdownEvent
from brs_launch.substitutions import SomeText, is_text, perform


@dataclass(eq=False, kw_only=True)
class Action(Described):
    """A step of a launch description; left out when its condition is false."""

    condition: Condition | None = None

    def execute(self, context: Context) -> Iterable[Action] | None:
        """Carry it out; gives the actions to carry out next. Raises LaunchError."""
        raise NotImplementedError


class LaunchDescription(Described):
    """What a launch file gives: its actions in order."""

    def __init__(self, initial_entities: Iterable[Action] | None = None) -> None:
        self.entities: list[Action] = []
        for entity in initial_entities or ():
            self.add_action(entity)

    def add_action(self, action: Action) -> None:
        """Append an action."""
        _check_actions([action], self.place)
        self.entities.append(action)

    add_entity = add_action


def _check_actions(actions: Iterable[Any], place: str) -> None:
    for action in actions:
        if not isinstance(action, Action):
            raise LaunchError(f"{action!r} is not an action", where=place, remedy="remove it")


def visit(actions: Iterable[Action], context: Context) -> None:
    """Carry out actions and what they lead to, in order.

    Raises:
        LaunchError: something is wrong with one of them; names its line.
    """
    for action in actions:
        _check_actions([action], "launch description")
        try:
            if action.condition is None or action.condition.evaluate(context):
                visit(action.execute(context) or (), context)
        except LaunchError as error:
            raise error.at(action.place) from None


@dataclass(eq=False)
class DeclareLaunchArgument(Action):
    """Names an argument of the launch file."""

    name: str
    default_value: SomeText | None = None
    description: str | None = None
    choices: list[str] | None = None

    def execute(self, context: Context) -> None:
        values = context.launch_configurations
        if self.name not in values:
            if self.default_value is None:
                raise LaunchError(
                    f"argument '{self.name}' has no value",
                    remedy=f"give {self.name}:=... ({self.description or 'no description'})",
                )
            values[self.name] = perform(context, self.default_value)
        if self.choices is not None and values[self.name] not in self.choices:
            raise LaunchError(
                f"argument '{self.name}' cannot be '{values[self.name]}'",
                remedy=did_you_mean(values[self.name], self.choices),
            )


@dataclass(eq=False)
class SetLaunchConfiguration(Action):
    """Sets a value for the rest of the scope."""

    name: SomeText
    value: SomeText

    def execute(self, context: Context) -> None:
        name = perform(context, self.name)
        context.launch_configurations[name] = perform(context, self.value)


@dataclass(eq=False)
class SetEnvironmentVariable(Action):
    """Sets a variable for the processes of the rest of the scope."""

    name: SomeText
    value: SomeText

    def execute(self, context: Context) -> None:
        name = perform(context, self.name)
        context.environment[name] = perform(context, self.value)


@dataclass(eq=False)
class PythonLaunchDescriptionSource(Described):
    """Another launch file."""

    location: SomeText

    def path(self, context: Context) -> Path:
        """Where it is. Raises LaunchError if it is not there."""
        path = Path(perform(context, self.location))
        if not path.is_file():
            raise LaunchError("no such launch file", where=str(path), remedy="correct the path")
        return path


@dataclass(eq=False)
class IncludeLaunchDescription(Action):
    """Carries out another launch file; the arguments stay set afterwards, as in ROS 2."""

    launch_description_source: PythonLaunchDescriptionSource | SomeText
    launch_arguments: Iterable[tuple[SomeText, SomeText]] = ()

    def __post_init__(self) -> None:
        self.launch_arguments = tuple(self.launch_arguments)

    def load(self, context: Context) -> LaunchDescription:
        """The other file's description. Raises LaunchError."""
        from brs_launch.loading import load

        source = self.launch_description_source
        if not isinstance(source, PythonLaunchDescriptionSource):
            source = PythonLaunchDescriptionSource(source)
        return load(source.path(context))

    def execute(self, context: Context) -> Iterable[Action]:
        description = self.load(context)
        for name, value in self.launch_arguments:
            context.launch_configurations[perform(context, name)] = perform(context, value)
        return description.entities


class _Push(Action):
    def execute(self, context: Context) -> None:
        context.push()


class _Pop(Action):
    def execute(self, context: Context) -> None:
        context.pop()


@dataclass(eq=False)
class GroupAction(Action):
    """Actions with, unless `scoped` is false, a scope of their own."""

    actions: Iterable[Action]
    scoped: bool = True

    def __post_init__(self) -> None:
        self.actions = list(self.actions)
        _check_actions(self.actions, self.place)

    def execute(self, context: Context) -> list[Action]:
        actions = list(self.actions)
        return [_Push(), *actions, _Pop()] if self.scoped else actions


@dataclass(eq=False, kw_only=True)
class TimerAction(Action):
    """Actions carried out some seconds later, unless everything stops before."""

    period: float | SomeText  # [s]
    actions: Iterable[Action]

    def __post_init__(self) -> None:
        self.actions = list(self.actions)
        _check_actions(self.actions, self.place)

    def execute(self, context: Context) -> None:
        context.host.start_timer(seconds(context, self.period, "period"), self.actions)


def seconds(context: Context, value: float | SomeText, name: str) -> float:
    """A duration [s], given as a number or as text.

    Raises:
        LaunchError: not a number of seconds.
    """
    text = perform(context, value) if is_text(value) else value
    try:
        duration = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        duration = -1.0
    if not 0.0 <= duration < float("inf"):
        raise LaunchError(f"'{name}' is {text!r}", remedy="a number of seconds, zero or more")
    return duration


@dataclass(eq=False)
class RegisterEventHandler(Action):
    """Lets a handler react from here on."""

    event_handler: EventHandler

    def __post_init__(self) -> None:
        if not isinstance(self.event_handler, EventHandler):
            raise LaunchError(f"{self.event_handler!r} is no event handler", where=self.place)

    def execute(self, context: Context) -> None:
        context.host.register_handler(self.event_handler)


@dataclass(eq=False, kw_only=True)
class EmitEvent(Action):
    """Emits an event; of all events only Shutdown can be emitted here."""

    event: ShutdownEvent

    def __post_init__(self) -> None:
        if not isinstance(self.event, ShutdownEvent):
            raise LaunchError(
                f"EmitEvent: event {type(self.event).__name__} is not supported by brs_launch",
                where=self.place,
                remedy="launch.events.Shutdown",
            )

    def execute(self, context: Context) -> None:
        context.host.request_shutdown(self.event.reason)


@dataclass(eq=False, kw_only=True)
class Shutdown(Action):
    """Stops everything; as a process's `on_exit` it says that the process is required."""

    reason: str = "reason not given"

    def execute(self, context: Context) -> None:
        event = context.event
        if isinstance(event, ProcessExited):
            context.host.request_shutdown(
                self.reason, required=event.process_name, status=int(event.returncode != 0)
            )
        else:
            context.host.request_shutdown(self.reason)


@dataclass(eq=False)
class LogInfo(Action):
    """Shows a line."""

    msg: SomeText

    def execute(self, context: Context) -> None:
        context.host.log(perform(context, self.msg))


@dataclass(eq=False, kw_only=True)
class OpaqueFunction(Action):
    """Calls a function of the launch file with the context; it may give further actions."""

    function: Callable[..., Iterable[Action] | None]
    args: Iterable[Any] = ()
    kwargs: dict[str, Any] | None = None

    def execute(self, context: Context) -> Iterable[Action] | None:
        from brs_launch.standins import stand_ins

        name = getattr(self.function, "__name__", "function")
        try:
            with stand_ins():
                return self.function(context, *self.args, **(self.kwargs or {}))
        except LaunchError:
            raise
        except Exception as error:
            raise LaunchError(
                f"{name}() failed with {type(error).__name__}: {error}", where=self.place
            ) from error
