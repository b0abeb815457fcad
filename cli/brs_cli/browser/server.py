"""Serves a page on one socket until it is told to stop."""

from __future__ import annotations

import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from nicegui import ui
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from brs_cli.browser.guard import Guard
from brs_cli.page_options import LOOPBACK
from brs_hardware.errors import BrsError

# A page that a busy computer or a bad line keeps silent for so long is not thrown away.
RECONNECT_S = 60.0
EVERYWHERE = ("", "0.0.0.0", "::", "*")


class PageServer:
    """A server of one page. NiceGUI keeps its application for the process: make only one.

    Args:
        title: of the browser's tab.
        page: makes the page for one who looks.
        routes: what else is answered.
        host: address to listen on.
        port: 0 for any that is free.
        static: folder that is served at /static.

    Attributes:
        url: of the page, with the token without which nothing is answered.

    Raises:
        BrsError: the address is in use, none of this computer's, or all of them.
    """

    def __init__(
        self,
        title: str,
        page: Callable[[], object],
        routes: APIRouter,
        host: str,
        port: int,
        static: Path | None = None,
    ) -> None:
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
        self._app.include_router(routes)
        if static is not None:
            self._app.mount("/static", StaticFiles(directory=static))
        ui.run_with(
            self._app,
            root=lambda: page() and None,
            title=title,
            show_welcome_message=False,
            reconnect_timeout=RECONNECT_S,
        )

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            # Uvicorn ends by it and raises it again: so that the caller can tidy up.
            signal.signal(number, lambda *_: None)
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
