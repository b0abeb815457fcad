"""What was measured of faults, as Markdown for docs/faults.md and as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from brs_cli.fault_table import Outcome

_PREFACE = """# What goes wrong, and what the stack does then

Measured on the real nodes over DDS by

    brs soak --table docs/faults.md

which writes this page. A hand drives the simulated R1 at 0.3 m/s through an emulated JoyLo while
an episode is recorded; each fault comes in mid-motion, stays for a while, is mended, and the robot
must drive on. A monitor that shares no code with the safety supervisor reads every vendor command
and objects to any that breaks a limit of position, speed or acceleration, that moves an unarmed
robot, or that keeps the base going later than 100 ms after the last good command.

- **still after**: from the fault to the base told to stand (below 0.02 m/s) and measured to stand.
  It is the time the stack needs to notice (100 ms for the leader, 250 ms for a Joy-Con, 80 ms
  for commands) and the braking of the base. Where nothing needs to stop: how much of the time the
  robot was not held.
- **last command to zero**: from the publication of the last good command of the selected source to
  the stamp of the base's zero; at most 100 ms. (A robot node that is kept from running for longer
  than two of its beats says nothing of its rules; such stops are not in this column.)
- **lost**: messages that the recorder, which counts sequence numbers, knows to have missed; apart
  from those of a flood, or of a network that loses them.
"""

_COLUMNS = (
    "fault",
    "what the stack does",
    "still after",
    "last command to zero",
    "driving again after",
    "lost",
)
_NOTES = """
Feedback frozen means a simulator that is stopped itself, so only the command can be seen to be
zero. A killed `robot` node sends nothing: the simulated base, as the vendor's, stops when nobody
commands it, after 0.5 s. A killed `recorder` loses what was not on the disk yet, a second at most.
Lost packets are those of UDP between processes, dropped in the kernel at the receiving sockets;
sensor streams are best effort and not repeated, and the recorder counts what did not arrive.
Clock jumps move the clock of all nodes but the simulator. Memory pressure is a process that takes
and touches 1 GiB over and over.
"""


def markdown(outcomes: Sequence[Outcome], unsafe: int, commands: int) -> str:
    """The page docs/faults.md."""
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        f"|{'---|' * len(_COLUMNS)}",
    ]
    for row in outcomes:
        if row.skipped or row.problem:
            why = f"not measured: {row.skipped}" if row.skipped else row.problem.split(";")[0]
            lines.append(f"| {row.title} | **{why}** | | | | |")
            continue
        still = f"-, follows {row.follows:.0%} of the time" if row.follows is not None else ""
        if row.still_s is not None:
            still = f"{row.still_s:.2f} s"
        stop = f"{row.slowest_stop_ms:.0f} ms" if row.still_s is not None else "-"
        lost = "-" if row.lost is None else str(row.lost)
        if row.lost_by_fault:
            lost += f" (and {row.lost_by_fault:,} by the fault itself)"
        cells = (row.title, row.reaction, still, stop, f"{row.recovery_s:.1f} s", lost)
        lines.append(f"| {' | '.join(cells)} |")
    seen = f"\nThe monitor judged {commands:,} vendor commands and objected to {unsafe}.\n"
    return "\n".join([_PREFACE, *lines, seen]) + _NOTES


def terminal(outcomes: Sequence[Outcome]) -> Table:
    """The same for eyes in a hurry."""
    table = Table("fault", "seen", "still after", "driving again", "lost", "unsafe", "problem")
    for row in outcomes:
        problem = (row.problem or row.skipped).splitlines()
        table.add_row(
            row.name,
            "yes" if row.seen else "[red]no",
            "-" if row.still_s is None else f"{row.still_s:.2f} s",
            "-" if row.recovery_s is None else f"{row.recovery_s:.1f} s",
            "-" if row.lost is None else str(row.lost),
            f"[red]{row.unsafe}" if row.unsafe else "0",
            f"[red]{problem[0]}" if row.problem else (problem[0] if problem else ""),
        )
    return table
