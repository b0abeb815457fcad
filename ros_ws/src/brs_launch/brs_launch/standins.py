"""Our few classes under the module names of ROS 2's launch and launch_ros."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from typing import Any

from brs_launch import actions, conditions, events, nodes, parameters, processes, substitutions
from brs_launch.errors import LaunchError, did_you_mean

# module -> the names in it that launch files may import
CONTENTS: dict[str, dict[str, Any]] = {
    "launch": {
        "LaunchDescription": actions.LaunchDescription,
    },
    "launch.actions": {
        "DeclareLaunchArgument": actions.DeclareLaunchArgument,
        "EmitEvent": actions.EmitEvent,
        "ExecuteProcess": processes.ExecuteProcess,
        "GroupAction": actions.GroupAction,
        "IncludeLaunchDescription": actions.IncludeLaunchDescription,
        "LogInfo": actions.LogInfo,
        "OpaqueFunction": actions.OpaqueFunction,
        "RegisterEventHandler": actions.RegisterEventHandler,
        "SetEnvironmentVariable": actions.SetEnvironmentVariable,
        "SetLaunchConfiguration": actions.SetLaunchConfiguration,
        "Shutdown": actions.Shutdown,
        "TimerAction": actions.TimerAction,
    },
    "launch.conditions": {
        "IfCondition": conditions.IfCondition,
        "LaunchConfigurationEquals": conditions.LaunchConfigurationEquals,
        "LaunchConfigurationNotEquals": conditions.LaunchConfigurationNotEquals,
        "UnlessCondition": conditions.UnlessCondition,
    },
    "launch.event_handlers": {
        "OnProcessExit": events.OnProcessExit,
        "OnProcessStart": events.OnProcessStart,
        "OnShutdown": events.OnShutdown,
    },
    "launch.events": {"Shutdown": events.Shutdown},
    "launch.launch_description_sources": {
        "PythonLaunchDescriptionSource": actions.PythonLaunchDescriptionSource,
    },
    "launch.substitutions": {
        "EnvironmentVariable": substitutions.EnvironmentVariable,
        "LaunchConfiguration": substitutions.LaunchConfiguration,
        "PathJoinSubstitution": substitutions.PathJoinSubstitution,
        "PythonExpression": substitutions.PythonExpression,
        "TextSubstitution": substitutions.TextSubstitution,
    },
    "launch_ros": {},
    "launch_ros.actions": {
        "Node": nodes.Node,
        "PushRosNamespace": nodes.PushRosNamespace,
        "SetParameter": nodes.SetParameter,
    },
    "launch_ros.parameter_descriptions": {
        "ParameterFile": parameters.ParameterFile,
        "ParameterValue": parameters.ParameterValue,
    },
    "launch_ros.substitutions": {"FindPackageShare": substitutions.FindPackageShare},
}


class _StandIn(types.ModuleType):
    """A module that says which names it does not have, instead of a bare ImportError."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks for these and can do without
            raise AttributeError(name)
        raise LaunchError(
            f"'{self.__name__}.{name}' is not supported by brs_launch",
            remedy=did_you_mean(name, CONTENTS[self.__name__]),
        )


def real_launch_available() -> bool:
    """Whether ROS 2's own launch and launch_ros can be imported."""
    for name in ("launch", "launch_ros"):
        spec = importlib.util.find_spec(name)
        # A mere folder called `launch`, as in the source tree, is found too, but has no file.
        if spec is None or spec.origin is None:
            return False
    return True


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """While it lasts, `import launch` and the like in a launch file find our classes."""
    hidden = {
        name: sys.modules.pop(name)
        for name in list(sys.modules)
        if name.partition(".")[0] in ("launch", "launch_ros")
    }
    modules: dict[str, types.ModuleType] = {}
    for name, content in CONTENTS.items():
        module = _StandIn(name, "Stand-in of brs_launch.")
        vars(module).update(content, __path__=[])
        modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)
