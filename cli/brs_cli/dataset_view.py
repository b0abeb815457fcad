"""`brs dataset view FOLDER`: a page to look at episodes, label, cut and delete them."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

from brs_hardware.errors import ConfigError
from brs_ml.episode.store import EpisodeStore

LOOPBACK = "127.0.0.1"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(prog="brs dataset view", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder that holds episodes")
    parser.add_argument("--port", type=int, default=8080, help="0: any that is free")
    parser.add_argument(
        "--host", default=LOOPBACK, help="address to serve on (only this computer)"
    )
    parser.add_argument("--no-open", action="store_true", help="do not open a browser")
    parser.add_argument("--robot", default="r1", help="description for episodes that name none")
    parser.add_argument(
        "--report", type=Path, metavar="FILE.json", help="of `brs dataset check --json`"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Raises EpisodeError, BrsError."""
    options = parse(arguments)
    store = EpisodeStore(options.folder)
    try:
        from brs_cli.browser.findings import Findings
        from brs_cli.browser.library import Library
        from brs_cli.browser.server import PageServer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the page needs {error.name}, which is not installed", remedy="pip install brs[view]"
        ) from None
    findings = Findings.of(options.report) if options.report else Findings()
    library = Library(store, options.robot)
    server = PageServer(library, findings, options.host, options.port)
    if options.host not in (LOOPBACK, "localhost"):
        say(f"whoever reaches {options.host} and is told this address sees and changes episodes")
    say(f"open {server.url} (Ctrl-C ends it)")
    if not options.no_open:
        webbrowser.open(server.url)
    server.run()


def say(line: str) -> None:
    """A line for the person who looks."""
    sys.stderr.write(f"{line}\n")
