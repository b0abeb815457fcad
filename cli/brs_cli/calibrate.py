"""`brs calibrate joylo`, `joycon` and `cameras`: wizards in the terminal.

Those of the leader use the devices themselves and need no ROS; the stack must not run meanwhile.
That of the cameras listens to the running stack, or reads a recording.
"""

from __future__ import annotations

import argparse
import contextlib
import select
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from brs_hardware.errors import BrsError
from brs_hardware.joylo import load_leader

REFRESH_S = 0.1  # of live views


class Wizard:
    """The person at the terminal.

    Args:
        asks: whether steps wait for Enter; else each begins when its countdown has ended.
        countdown_s: before a step that needs both hands [s].

    Raises:
        BrsError: Enter is asked for, but there is no terminal.
    """

    def __init__(self, asks: bool, countdown_s: float) -> None:
        self.console = Console(highlight=False)
        self.asks, self._countdown_s = asks, countdown_s
        if asks and not sys.stdin.isatty():
            raise BrsError("this needs a terminal", remedy="give --yes, and watch the countdown")

    def say(self, text: str, style: str = "") -> None:
        """One paragraph."""
        self.console.print(text, style=style)

    def title(self, text: str) -> None:
        """A step begins."""
        self.console.print(f"\n[bold]{text}[/bold]")

    @contextlib.contextmanager
    def live(self) -> Iterator[Callable[[RenderableType], None]]:
        """What is given to the function stands in place of what was given before."""
        with Live(console=self.console, auto_refresh=False) as live:
            yield lambda view: live.update(view, refresh=True)
        if not self.console.is_terminal:
            self.console.print()  # Live ends its line only on a terminal

    def wait(
        self, todo: str, view: Callable[[], RenderableType], *, both_hands: bool = False
    ) -> None:
        """Show a live view until the person presses Enter.

        Args:
            todo: what Enter does.
            view: gives the view; called at every refresh.
            both_hands: the person needs them for the step, so a countdown follows Enter.

        Raises:
            BrsError: as the view does, or the terminal is gone.
        """
        with self.live() as show:
            if self.asks:
                lead = f"Enter, then {self._countdown_s:.0f} s" if both_hands else "Enter"
                prompt = f"{lead}: {todo}   Ctrl-C: give up"
                show(_prompted(view(), prompt))
                while not self._entered():
                    show(_prompted(view(), prompt))
                if not both_hands:
                    return
            end_s = time.monotonic() + self._countdown_s
            while (left_s := end_s - time.monotonic()) > 0.0:
                show(_prompted(view(), f"{todo} in {left_s:.0f} s"))
                time.sleep(REFRESH_S)

    def _entered(self) -> bool:
        """Whether Enter was pressed; takes `REFRESH_S` while not."""
        if not select.select((sys.stdin,), (), (), REFRESH_S)[0]:
            return False
        if not sys.stdin.readline():
            raise BrsError("the terminal is gone")
        return True


def _prompted(view: RenderableType, prompt: str) -> Group:
    return Group(view, Text(prompt, style="bold cyan"))


def main() -> None:
    """Entry point."""
    options = _parser().parse_args()
    if options.device == "cameras":
        from brs_cli import calibrate_cameras

        calibrate_cameras.main(options)
        return
    wizard = Wizard(asks=not options.yes, countdown_s=options.countdown)
    leader = load_leader(options.leader)
    if options.device == "joylo":
        from brs_cli.calibrate_joylo import calibrate, check

        (check if options.check else calibrate)(wizard, leader, options.robot)
    else:
        from brs_cli.calibrate_joycon import calibrate_sticks

        sides = ("left", "right") if options.side == "both" else (options.side,)
        calibrate_sticks(wizard, leader, sides)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="brs calibrate", description=__doc__)
    person = argparse.ArgumentParser(add_help=False)
    person.add_argument("--yes", action="store_true", help="ask nothing, only count down")
    person.add_argument("--countdown", type=float, default=5.0, help="before a step [s]")
    robot = argparse.ArgumentParser(add_help=False)
    robot.add_argument("--robot", default="r1", help="description in config/robots")
    leader = argparse.ArgumentParser(add_help=False)
    leader.add_argument("--leader", default="joylo", help="description in config/leaders")
    devices = parser.add_subparsers(dest="device", required=True)
    joylo = devices.add_parser("joylo", parents=[person, leader, robot], help="by two poses")
    joylo.add_argument(
        "--check", action="store_true", help="compare a held pose with what is stored"
    )
    joycon = devices.add_parser("joycon", parents=[person, leader], help="sticks, by circling")
    joycon.add_argument("--side", choices=("left", "right", "both"), default="both")
    cameras = devices.add_parser(
        "cameras", parents=[person, robot], help="where a camera sits, by a printed board"
    )
    _add_camera_options(cameras)
    return parser


def _add_camera_options(cameras: argparse.ArgumentParser) -> None:
    add = cameras.add_argument
    add("camera", nargs="?", help="its name in the robot's description")
    add("--print-board", metavar="FILE", help="draw the board as .png or .pdf, and end")
    add("--board", default="", help="YAML of another board than the one for A4")
    add("--square-mm", type=float, help="what a ruler says of a printed square")
    add("--board-on", default="base_link", metavar="LINK", help="the board is on this link")
    add("--views", type=int, default=20, help="how many to collect")
    add("--bag", default="", help="take pictures and joints from this recording")
    add("--namespace", default="", help="of the robot's nodes")
    add("--rig", default="", help="file in config/cameras that names the cameras' serial numbers")
    add("--forget", action="store_true", help="forget the measured mount, and end")
    add("--write-description", metavar="FILE", help="write the section `cameras:` (-: show), end")
