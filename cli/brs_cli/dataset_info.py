"""`brs dataset info DIR`: tells what a data set holds, and whether its files are whole."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from brs_cli.dataset_build import summary
from brs_ml.dataset import Dataset


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(prog="brs dataset info", description=__doc__)
    parser.add_argument("dataset", type=Path, help="folder of a data set")
    parser.add_argument("--verify", action="store_true", help="read all and compare checksums")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Raises DatasetError if a file is missing or damaged."""
    options = parse(arguments)
    index = Dataset(options.dataset, verify=options.verify).index
    print(f"{index.robot}: {summary(index)}")
    table = Table("feature", "a step", "as")
    for name, feature in index.features.items():
        shape = " x ".join(str(size) for size in feature.shape) or "1"
        table.add_row(name, f"{shape} {feature.dtype}", feature.encoding)
    Console().print(table)
    for name, reason in index.left_out.items():
        print(f"left out {name}: {reason}")
