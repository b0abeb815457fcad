"""What the page asks for beside itself: pictures of now, and of clips."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Response

from brs_cli.monitor_page.watch import Watch

# A clip does not change; the cookie keeps others from the browser's cache.
KEPT = {"Cache-Control": "private, max-age=3600"}
FLEETING = {"Cache-Control": "no-store"}


def newest_address(camera: str, kind: str, number: int) -> str:
    """Where a camera's newest picture is; another number, another picture."""
    return f"/cameras/{quote(camera, safe='')}/{quote(kind, safe='')}?{number}"


def clip_address(name: str, number: int) -> str:
    """Where a picture of a clip is."""
    return f"/clips/{quote(name, safe='')}/{number}"


def router(watch: Watch) -> APIRouter:
    """The routes; each answers 404 where there is nothing."""
    routes = APIRouter()

    # Plain functions: they may read files, so the server runs them in threads.
    @routes.get("/cameras/{camera}/{kind}")
    def newest(camera: str, kind: str) -> Response:
        return _answer(watch.newest(camera, kind), FLEETING)

    @routes.get("/clips/{name}/{number}")
    def clip(name: str, number: int) -> Response:
        return _answer(watch.clip_picture(name, number), KEPT)

    return routes


def _answer(jpeg: bytes | None, headers: dict[str, str]) -> Response:
    if jpeg is None:
        raise HTTPException(404, "there is no such picture")
    return Response(jpeg, media_type="image/jpeg", headers=headers)
