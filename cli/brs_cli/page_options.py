"""Where a page is served, as asked for on the command line, and serving it there."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from typing import Protocol

LOOPBACK = "127.0.0.1"


class Server(Protocol):
    """What serves a page."""

    url: str

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""


def add_page_options(parser: argparse.ArgumentParser, port: int) -> None:
    """Options `--port`, `--host` and `--no-open`.

    Args:
        parser: gets them.
        port: served on where none is asked for.
    """
    parser.add_argument("--port", type=int, default=port, help="0: any that is free")
    parser.add_argument(
        "--host", default=LOOPBACK, help="address to serve on (only this computer)"
    )
    parser.add_argument("--no-open", action="store_true", help="do not open a browser")


def serve(server: Server, options: argparse.Namespace, risk: str) -> None:
    """Tell the address, open it in a browser, serve until the end.

    Args:
        server: of the page.
        options: of `add_page_options`.
        risk: what whoever is told the address can do.
    """
    if options.host not in (LOOPBACK, "localhost"):
        say(f"whoever reaches {options.host} and is told this address {risk}")
    say(f"open {server.url} (Ctrl-C ends it)")
    if not options.no_open:
        webbrowser.open(server.url)
    server.run()


def say(line: str) -> None:
    """A line for the person who looks."""
    sys.stderr.write(f"{line}\n")
