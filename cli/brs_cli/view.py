"""`brs view [EPISODE]`: shows a running robot, or a recorded episode, in rerun."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from brs_cli.view_log import ViewLog
from brs_cli.view_outputs import LOOPBACK, Opened, Outputs, open_outputs
from brs_cli.view_scene import Scene
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_ml.episode import EpisodeReader

FOLDER = Path("out/view")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(prog="brs view", description=__doc__)
    parser.add_argument("episode", type=Path, nargs="?", help="folder or .mcap; default: live")
    parser.add_argument("--save", type=Path, metavar="FILE.rrd", help="write a file for rerun")
    parser.add_argument("--web", action="store_true", help="serve a page for a browser")
    parser.add_argument(
        "--connect", default="", metavar="URL", help="show it in a viewer that runs already"
    )
    parser.add_argument(
        "--host", default=LOOPBACK, help="with --web: address to serve on (only this computer)"
    )
    parser.add_argument("--web-port", type=int, default=9090, help="with --web: of the page")
    parser.add_argument("--data-port", type=int, default=9876, help="with --web: of the data")
    parser.add_argument("--namespace", default="", help="of the robot's topics")
    parser.add_argument("--robot", help="robot description; default: the episode's, or r1")
    parser.add_argument(
        "--image-hz", type=float, default=5.0, help="pictures and clouds a second of each camera"
    )
    parser.add_argument("--jpeg", type=int, default=75, help="quality of colour pictures, 1-95")
    parser.add_argument(
        "--cloud",
        default="default",
        help="episode without clouds: how to make them, in config/perception; or none",
    )
    parser.add_argument("--seconds", type=float, help="live: end after so long")
    options = parser.parse_args(arguments)
    if not 0.1 <= options.image_hz <= 60.0:
        parser.error("--image-hz must be within 0.1 and 60")
    if not 1 <= options.jpeg <= 95:
        parser.error("--jpeg must be within 1 and 95")
    return options


def choose_outputs(options: argparse.Namespace, has_display: bool, name: str) -> Outputs:
    """Where to show it: what was asked for, else a window, else a file.

    Args:
        options: of the command line.
        has_display: whether a window could open.
        name: of the recording, for a file that nobody named.
    """
    asked = options.save is not None or options.web or bool(options.connect)
    return Outputs(
        file=options.save if asked or has_display else FOLDER / f"{name}.rrd",
        native=has_display and not asked,
        viewer=options.connect,
        web=options.web,
        host=options.host,
        web_port=options.web_port,
        data_port=options.data_port,
    )


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs view`. Raises BrsError, EpisodeError."""
    options = parse(arguments)
    reader = EpisodeReader(options.episode) if options.episode else None
    name = reader.path.resolve().stem if reader else time.strftime("live-%Y%m%d-%H%M%S")
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    outputs = choose_outputs(options, has_display, name)
    if outputs.file is not None and outputs.file != options.save:
        say(f"there is no display here; writing {outputs.file} (or serve a page: --web)")
    robot = options.robot or (reader.info.robot if reader else "") or "r1"
    embodiment = load_embodiment(robot)
    with until_signal() as go_on:
        opened = open_outputs(outputs, name)
        if opened.url:
            say(f"open {opened.url}")
        try:
            if reader is not None:
                show_bag(options, reader, embodiment, opened, go_on)
            else:
                show_live(options, embodiment, opened, go_on)
        finally:
            opened.close()
    if outputs.file is not None:
        size_mb = outputs.file.stat().st_size / 1e6
        say(f"wrote {outputs.file} ({size_mb:.1f} MB); look at it with: rerun {outputs.file}")


def show_bag(
    options: argparse.Namespace,
    reader: EpisodeReader,
    embodiment: Embodiment,
    opened: Opened,
    go_on: Callable[[], bool],
) -> None:
    """Show an episode; a served page stays until `go_on` ends it."""
    from brs_cli.view_bag import BagView

    log = ViewLog(opened.stream)
    scene = Scene(log, embodiment, options.image_hz, options.jpeg, say)
    view = BagView(reader, scene, options.namespace, say)
    if not view.has_clouds and options.cloud != "none":
        view.make_clouds(options.cloud, options.image_hz)
    scene.arrange(view.has_clouds)
    count = view.play(go_on)
    finish(log)
    say(f"{count} messages of {len(view.topics)} topics")
    while opened.url and opened.shown() and go_on():
        time.sleep(0.2)


def show_live(
    options: argparse.Namespace,
    embodiment: Embodiment,
    opened: Opened,
    go_on: Callable[[], bool],
) -> None:
    """Show what is live until `go_on` ends it, the time is over or the viewer is closed."""
    try:
        from brs_cli import view_live
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"live needs the ROS workspace ({error})", remedy="make setup, or name an episode"
        ) from None
    log = ViewLog(opened.stream)
    # Pictures that are not wanted are not even taken, so all that come are shown.
    scene = Scene(log, embodiment, math.inf, options.jpeg, say)
    end_s = time.monotonic() + (options.seconds or math.inf)
    count = view_live.watch(
        scene,
        options.namespace,
        options.image_hz,
        lambda: go_on() and opened.shown() and time.monotonic() < end_s,
        say,
    )
    finish(log)
    if not count:
        raise BrsError(
            "nothing was heard",
            where=f"ROS domain {os.environ.get('ROS_DOMAIN_ID') or 0}",
            remedy="start the robot (brs launch teleop.launch.py sim:=true), or --namespace",
        )
    say(f"{count} messages")


def finish(log: ViewLog) -> None:
    """Wait for all to arrive; a viewer that was closed before is no error."""
    if problem := log.close():
        say(f"not all was shown, the viewer is gone ({problem})")


@contextmanager
def until_signal() -> Iterator[Callable[[], bool]]:
    """A function that is true until Ctrl-C or SIGTERM, so that files are closed in peace."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: not stop.is_set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(line: str) -> None:
    """A line for the person who looks."""
    sys.stderr.write(f"{line}\n")
