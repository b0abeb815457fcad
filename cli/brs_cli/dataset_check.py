"""`brs dataset check FOLDER`: whether episodes, or a data set, are fit to learn from.

Exit status: 0 nothing of severity error, 1 errors were found, 2 the check could not be made.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from brs_cli.dataset_quality import KnownRobots, judge_of
from brs_hardware.config import load_named
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeError
from brs_ml.quality import (
    EpisodeReport,
    QualityConfig,
    Report,
    check,
    check_dataset,
    is_dataset,
    repair_bag,
    write_html,
    write_json,
)

CLEAN, FOUND, FAILED = 0, 1, 2
_COLORS = {"error": "red", "warning": "yellow", "note": "dim"}
# Broken bags that may be whole afterwards.
_MENDED = ("torn", "unreadable")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(
        prog="brs dataset check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="episodes, one episode, or a data set")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page to look at")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was found")
    parser.add_argument(
        "--config",
        default="default",
        help="limits: a name in config/quality or a YAML file; what it leaves out is as usual",
    )
    parser.add_argument("--robot", default="r1", help="of episodes that name none")
    parser.add_argument("--strict", action="store_true", help="warnings count like errors")
    parser.add_argument("--no-pictures", action="store_true", help="do not judge pictures: faster")
    parser.add_argument(
        "--repair", action="store_true", help="rewrite torn bags; originals are kept in torn/"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, console: Console) -> Report:
    """The check as asked for. Raises BrsError or EpisodeError with what to do."""
    config = load_named(QualityConfig, "quality", options.config, "set of limits")
    robots = KnownRobots(options.robot)
    if is_dataset(options.folder):
        if options.repair:
            raise EpisodeError(
                "is a data set", where=str(options.folder), remedy="repair its episodes"
            )
        return check_dataset(options.folder, config, robots)

    def tell(report: EpisodeReport, done: int, count: int) -> None:
        console.print(f"{done}/{count} {report.name}", style="dim", highlight=False, markup=False)

    def look() -> Report:
        judges = None if options.no_pictures else judge_of
        return check(
            options.folder, config, robots, judges, workers=options.workers, progress=tell
        )

    report = look()
    if options.repair and _repair(report, options.folder, console):
        report = look()
    return report


def _repair(report: Report, root: Path, console: Console) -> int:
    """Repair what is torn or damaged; how many were."""
    count = 0
    for episode in report.episodes:
        if not any(finding.rule in _MENDED for finding in episode.findings) or not episode.digest:
            continue
        folder = root if any(root.glob("*.mcap")) else root / episode.name
        original, messages = repair_bag(folder)
        text = f"repaired {folder}: {messages} messages kept; the original is {original}"
        console.print(text, highlight=False, markup=False)
        count += 1
    return count


def main(arguments: list[str] | None = None) -> None:
    """Entry point; ends with the exit status."""
    options = parse(arguments)
    console = Console(stderr=True, soft_wrap=True)
    try:
        report = run(options, console)
        if options.json:
            write_json(report, options.json)
        if options.html:
            write_html(report, options.html)
    except (BrsError, EpisodeError, OSError) as error:
        print(f"brs dataset check: {error}", file=sys.stderr)
        raise SystemExit(FAILED) from None
    out = Console(soft_wrap=True)
    for finding in report.findings:
        out.print(str(finding), style=_COLORS[finding.severity], markup=False, highlight=False)
    out.print(report.summary(), markup=False, highlight=False)
    counts = report.counts
    bad = counts["error"] + (counts["warning"] if options.strict else 0)
    raise SystemExit(FOUND if bad else CLEAN)
