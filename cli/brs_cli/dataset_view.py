"""`brs dataset view FOLDER`: a page to look at episodes, label, cut and delete them."""

from __future__ import annotations

import argparse
from pathlib import Path

from brs_cli.page_options import add_page_options, serve
from brs_hardware.errors import ConfigError
from brs_ml.episode.store import EpisodeStore


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(prog="brs dataset view", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder that holds episodes")
    add_page_options(parser, port=8080)
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
        from brs_cli.browser.page import STATIC, BrowserPage
        from brs_cli.browser.routes import router
        from brs_cli.browser.server import PageServer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the page needs {error.name}, which is not installed", remedy="pip install brs[view]"
        ) from None
    findings = Findings.of(options.report) if options.report else Findings()
    library = Library(store, options.robot)
    deleted: list[Path] = []
    server = PageServer(
        "Episodes",
        lambda: BrowserPage(library, findings, deleted),
        router(library),
        options.host,
        options.port,
        static=STATIC,
    )
    serve(server, options, "sees and changes episodes")
