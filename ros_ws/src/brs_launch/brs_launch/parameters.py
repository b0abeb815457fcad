"""ROS parameters as launch files write them, evaluated as launch_ros does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from brs_launch.context import Context, Described
from brs_launch.errors import LaunchError
from brs_launch.substitutions import SomeText, Substitution, is_text, perform

SCALARS = (bool, int, float, str)


@dataclass(eq=False)
class ParameterValue(Described):
    """A value with a type of its own, instead of the type that YAML would see in the text."""

    value: Any
    value_type: type | None = None

    def __post_init__(self) -> None:
        if self.value_type not in (None, *SCALARS):
            raise LaunchError(
                f"ParameterValue: value_type {self.value_type} is not supported by brs_launch",
                where=self.place,
                remedy="bool, int, float, str or None",
            )

    def evaluate(self, context: Context) -> Any:
        """The value. Raises LaunchError if it is not of the type."""
        if not is_text(self.value):
            value = self.value
        else:
            text = perform(context, self.value)
            value = text if self.value_type is str else from_yaml(text)
        if self.value_type is float and type(value) is int:
            value = float(value)
        if self.value_type is not None and type(value) is not self.value_type:
            raise LaunchError(
                f"{value!r} is not of type {self.value_type.__name__}",
                where=self.place,
                remedy="correct the value",
            )
        return value


@dataclass(eq=False)
class ParameterFile(Described):
    """A YAML file of parameters."""

    param_file: SomeText | Path


def from_yaml(text: str) -> Any:
    """A parameter's value from text, by the rules of YAML.

    Raises:
        LaunchError: neither a scalar nor a list of scalars of one type.
    """
    try:
        value = yaml.safe_load(text or "''")
    except yaml.YAMLError:
        raise LaunchError(
            f"{text!r} is not YAML", remedy="ParameterValue(..., value_type=str) for a string"
        ) from None
    return checked(value, text)


def checked(value: Any, shown: object) -> Any:
    """A value that ROS can hold: a scalar or a list of scalars of one type.

    Raises:
        LaunchError: anything else.
    """
    if isinstance(value, (list, tuple)):
        kinds = {type(item) for item in value}
        if kinds == {int, float}:
            return [float(item) for item in value]
        if len(kinds) == 1 and kinds <= set(SCALARS):
            return list(value)
    elif type(value) in SCALARS:
        return value
    raise LaunchError(
        f"{shown!r} cannot be a ROS parameter",
        remedy="a boolean, a number, a string, or a list of one of these",
    )


def evaluate_dictionary(
    context: Context, values: dict[Any, Any], prefix: str = ""
) -> dict[str, Any]:
    """Parameter names (dots between levels) and values of a nested dictionary.

    Raises:
        LaunchError: a value is of no type that ROS knows; names the parameter.
    """
    result: dict[str, Any] = {}
    for key, value in values.items():
        name = prefix + perform(context, key)
        if isinstance(value, dict):
            result.update(evaluate_dictionary(context, value, f"{name}."))
            continue
        try:
            result[name] = _evaluate(context, value)
        except LaunchError as error:
            raise LaunchError(
                f"parameter '{name}': {error.what}", where=error.where, remedy=error.remedy
            ) from None
    return result


def _evaluate(context: Context, value: Any) -> Any:
    if isinstance(value, ParameterValue):
        return value.evaluate(context)
    if isinstance(value, Substitution):
        return from_yaml(perform(context, value))
    if isinstance(value, (list, tuple)) and is_text(value):
        # As launch_ros has it: a list with a substitution in it is one text, in pieces; strings
        # alone are a list of strings, and lists within the list are one text each.
        if any(isinstance(part, Substitution) for part in value):
            return from_yaml(perform(context, value))
        return [part if isinstance(part, str) else perform(context, part) for part in value]
    return checked(value, value)


def parameter_file(context: Context, source: Any) -> str:
    """Absolute path of a parameter file that has the form ROS reads.

    Raises:
        LaunchError: missing, malformed, or without `ros__parameters`.
    """
    if isinstance(source, ParameterFile):
        source = source.param_file
    path = Path(source if isinstance(source, Path) else perform(context, source)).absolute()
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise LaunchError(
            f"the parameter file cannot be read: {error.strerror}",
            where=str(path),
            remedy="params_file:=FILE",
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "not YAML"
        raise LaunchError(
            f"malformed YAML: {problem}", where=place, remedy="mend that line"
        ) from None
    if not isinstance(content, dict) or not all(map(_has_parameters, content.values())):
        raise LaunchError(
            "not a file of ROS parameters",
            where=str(path),
            remedy="node name (or /**), below it 'ros__parameters:', below that the parameters",
        )
    return str(path)


def _has_parameters(node: Any) -> bool:
    # Names may be nested as namespaces: `robot1: {joylo: {ros__parameters: ...}}`.
    return isinstance(node, dict) and (
        isinstance(node.get("ros__parameters"), dict) or all(map(_has_parameters, node.values()))
        if node
        else False
    )
