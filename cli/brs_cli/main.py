"""`brs COMMAND`: puts the ROS workspace on the path, then hands over to the command's module."""

from __future__ import annotations

import errno
import importlib
import os
import sys

from brs_cli.environment import MARK, workspace_environment

COMMANDS = {
    "demo": (
        "brs_cli.demo",
        "teleoperate, record and replay a household task in simulation",
    ),
    "launch": ("brs_launch.main", "run a launch file: brs launch teleop.launch.py sim:=true"),
    "arm": ("brs_cli.person", "arm the robot, as only a person does"),
    "disarm": ("brs_cli.person", "stop following"),
    "estop": ("brs_cli.person", "latch the soft e-stop"),
    "clear": ("brs_cli.person", "unlatch the soft e-stop; the robot stays disarmed"),
    "calibrate": (
        "brs_cli.calibrate",
        "calibrate joylo (leader arms), joycon (sticks) or cameras (where they sit)",
    ),
    "bind": ("brs_cli.person", "bind the hanging leader arms to their neutral pose"),
    "doctor": ("brs_cli.doctor", "check installation, DDS, devices and rates"),
    "bring-up": ("brs_cli.bring_up", "check a robot before it is armed"),
    "record": ("brs_cli.record", "start, pause, mark, stop, save or discard an episode"),
    "episode": ("brs_cli.episode", "label, mark, trim, trash or restore a finished episode"),
    "replay": ("brs_cli.replay", "play an episode's commands, or its sensors into any node"),
    "view": ("brs_cli.view", "look at a running robot or an episode, in rerun"),
    "dataset": ("brs_cli.dataset", "make data sets of episodes for training"),
    "train": ("brs_cli.train", "train a policy on a data set"),
    "monitor": ("brs_cli.monitor", "watch cameras for what should not happen, said in words"),
    "eval": ("brs_cli.eval", "judge policies in simulated scenes that they have not seen"),
    "soak": ("brs_cli.soak", "drive for long while things go wrong; measure each fault"),
    "bench": ("brs_cli.bench", "measure speed and memory"),
}

WITHOUT_WORKSPACE = ("doctor", "calibrate", "view", "dataset", "episode", "train", "monitor")


def usage() -> str:
    rows = "\n".join(f"  {name:10} {text}" for name, (_, text) in COMMANDS.items())
    return f"usage: brs COMMAND [options]\n\n{rows}\n\n`brs COMMAND --help` lists its options."


def main() -> None:
    """Entry point of the `brs` command."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        raise SystemExit(0 if arguments else 2)
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        from brs_hardware.config import did_you_mean

        raise SystemExit(f"brs: no command '{command}'; {did_you_mean(command, COMMANDS)}")
    if MARK not in os.environ:
        # The loader reads its library path only at start, so start once more with it set.
        program = [sys.executable, "-m", "brs_cli.main", *arguments]
        os.execve(sys.executable, program, workspace_environment())
    sys.argv = [f"brs {command}", *rest]
    errors = user_errors(needs_workspace=command not in WITHOUT_WORKSPACE)
    try:
        importlib.import_module(COMMANDS[command][0]).main()
    except errors as error:
        raise SystemExit(f"brs {command}: {error}") from None
    except OSError as error:
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise  # not about a file or a disk: nothing that a user can mend
        where = f"{error.filename}: " if error.filename else ""
        raise SystemExit(f"brs {command}: {where}{error.strerror}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def user_errors(needs_workspace: bool) -> tuple[type[Exception], ...]:
    """Errors that a user can mend, each package's own; ends where the workspace is missing."""
    from brs_hardware.errors import BrsError
    from brs_ml.episode import EpisodeError

    try:
        from brs_launch.errors import LaunchError

        importlib.import_module("brs_nodes.common")
    except ModuleNotFoundError as error:
        if not needs_workspace:
            return BrsError, EpisodeError
        raise SystemExit(f"brs: the workspace is not built ({error}); run `make setup`") from None
    return BrsError, EpisodeError, LaunchError


if __name__ == "__main__":
    main()
