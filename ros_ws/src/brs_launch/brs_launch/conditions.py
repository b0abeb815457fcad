"""Whether an action is carried out."""

from __future__ import annotations

from dataclasses import dataclass

from brs_launch.context import Context, Described
from brs_launch.errors import LaunchError
from brs_launch.substitutions import SomeText, perform


class Condition(Described):
    """Decides on an action when its turn comes."""

    def evaluate(self, context: Context) -> bool:
        """Whether to carry it out."""
        raise NotImplementedError


def truth(context: Context, expression: SomeText) -> bool:
    """A text read as true or false: true, 1, false, 0, in any case.

    Raises:
        LaunchError: any other text.
    """
    text = perform(context, expression).strip().lower()
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise LaunchError(f"condition is '{text}'", remedy="true, false, 1 or 0")


@dataclass(eq=False)
class IfCondition(Condition):
    """True if the expression is."""

    predicate_expression: SomeText

    def evaluate(self, context: Context) -> bool:
        return truth(context, self.predicate_expression)


@dataclass(eq=False)
class UnlessCondition(Condition):
    """True if the expression is false."""

    predicate_expression: SomeText

    def evaluate(self, context: Context) -> bool:
        return not truth(context, self.predicate_expression)


@dataclass(eq=False)
class LaunchConfigurationEquals(Condition):
    """True if an argument has this value; None stands for one that is not set."""

    launch_configuration_name: str
    expected_value: SomeText | None

    def evaluate(self, context: Context) -> bool:
        expected = None if self.expected_value is None else perform(context, self.expected_value)
        return context.launch_configurations.get(self.launch_configuration_name) == expected


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """The opposite of LaunchConfigurationEquals."""

    def evaluate(self, context: Context) -> bool:
        return not super().evaluate(context)
