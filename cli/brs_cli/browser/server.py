"""Serves the page on one socket until it is told to stop."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from nicegui import ui
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from brs_cli.browser.findings import Findings
from brs_cli.browser.guard import Guard
from brs_cli.browser.library import Library
from brs_cli.browser.page import STATIC, BrowserPage
from brs_cli.browser.routes import router
from brs_hardware.errors import BrsError

LOOPBACK = "127.0.0.1"
# A page that a busy computer or a bad line keeps silent for so long is not thrown away.
RECONNECT_S = 60.0
EVERYWHERE = ("", "0.0.0.0", "::", "*")


class PageServer:
    """A server of one library. NiceGUI keeps its application for the process: make only one.

    Args:
        library: the episodes.
        findings: of their quality report.
        host: address to listen on.
        port: 0 for any that is free.

    Attributes:
        url: of the page, with the token without which nothing is answered.

    Raises:
        BrsError: the address is in use, none of this computer's, or all of them.
    """

    def __init__(self, library: Library, findings: Findings, host: str, port: int) -> None:
        self._socket = _listen(host, port)
        port = self._socket.getsockname()[1]
        token = secrets.token_urlsafe(24)
        names = {host, "localhost", LOOPBACK} if _is_local(host) else {host}
        self.url = f"http://{host}:{port}/?token={token}"
        guard: Any = Middleware(
            Guard,
            hosts=[f"{name}:{port}" for name in names],
            token=token,
            cookie=f"brs_view_{port}",
        )
        self._app = FastAPI(openapi_url=None, middleware=[guard])
        self._app.include_router(router(library))
        self._app.mount("/static", StaticFiles(directory=STATIC))
        deleted: list[Path] = []
        ui.run_with(
            self._app,
            root=lambda: BrowserPage(library, findings, deleted) and None,
            title="Episodes",
            show_welcome_message=False,
            reconnect_timeout=RECONNECT_S,
        )

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        config = uvicorn.Config(self._app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[self._socket])


def _is_local(host: str) -> bool:
    return host == "localhost" or host.startswith("127.")


def _listen(host: str, port: int) -> socket.socket:
    if host in EVERYWHERE:
        raise BrsError(
            "cannot tell by which name it will be called",
            where=f"--host {host}",
            remedy="name the one address of this computer to serve on",
        )
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise BrsError(
            f"cannot listen ({error})", where=f"{host}:{port}", remedy="choose another --port"
        ) from None
