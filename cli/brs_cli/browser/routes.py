"""What the player in the page asks for: numbers once, pictures and clouds as it plays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Response

from brs_cli.browser.library import CLOUD, Library, labels_of, packed
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeError

T = TypeVar("T")
# The bag of an episode does not change; the cookie keeps others from the browser's cache.
KEPT = {"Cache-Control": "private, max-age=3600"}


def address(name: str) -> str:
    """Where an episode's contents are."""
    return f"/episodes/{quote(name, safe='')}"


def router(library: Library) -> APIRouter:
    """The routes below /episodes; each answers 404 with the reason where there is nothing."""
    routes = APIRouter(prefix="/episodes")

    # Plain functions: they read files, so the server runs them in threads.
    @routes.get("/{name}/contents")
    def contents(name: str) -> dict[str, Any]:
        opened = _found(lambda: library.open(name))
        info = _found(lambda: library.store.entry(name)).info
        return packed(opened.contents) | labels_of(info, opened.contents.start_ns)

    @routes.get("/{name}/pictures/{camera}/{number}")
    def picture(name: str, camera: str, number: int) -> Response:
        data, kind = _found(lambda: library.open(name).pictures.get(camera, number))
        return Response(data, media_type=kind, headers=KEPT)

    @routes.get("/{name}/clouds/{number}")
    def cloud(name: str, number: int) -> Response:
        return picture(name, CLOUD, number)

    return routes


def _found(read: Callable[[], T]) -> T:
    try:
        return read()
    except (EpisodeError, BrsError) as error:
        raise HTTPException(404, error.what) from None
    except OSError as error:
        # It was moved to the trash since it was looked up.
        raise HTTPException(404, error.strerror) from None
