"""What a launch file can see while it is carried out, and what carries it out."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from brs_launch.errors import LaunchError, did_you_mean

if TYPE_CHECKING:
    from brs_launch.actions import Action
    from brs_launch.events import EventHandler
    from brs_launch.spec import ProcessSpec
    from brs_launch.substitutions import Substitution


class Described:
    """A thing made in a launch file: it knows its line, and refuses unknown keywords by name."""

    place: str

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        caller = sys._getframe(1)
        self.place = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        signature = inspect.signature(cls.__init__)
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError as error:
            known = [name for name in signature.parameters if name != "self"]
            unknown = [name for name in kwargs if name not in known]
            raise LaunchError(
                f"{cls.__name__}: keyword '{unknown[0]}' is not supported by brs_launch"
                if unknown
                else f"{cls.__name__}: {error}",
                where=self.place,
                remedy=did_you_mean(unknown[0], known) if unknown else "correct the call",
            ) from None
        return self


class Host(Protocol):
    """Who acts on what a description asks for: a running session, or a dry run."""

    def start_process(self, action: Action, spec: ProcessSpec) -> None: ...

    def start_timer(self, period_s: float, actions: Iterable[Action]) -> None: ...

    def register_handler(self, handler: EventHandler) -> None: ...

    def request_shutdown(self, reason: str, *, required: str = "", status: int = 0) -> None: ...

    def log(self, text: str) -> None: ...


class Context:
    """Values of arguments, environment and namespace; scoped by `push` and `pop`.

    Args:
        host: acts on processes, timers, handlers and shutdown.
        arguments: launch arguments given by the user.
    """

    def __init__(self, host: Host, arguments: dict[str, str]) -> None:
        self.host = host
        self.launch_configurations: dict[str, str] = dict(arguments)
        self.environment: dict[str, str] = dict(os.environ)
        # Absolute, as PushRosNamespace made it; None where nobody pushed one.
        self.namespace: str | None = None
        # Of SetParameter; they come before a node's own parameters.
        self.global_parameters: dict[str, Any] = {}
        # The event being handled, for actions that behave differently inside a handler.
        self.event: Any = None
        self._stack: list[Callable[[], None]] = []

    def push(self) -> None:
        """Begin a scope: what is set from here on is undone by `pop`."""
        saved = (
            dict(self.launch_configurations),
            dict(self.environment),
            self.namespace,
            dict(self.global_parameters),
        )

        def restore() -> None:
            (
                self.launch_configurations,
                self.environment,
                self.namespace,
                self.global_parameters,
            ) = saved

        self._stack.append(restore)

    def pop(self) -> None:
        """End the innermost scope."""
        self._stack.pop()()

    def perform_substitution(self, substitution: Substitution) -> str:
        """The text that a substitution stands for, here and now."""
        return substitution.perform(self)
