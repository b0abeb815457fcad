"""`brs launch FILE [name:=value ...]`: run a ROS 2 launch file."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from brs_launch import real
from brs_launch.describe import Description, arguments_of, format_arguments
from brs_launch.errors import LaunchError
from brs_launch.keyboard import shared_terminal
from brs_launch.packages import find_launch_file
from brs_launch.runner import Launch
from brs_launch.standins import real_launch_available


def parse_arguments(texts: list[str]) -> dict[str, str]:
    """Launch arguments of a command line.

    Raises:
        LaunchError: one is not `name:=value`, or is given twice.
    """
    arguments: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition(":=")
        if not separator or not name:
            raise LaunchError(f"'{text}' is no launch argument", remedy="name:=value")
        if name in arguments:
            raise LaunchError(f"launch argument '{name}' is given twice", remedy="give it once")
        arguments[name] = value
    return arguments


def run(path: Path, arguments: dict[str, str]) -> int:
    """Launch, and stop in order on SIGINT, SIGTERM or SIGHUP; once more hurries.

    Returns:
        exit status: 0 after an ordered end, 1 if a required process died.
    """
    with shared_terminal() as terminal:
        launch = Launch(str(path), arguments, stdin=terminal)
        asked = False

        def on_signal(number: int, frame: FrameType | None) -> None:
            nonlocal asked
            if asked:
                launch.hurry()
            asked = True
            launch.shutdown(f"got {signal.Signals(number).name}")

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, on_signal)
        launch.start()
        if asked:
            launch.shutdown("got a signal while starting")
        return launch.wait() or 0


def main(words: list[str] | None = None) -> None:
    """Entry point of `brs launch`; words are those of the command line by default."""
    parser = argparse.ArgumentParser(
        prog="brs launch",
        description="Run a ROS 2 launch file, with ROS 2's own launch where it is installed.",
    )
    parser.add_argument("file", help="path, or the name of one of brs: teleop.launch.py")
    parser.add_argument("arguments", nargs="*", metavar="name:=value", help="launch arguments")
    parser.add_argument("-s", "--show-args", action="store_true", help="list the arguments")
    parser.add_argument(
        "-p", "--print-description", action="store_true", help="tell what would be started"
    )
    options = parser.parse_intermixed_args(words)
    try:
        path = find_launch_file(options.file)
        arguments = parse_arguments(options.arguments)
        if real_launch_available():
            status = real.main(path, arguments, options.show_args, options.print_description)
        elif options.show_args:
            print(f"Arguments (name:=value) of {path}:\n{format_arguments(arguments_of(path))}")
            status = 0
        elif options.print_description:
            print(Description(path, arguments).text())
            status = 0
        else:
            status = run(path, arguments)
    except LaunchError as error:
        raise SystemExit(f"brs launch: {error}") from None
    sys.exit(status)


if __name__ == "__main__":
    main()
