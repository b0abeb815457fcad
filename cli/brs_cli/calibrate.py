"""`brs calibrate joylo` and `brs calibrate joycon`: wizards in the terminal.

They use the devices themselves and need no ROS; the stack must not run meanwhile.
"""

from __future__ import annotations

import argparse
import select
import sys
import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from brs_hardware.errors import BrsError
from brs_hardware.joylo import load_leader

REFRESH_S = 0.1  # of live views


class Wizard:
    """The person at the terminal.

    Args:
        countdown_s: None asks for Enter; else every step begins by itself after so long [s].

    Raises:
        BrsError: Enter is asked for, but there is no terminal.
    """

    def __init__(self, countdown_s: float | None) -> None:
        self.console = Console(highlight=False, soft_wrap=False)
        self._countdown_s = countdown_s
        if countdown_s is None and not sys.stdin.isatty():
            raise BrsError("this needs a terminal", remedy="give --yes, and watch the countdown")

    @property
    def patient(self) -> bool:
        """Whether a step that went wrong is done again."""
        return self._countdown_s is None

    def say(self, text: str, style: str = "") -> None:
        """One paragraph."""
        self.console.print(text, style=style)

    def title(self, text: str) -> None:
        """A step begins."""
        self.console.print(f"\n[bold]{text}[/bold]")

    def wait(self, todo: str, view: Callable[[], RenderableType]) -> None:
        """Show a live view until the person presses Enter, or until the countdown ends.

        Args:
            todo: what Enter does.
            view: gives the view; called at every refresh.

        Raises:
            BrsError: as the view does, or the terminal is gone.
        """
        end_s = time.monotonic() + (self._countdown_s or 0.0)

        def frame() -> Group:
            left_s = max(0.0, end_s - time.monotonic())
            prompt = (
                f"Enter: {todo}   Ctrl-C: give up" if self.patient else f"{todo} in {left_s:.0f} s"
            )
            return Group(view(), Text(prompt, style="bold cyan"))

        with Live(frame(), console=self.console, auto_refresh=False) as live:
            while not self._ready(end_s):
                live.update(frame(), refresh=True)

    def _ready(self, end_s: float) -> bool:
        """Whether to go on; takes `REFRESH_S` while not."""
        if not self.patient:
            time.sleep(REFRESH_S)
            return time.monotonic() >= end_s
        if not select.select((sys.stdin,), (), (), REFRESH_S)[0]:
            return False
        if not sys.stdin.readline():
            raise BrsError("the terminal is gone")
        return True


def main() -> None:
    """Entry point."""
    options = _parser().parse_args()
    wizard = Wizard(options.countdown if options.yes else None)
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
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--leader", default="joylo", help="description in config/leaders")
    common.add_argument("--yes", action="store_true", help="no questions; steps are counted down")
    common.add_argument("--countdown", type=float, default=5.0, help="before each step [s]")
    devices = parser.add_subparsers(dest="device", required=True)
    joylo = devices.add_parser("joylo", parents=[common], help="the arms, by two poses")
    joylo.add_argument("--robot", default="r1", help="description in config/robots")
    joylo.add_argument(
        "--check", action="store_true", help="compare a held pose with what is stored"
    )
    joycon = devices.add_parser("joycon", parents=[common], help="the sticks, by circling them")
    joycon.add_argument("--side", choices=("left", "right", "both"), default="both")
    return parser
