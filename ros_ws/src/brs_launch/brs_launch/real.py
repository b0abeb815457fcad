"""The same launch files and arguments, carried out by ROS 2's own launch where it is installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from brs_launch.errors import LaunchError, did_you_mean
from brs_launch.loading import ALWAYS_KNOWN


def main(
    path: Path, arguments: dict[str, str], show_arguments: bool, print_description: bool
) -> int:
    """List the arguments, describe, or launch.

    Returns:
        exit status of the launch service.

    Raises:
        LaunchError: an argument that the file does not declare.
    """
    # By name: type checkers take the source tree's folder `launch` for the package.
    launch = importlib.import_module("launch")
    sources = importlib.import_module("launch.launch_description_sources")

    source = sources.PythonLaunchDescriptionSource(str(path))
    description = source.get_launch_description(launch.LaunchContext())
    declared = {entry.name: entry for entry in description.get_launch_arguments()}
    if show_arguments:
        print(f"Arguments (name:=value) of {path}:")
        for name, entry in declared.items():
            default = "(required)"
            if entry.default_value is not None:
                value = "".join(
                    part.perform(launch.LaunchContext()) for part in entry.default_value
                )
                default = f"(default: '{value}')"
            print(f"  {name} {default}\n      {entry.description}")
        return 0
    for name in arguments:
        if name not in declared and name not in ALWAYS_KNOWN:
            raise LaunchError(
                f"no launch argument '{name}'",
                where=str(path),
                remedy=did_you_mean(name, declared),
            )
    if print_description:
        print(launch.LaunchIntrospector().format_launch_description(description))
        return 0
    service = launch.LaunchService(
        argv=[f"{name}:={value}" for name, value in arguments.items()],
        # Without a terminal nobody but launch passes SIGINT on to the nodes.
        noninteractive=not sys.stdin.isatty(),
    )
    include = launch.actions.IncludeLaunchDescription(source, launch_arguments=arguments.items())
    service.include_launch_description(launch.LaunchDescription([include]))
    return int(service.run())
