"""Node, PushRosNamespace and SetParameter: the actions of launch_ros."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brs_launch.actions import Action
from brs_launch.context import Context
from brs_launch.errors import LaunchError
from brs_launch.packages import find_executable
from brs_launch.parameters import ParameterFile, evaluate_dictionary, parameter_file
from brs_launch.processes import ProcessOptions
from brs_launch.spec import NodeDetails, ParameterSet, ProcessSpec
from brs_launch.substitutions import SomeText, is_text, perform

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def join_namespace(base: str | None, name: str | None) -> str | None:
    """Absolute namespace of a relative name inside `base`; an absolute name stands by itself.

    Raises:
        LaunchError: it is not a valid ROS namespace.
    """
    if base is None and name is None:
        return None
    joined = name if name and name.startswith("/") else f"{base or ''}/{name or ''}"
    parts = [part for part in joined.split("/") if part]
    wrong = [part for part in parts if not _NAME.fullmatch(part)]
    if wrong:
        raise LaunchError(
            f"namespace '{joined}' is not valid",
            remedy=f"letters, digits and underscores, not '{wrong[0]}'",
        )
    return "/" + "/".join(parts)


@dataclass(eq=False)
class PushRosNamespace(Action):
    """Puts the nodes of the rest of the scope into a namespace; an empty one changes nothing."""

    namespace: SomeText

    def execute(self, context: Context) -> None:
        context.namespace = join_namespace(context.namespace, perform(context, self.namespace))


@dataclass(eq=False)
class SetParameter(Action):
    """Gives a parameter to all nodes of the rest of the scope; their own come after it."""

    name: SomeText
    value: Any

    def execute(self, context: Context) -> None:
        name = perform(context, self.name)
        context.global_parameters.update(evaluate_dictionary(context, {name: self.value}))


@dataclass(eq=False, kw_only=True)
class Node(ProcessOptions):
    """Runs a ROS node, an executable of a package."""

    package: SomeText
    executable: SomeText
    name: SomeText | None = None
    namespace: SomeText | None = None
    exec_name: SomeText | None = None
    # In this order, later ones winning: dictionaries, paths of YAML files.
    parameters: list[Any] = field(default_factory=list)
    remappings: Iterable[tuple[SomeText, SomeText]] = ()
    arguments: Iterable[SomeText] = ()
    ros_arguments: Iterable[SomeText] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.parameters, list):
            raise LaunchError("Node: 'parameters' is not a list", where=self.place)
        for entry in self.parameters:
            if not isinstance(entry, (dict, Path, ParameterFile)) and not is_text(entry):
                raise LaunchError(
                    f"Node: parameters of type {type(entry).__name__} are not supported by "
                    "brs_launch",
                    where=self.place,
                    remedy="a dictionary or the path of a YAML file",
                )
        self.remappings = tuple(self.remappings)

    def resolve(self, context: Context) -> ProcessSpec:
        package, executable = perform(context, self.package), perform(context, self.executable)
        path = find_executable(package, executable)
        name = None if self.name is None else perform(context, self.name)
        if name is not None and not _NAME.fullmatch(name):
            raise LaunchError(
                f"node name '{name}' is not valid", remedy="letters, digits and underscores"
            )
        own = None if self.namespace is None else perform(context, self.namespace)
        namespace = join_namespace(context.namespace, own)
        # As launch_ros does: only a name known in full can head a parameter file.
        head = "/**"
        if name is not None and namespace is not None:
            head = f"{namespace.rstrip('/')}/{name}"
        command: list[str | ParameterSet] = [str(path)]
        command += [perform(context, argument) for argument in self.arguments]
        command += ["--ros-args", *(perform(context, item) for item in self.ros_arguments)]
        command += ["-r", f"__node:={name}"] if name is not None else []
        command += ["-r", f"__ns:={namespace}"] if namespace is not None else []
        values, files = self._add_parameters(context, head, command)
        remappings = tuple(
            (perform(context, source), perform(context, target))
            for source, target in self.remappings
        )
        for source, target in remappings:
            command += ["-r", f"{source}:={target}"]
        label = executable if self.exec_name is None else perform(context, self.exec_name)
        details = NodeDetails(package, executable, name, namespace, values, files, remappings)
        return self.make_spec(context, label, command, details)

    def _add_parameters(
        self, context: Context, head: str, command: list[str | ParameterSet]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        values = dict(context.global_parameters)
        files = []
        if values:
            command += ["--params-file", ParameterSet("/**", dict(values))]
        for entry in self.parameters:
            if isinstance(entry, dict):
                part = evaluate_dictionary(context, entry)
                values.update(part)
                command += ["--params-file", ParameterSet(head, part)]
            else:
                files.append(parameter_file(context, entry))
                command += ["--params-file", files[-1]]
        return values, tuple(files)
