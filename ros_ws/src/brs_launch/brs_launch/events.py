"""What happens during a launch, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from brs_launch.context import Context, Described
from brs_launch.errors import LaunchError

if TYPE_CHECKING:
    from brs_launch.actions import Action

Actions = Union["Action", Iterable["Action"], None]
Reaction = Actions | Callable[[Any, Context], Actions]


@dataclass(eq=False)
class Shutdown(Described):
    """Everything is asked to stop."""

    reason: str = "reason not given"


@dataclass(frozen=True)
class ProcessStarted:
    """A process runs."""

    action: Action
    process_name: str
    cmd: list[str]
    pid: int


@dataclass(frozen=True)
class ProcessExited:
    """A process has ended; a negative return code is the signal that ended it."""

    action: Action
    process_name: str
    cmd: list[str]
    pid: int
    returncode: int


class EventHandler(Described):
    """Reacts to events of one kind."""

    def matches(self, event: object) -> bool:
        """Whether the event is meant."""
        raise NotImplementedError

    @property
    def reaction(self) -> Reaction:
        """Actions, or what gives them."""
        raise NotImplementedError


def react(reaction: Reaction, event: object, context: Context, place: str) -> list[Action]:
    """The actions of a reaction to an event.

    Raises:
        LaunchError: a callable failed.
    """
    if callable(reaction):
        try:
            reaction = reaction(event, context)
        except LaunchError as error:
            raise error.at(place) from None
        except Exception as error:
            raise LaunchError(
                f"the event handler failed with {type(error).__name__}: {error}", where=place
            ) from error
    if reaction is None:
        return []
    return list(reaction) if isinstance(reaction, Iterable) else [reaction]


def _targets(target: Any, action: object) -> bool:
    if target is None:
        return True
    if callable(target):
        return bool(target(action))
    return target is action


@dataclass(eq=False, kw_only=True)
class OnProcessStart(EventHandler):
    """Reacts when a process (one, some, or any) has started."""

    target_action: Action | Callable[[Action], bool] | None = None
    on_start: Reaction

    def matches(self, event: object) -> bool:
        return isinstance(event, ProcessStarted) and _targets(self.target_action, event.action)

    @property
    def reaction(self) -> Reaction:
        return self.on_start


@dataclass(eq=False, kw_only=True)
class OnProcessExit(EventHandler):
    """Reacts when a process (one, some, or any) has ended."""

    target_action: Action | Callable[[Action], bool] | None = None
    on_exit: Reaction

    def matches(self, event: object) -> bool:
        return isinstance(event, ProcessExited) and _targets(self.target_action, event.action)

    @property
    def reaction(self) -> Reaction:
        return self.on_exit


@dataclass(eq=False, kw_only=True)
class OnShutdown(EventHandler):
    """Reacts before the processes are stopped."""

    on_shutdown: Reaction

    def matches(self, event: object) -> bool:
        return isinstance(event, Shutdown)

    @property
    def reaction(self) -> Reaction:
        return self.on_shutdown
