"""Texts of a launch file that are known only when it is carried out."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Union

from brs_launch.context import Context, Described
from brs_launch.errors import LaunchError, did_you_mean

# What the keywords of actions accept: text, a substitution, or a list of both to be joined.
SomeText = Union[str, "Substitution", Iterable[Union[str, "Substitution"]]]


class Substitution(Described):
    """Stands for a text."""

    def perform(self, context: Context) -> str:
        """The text. Raises LaunchError if it cannot be had."""
        raise NotImplementedError


def perform(context: Context, value: Any) -> str:
    """The text of a string, a substitution, or a list of these joined together.

    Raises:
        LaunchError: it is something else, or a substitution fails.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Substitution):
        try:
            return value.perform(context)
        except LaunchError as error:
            raise error.at(value.place) from None
    if isinstance(value, (list, tuple)):
        return "".join(perform(context, part) for part in value)
    raise LaunchError(
        f"{value!r} is neither text nor a substitution", remedy="write it as a string"
    )


def is_text(value: Any) -> bool:
    """Whether `perform` accepts it."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(is_text(part) for part in value)
    return isinstance(value, (str, Substitution))


@dataclass(eq=False)
class TextSubstitution(Substitution):
    """Plain text."""

    text: str

    def perform(self, context: Context) -> str:
        return self.text


@dataclass(eq=False)
class LaunchConfiguration(Substitution):
    """The value of a launch argument or of SetLaunchConfiguration."""

    variable_name: SomeText
    default: SomeText | None = None

    def perform(self, context: Context) -> str:
        name = perform(context, self.variable_name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self.default is not None:
            return perform(context, self.default)
        raise LaunchError(
            f"launch configuration '{name}' is not set",
            remedy=did_you_mean(name, context.launch_configurations),
        )


@dataclass(eq=False)
class PathJoinSubstitution(Substitution):
    """Path made of parts."""

    substitutions: Iterable[SomeText]

    def perform(self, context: Context) -> str:
        return str(PurePath(*(perform(context, part) for part in self.substitutions)))


@dataclass(eq=False)
class PythonExpression(Substitution):
    """The value, as text, of a Python expression that may name `math` and other modules."""

    expression: SomeText
    python_modules: Iterable[SomeText] = ("math",)

    def perform(self, context: Context) -> str:
        text = perform(context, self.expression)
        names: dict[str, Any] = {}
        for entry in self.python_modules:
            name = perform(context, entry)
            module = importlib.import_module(name)
            # ROS 2 lets expressions use math's functions by their bare names.
            names.update(vars(module) if name == "math" else {})
            names[name] = module
        try:
            return str(eval(text, {}, names))
        except Exception as error:
            raise LaunchError(
                f"expression {text!r} fails: {error}", remedy="correct the expression"
            ) from error


@dataclass(eq=False)
class EnvironmentVariable(Substitution):
    """Value of an environment variable."""

    name: SomeText
    default_value: SomeText | None = None

    def perform(self, context: Context) -> str:
        name = perform(context, self.name)
        if name in context.environment:
            return context.environment[name]
        if self.default_value is not None:
            return perform(context, self.default_value)
        raise LaunchError(f"environment variable '{name}' is not set", remedy=f"export {name}=...")


@dataclass(eq=False)
class FindPackageShare(Substitution):
    """The share folder of an installed ROS package."""

    package: SomeText

    def perform(self, context: Context) -> str:
        from brs_launch.packages import package_prefix

        name = perform(context, self.package)
        return str(package_prefix(name) / "share" / name)
