"""ExecuteProcess: a command line, resolved into a ProcessSpec."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from brs_launch.actions import Action, seconds
from brs_launch.conditions import truth
from brs_launch.context import Context
from brs_launch.errors import LaunchError, did_you_mean
from brs_launch.events import Actions
from brs_launch.spec import NodeDetails, ParameterSet, ProcessSpec
from brs_launch.substitutions import LaunchConfiguration, SomeText, is_text, perform

# Which outputs show stdout too; `log` and `own_log` would write files, which we do not.
OUTPUTS = {"screen": True, "both": True, "log": False}


@dataclass(eq=False, kw_only=True)
class ProcessOptions(Action):
    """What ExecuteProcess and Node have in common."""

    output: SomeText = "log"
    cwd: SomeText | None = None
    env: dict[SomeText, SomeText] | None = None
    additional_env: dict[SomeText, SomeText] | None = None
    respawn: bool | SomeText = False
    respawn_delay: float | None = None  # [s]
    respawn_max_retries: int = -1
    # [s] from SIGINT and from SIGTERM; by default the launch configurations of these names.
    sigterm_timeout: SomeText | None = None
    sigkill_timeout: SomeText | None = None
    on_exit: Actions | Callable[..., Actions] = None

    def execute(self, context: Context) -> None:
        context.host.start_process(self, self.resolve(context))

    def resolve(self, context: Context) -> ProcessSpec:
        """The process with all substitutions performed. Raises LaunchError."""
        raise NotImplementedError

    def make_spec(
        self,
        context: Context,
        label: str,
        arguments: Iterable[str | ParameterSet],
        node: NodeDetails | None = None,
    ) -> ProcessSpec:
        """The spec of a command line, with the common options performed."""
        output = perform(context, self.output)
        if output not in OUTPUTS:
            raise LaunchError(
                f"output '{output}' is not supported by brs_launch",
                remedy=did_you_mean(output, OUTPUTS),
            )
        respawn = self.respawn
        return ProcessSpec(
            label=label,
            arguments=tuple(arguments),
            environment=self._environment(context),
            cwd=None if self.cwd is None else perform(context, self.cwd),
            screen=OUTPUTS[output],
            respawn=respawn if isinstance(respawn, bool) else truth(context, respawn),
            respawn_delay_s=seconds(context, self.respawn_delay or 0.0, "respawn_delay"),
            respawn_max_retries=self.respawn_max_retries,
            sigterm_timeout_s=_timeout(context, self.sigterm_timeout, "sigterm_timeout"),
            sigkill_timeout_s=_timeout(context, self.sigkill_timeout, "sigkill_timeout"),
            on_exit=self.on_exit,
            node=node,
        )

    def _environment(self, context: Context) -> dict[str, str]:
        if self.env is not None and self.additional_env is not None:
            raise LaunchError("both 'env' and 'additional_env' are given", remedy="one of them")

        def performed(variables: dict[SomeText, SomeText]) -> dict[str, str]:
            return {perform(context, k): perform(context, v) for k, v in variables.items()}

        if self.env is not None:
            return performed(self.env)
        return {**context.environment, **performed(self.additional_env or {})}


def _timeout(context: Context, value: SomeText | None, name: str) -> float:
    return seconds(context, LaunchConfiguration(name, "5") if value is None else value, name)


@dataclass(eq=False, kw_only=True)
class ExecuteProcess(ProcessOptions):
    """Runs a command; each part is text, a substitution, or a list of both to be joined."""

    cmd: Iterable[Any]
    name: SomeText | None = None

    def __post_init__(self) -> None:
        self.cmd = list(self.cmd)
        if not self.cmd or not all(is_text(part) for part in self.cmd):
            raise LaunchError(
                f"ExecuteProcess: 'cmd' is {self.cmd!r}",
                where=self.place,
                remedy="a list of strings and substitutions",
            )

    def resolve(self, context: Context) -> ProcessSpec:
        command = [perform(context, part) for part in self.cmd]
        label = PurePath(command[0]).name if self.name is None else perform(context, self.name)
        return self.make_spec(context, label, command)
