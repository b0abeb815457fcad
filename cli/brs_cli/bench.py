"""`brs bench`: measures speed and memory; a table, and out/bench.json for comparisons.

Machines differ and are shared: where it can, a figure comes with the ratio to the usual way of
doing the same thing, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import operator
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from brs_cli.environment import ROOT
from brs_cli.session import own_domain
from brs_hardware.config import did_you_mean


@dataclass(frozen=True)
class Figure:
    """One measured number."""

    name: str
    value: float
    unit: str
    target: str  # e.g. ">= 500"; empty where there is none
    passed: bool | None
    ratio: float | None = None
    against: str | None = None


_COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


def figure(
    name: str,
    value: float,
    unit: str,
    target: str = "",
    ratio: float | None = None,
    against: str | None = None,
) -> Figure:
    """A figure judged by its target, such as `<= 4`."""
    passed = None
    if target:
        compare, limit = target.split()
        passed = bool(_COMPARE[compare](value, float(limit)))
    return Figure(name, round(float(value), 3), unit, target, passed, ratio, against)


def stolen(group: str, before: Any, after: Any) -> Figure:
    """How much of the processors other guests of the same host took while a group was measured.

    Where it is more than a few percent, times are upper bounds.

    Args:
        group: what was measured.
        before, after: psutil.cpu_times(); only Linux tells what was stolen.
    """
    passed_s = sum(after) - sum(before)
    stolen_s = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
    return figure(f"{group}_stolen_pct", 100.0 * stolen_s / passed_s if passed_s else 0.0, "%")


def groups() -> dict[str, Callable[[float], list[Figure]]]:
    """Name -> measurement, which takes the seconds to spend on its long parts."""
    from brs_cli.bench_anomaly import measure_anomaly
    from brs_cli.bench_cloud import measure_cloud
    from brs_cli.bench_data import measure_data
    from brs_cli.bench_executor import measure_executors
    from brs_cli.bench_fusion import measure_fusion
    from brs_cli.bench_memory import measure_memory
    from brs_cli.bench_policy import measure_policy
    from brs_cli.bench_policy_node import measure_policy_node
    from brs_cli.bench_record import measure_record
    from brs_cli.bench_safety import measure_safety
    from brs_cli.bench_sim import measure_sim
    from brs_cli.bench_teleop import measure_teleop

    def one_after_another(*measures: Callable[[float], list[Figure]]) -> Any:
        return lambda seconds: [row for measure in measures for row in measure(seconds)]

    return {
        "teleop": measure_teleop,
        "safety": measure_safety,
        "executor": measure_executors,
        "perception": one_after_another(measure_fusion, measure_cloud),
        "data": one_after_another(measure_data, measure_memory, measure_record),
        "policy": one_after_another(measure_policy, measure_policy_node),
        "anomaly": measure_anomaly,
        "sim": measure_sim,
    }


def main() -> None:
    """Entry point of `brs bench`."""
    known = groups()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--group", action="append", help=f"one of {', '.join(known)}; default all")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the long parts")
    parser.add_argument("--out", default=str(ROOT / "out" / "bench.json"))
    options = parser.parse_args()
    own_domain()
    figures: list[Figure] = []
    for name in options.group or known:
        if name not in known:
            raise SystemExit(f"brs bench: no group '{name}'; {did_you_mean(name, known)}")
        Console(stderr=True).print(f"measuring {name} ...")
        before = psutil.cpu_times()
        figures += known[name](options.seconds)
        figures.append(stolen(name, before, psutil.cpu_times()))
    table = Table("figure", "value", "target", "", "ratio", "against")
    for row in figures:
        table.add_row(
            row.name,
            f"{row.value:g} {row.unit}",
            f"{row.target} {row.unit}" if row.target else "",
            {True: "[green]met", False: "[red]missed", None: ""}[row.passed],
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.against or "",
        )
    Console().print(table)
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([asdict(row) for row in figures], indent=2) + "\n")
