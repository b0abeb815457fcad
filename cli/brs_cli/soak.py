"""`brs soak`: drive and record for a long time while things go wrong, or measure each fault once.

Everything runs in simulation, on an emulated leader; an independent monitor reads every vendor
command. Results go to out/soak/; the exit status tells whether all went well.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from brs_cli.environment import ROOT
from brs_cli.fault_report import markdown, terminal
from brs_cli.fault_rig import Rig
from brs_cli.fault_table import Outcome, go_through, kinds, stack_faults
from brs_cli.memory import Growth, MemoryWatch
from brs_cli.session import own_domain
from brs_hardware.config import did_you_mean
from brs_hardware.errors import ConfigError
from brs_sim.faults import Fault, SafetyMonitor

SAMPLE_S = 5.0
MOST_GROWTH_MB_PER_MIN = 0.5
OURSELVES = "soak"  # shown, but no part of what is tested
console = Console()


@dataclass
class Report:
    """All that a run has shown."""

    seed: int
    minutes: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    commands: int = 0  # vendor commands judged
    unheard: int = 0  # gaps in what the monitor heard of the base's
    unsafe: dict[str, int] = field(default_factory=dict)  # rule -> count
    violations: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, Growth] = field(default_factory=dict)
    memory_mb: dict[str, list[list[tuple[float, float]]]] = field(default_factory=dict)

    def judged(self, monitor: SafetyMonitor) -> None:
        """Add what a monitor has seen."""
        self.commands += monitor.commands
        self.unheard += monitor.unheard
        for rule, count in monitor.counts.items():
            self.unsafe[rule] = self.unsafe.get(rule, 0) + count
        self.violations += [asdict(violation) for violation in monitor.violations]

    def problems(self) -> list[str]:
        """What should not have happened, one line each."""
        lines = [
            f"{row.name}: {row.problem.splitlines()[0]}" for row in self.outcomes if row.problem
        ]
        lines += [
            f"{count} commands broke the rule '{rule}'" for rule, count in self.unsafe.items()
        ]
        lines += [
            f"{row.name}: the recorder lost {row.lost} messages {row.lost_topics or ''}".rstrip()
            for row in self.outcomes
            if row.lost and not row.lost_by_fault  # it was the flood's, or the network's
        ]
        lines += [
            f"{name} grows by {growth.slope_mb_per_min:.2f} MB/min"
            for name, growth in self.memory.items()
            if name != OURSELVES
            and growth.tells
            and growth.slope_mb_per_min > MOST_GROWTH_MB_PER_MIN
        ]
        return lines


def main() -> None:
    """Entry point of `brs soak`."""
    options = _parse()
    own_domain()
    report = Report(options.seed)
    began_s = time.monotonic()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    try:
        if options.table is None:
            soak(report, options.minutes * 60.0, options.every_s, options.only)
        else:
            measure(report, options.kind, options.only)
    finally:
        report.minutes = round((time.monotonic() - began_s) / 60.0, 2)
        problems = report.problems()
        values = {**asdict(report), "problems": problems}
        (out / "report.json").write_text(json.dumps(values, indent=2) + "\n")
    if options.table:
        page = markdown(report.outcomes, sum(report.unsafe.values()), report.commands)
        Path(options.table).write_text(page)
    _show(report, problems)
    if problems:
        raise SystemExit(1)


def soak(report: Report, seconds: float, every_s: float, only: Sequence[str] = ()) -> None:
    """Faults in random order, each as often as any other, one every `every_s` at most.

    In the second half no node is restarted: what grows slowly shows only in a long life.

    Raises:
        BrsError: the stack does not start, or no fault is named like that.
    """
    memory = MemoryWatch()
    with Rig() as rig:
        rig.wait_driving()

        def sample() -> None:
            running = {name.rpartition("-")[0]: pid for name, pid in rig.launch.running.items()}
            memory.sample(time.monotonic(), {**running, OURSELVES: os.getpid()})

        rig.node.create_timer(SAMPLE_S, sample)
        faults, dice = _chosen(stack_faults(rig), only), random.Random(report.seed)
        lasting = [fault for fault in faults if not fault.restarts]
        begin_s = time.monotonic()
        for chosen, end_s in ((faults, begin_s + seconds / 2), (lasting, begin_s + seconds)):
            for fault in _shuffled(chosen, dice):
                due_s = time.monotonic() + every_s
                if due_s > end_s:
                    break
                outcome = go_through(rig, fault)
                report.outcomes.append(outcome)
                _say(outcome)
                rig.spin(max(0.0, due_s - time.monotonic()))
            rig.spin(max(0.0, end_s - time.monotonic()))
        report.judged(rig.watch.monitor)
    report.memory, report.memory_mb = memory.growth(), memory.lives()


def measure(report: Report, kind_names: Sequence[str] = (), only: Sequence[str] = ()) -> None:
    """Every fault once, in the order of the table.

    Args:
        report: gets what was seen.
        kind_names: of rigs; all if empty.
        only: faults of those rigs, by name; all if empty.

    Raises:
        BrsError: the stack does not start, or no fault is named like that.
    """
    for name, kind in kinds().items():
        if kind_names and name not in kind_names:
            continue
        with Rig(**kind.options) as rig:
            for fault in _chosen(kind.faults(rig), only):
                report.outcomes.append(go_through(rig, fault))
                _say(report.outcomes[-1])
            report.judged(rig.watch.monitor)


def _chosen(faults: list[Fault], only: Sequence[str]) -> list[Fault]:
    known = {fault.name: fault for fault in faults}
    for name in only:
        if name not in known:
            raise ConfigError(f"no fault '{name}'", remedy=did_you_mean(name, known))
    return [known[name] for name in only] if only else faults


def _shuffled(faults: list[Fault], dice: random.Random) -> Iterator[Fault]:
    while faults:
        yield from dice.sample(faults, len(faults))


def _say(row: Outcome) -> None:
    problem = (row.problem or row.skipped).split("\n")[0]
    still = "" if row.still_s is None else f"still after {row.still_s:.2f} s, "
    again = "" if row.recovery_s is None else f"driving again after {row.recovery_s:.1f} s"
    console.print(f"{row.title}: {problem or still + again}", highlight=False, soft_wrap=True)


def _show(report: Report, problems: list[str]) -> None:
    console.print(terminal(report.outcomes))
    for name, growth in report.memory.items():
        tells = "" if growth.tells else " (watched too briefly to tell)"
        console.print(
            f"  {name:10} peak {growth.peak_mb:6.1f} MB, "
            f"{growth.slope_mb_per_min:+.3f} MB/min over {growth.watched_s:.0f} s{tells}",
            highlight=False,
        )
    if report.unheard:
        console.print(f"  {report.unheard} gaps in what the monitor heard of the base")
    console.print(
        f"{report.minutes:.1f} min, {len(report.outcomes)} faults, "
        f"{report.commands:,} vendor commands, {sum(report.unsafe.values())} of them unsafe"
    )
    for line in problems:
        console.print(f"[red]{line}", highlight=False, soft_wrap=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="length of the soak")
    parser.add_argument("--every-s", type=float, default=20.0, help="time between faults")
    parser.add_argument("--seed", type=int, default=0, help="of the order of faults")
    parser.add_argument("--only", action="append", default=[], help="this fault, by name")
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        choices=kinds(),
        help="with --table: this rig only",
    )
    parser.add_argument(
        "--table", metavar="FILE", help="instead, measure every fault once and write this page"
    )
    parser.add_argument("--out", default=str(ROOT / "out" / "soak"))
    return parser.parse_args()
