"""Whoever was not given the address gets nothing, and no name leads out of the folder."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ml.dataset.synthetic_episodes import Recipe, record

from brs_cli.dataset_view import main
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeError
from brs_ml.episode.store import EpisodeStore

fastapi = pytest.importorskip("fastapi", reason="the page needs NiceGUI (brs[view])")
httpx = pytest.importorskip("httpx", reason="the page needs NiceGUI (brs[view])")

from brs_cli.browser.guard import Guard  # noqa: E402
from brs_cli.browser.library import Library  # noqa: E402
from brs_cli.browser.routes import address, router  # noqa: E402

HOST, TOKEN, COOKIE = "127.0.0.1:8080", "secret", "brs_view_8080"
MINE = {"cookie": f"{COOKIE}={TOKEN}"}


def guarded(app: Any) -> Guard:
    return Guard(app, [HOST, "localhost:8080"], TOKEN, COOKIE)


def ask(app: Any, path: str, headers: Mapping[str, str], host: str = HOST) -> Any:
    """A response to GET."""

    async def asking() -> Any:
        transport = httpx.ASGITransport(guarded(app))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(asking())


@pytest.fixture
def app(tmp_path: Path) -> Any:
    record(tmp_path / "set" / "a", Recipe(seconds=0.3))
    record(tmp_path / "outside", Recipe(seconds=0.3))
    app = fastapi.FastAPI(openapi_url=None)
    app.include_router(router(Library(EpisodeStore(tmp_path / "set"), "r1")))
    return app


def test_with_the_cookie_everything_is_answered(app: Any) -> None:
    response = ask(app, f"{address('a')}/contents", MINE)
    assert response.status_code == 200
    assert len(response.json()["panels"]) == 5
    assert response.headers["x-frame-options"] == "DENY"
    picture = ask(app, f"{address('a')}/pictures/head/0", MINE)
    assert picture.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({}, HOST),
        ({"cookie": f"{COOKIE}=guessed"}, HOST),
        ({"cookie": "brs_view_9999=secret"}, HOST),
        ({"cookie": f"{COOKIE}=sécret".encode("latin-1")}, HOST),
        (MINE, "attacker.example:8080"),
        (MINE, "127.0.0.1:9999"),
        ({**MINE, "origin": "http://attacker.example"}, HOST),
        ({**MINE, "origin": "http://127.0.0.1:9999"}, HOST),
        ({**MINE, "origin": "null"}, HOST),
    ],
)
def test_others_are_refused(app: Any, headers: Any, host: str) -> None:
    response = ask(app, f"{address('a')}/contents", headers, host)
    assert response.status_code == 403
    assert response.text.startswith("Refused: ")


def test_the_own_page_may_ask(app: Any) -> None:
    for origin in (f"http://{HOST}", "http://localhost:8080"):
        response = ask(app, f"{address('a')}/contents", {**MINE, "origin": origin})
        assert response.status_code == 200


def test_the_token_of_the_address_becomes_a_cookie_and_leaves_the_address(app: Any) -> None:
    response = ask(app, f"/?token={TOKEN}", {})
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}={TOKEN};")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert ask(app, "/?token=guessed", {}).status_code == 403


@pytest.mark.parametrize("headers", [{}, {**MINE, "origin": "http://attacker.example"}])
def test_sockets_of_others_are_closed(headers: Mapping[str, str]) -> None:
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it was let through")

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [(key.encode(), value.encode()) for key, value in {"host": HOST, **headers}.items()]
    asyncio.run(guarded(inner)({"type": "websocket", "headers": fields}, None, send))  # type: ignore[arg-type]
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]


@pytest.mark.parametrize(
    "path",
    [
        "/episodes/..%2Foutside/contents",
        "/episodes/../outside/contents",
        "/episodes/%2e%2e/contents",
        "/episodes/trash/contents",
        "/episodes/none/contents",
        "/episodes/a/pictures/tail/0",
        "/episodes/a/pictures/head/-1",
        "/episodes/a/pictures/head/100000",
        "/episodes/a/clouds/0",
    ],
)
def test_there_is_nothing_outside(app: Any, path: str) -> None:
    response = ask(app, path, MINE)
    assert response.status_code == 404
    assert "outside" not in response.text


def test_what_was_moved_away_meanwhile_is_not_found(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(app, "/episodes/a/contents", MINE).status_code == 200

    def gone(*_: Any) -> Any:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("brs_cli.browser.pictures.EpisodeReader.messages", gone)
    assert ask(app, "/episodes/a/pictures/head/0", MINE).status_code == 404


def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="no such folder"):
        main([str(tmp_path / "none"), "--no-open"])
    with pytest.raises(BrsError, match="by which name"):
        main([str(tmp_path), "--no-open", "--host", "0.0.0.0"])
    with pytest.raises(BrsError, match="cannot listen"):
        main([str(tmp_path), "--no-open", "--port", "99999"])


@pytest.mark.parametrize("leaves", [True, False])
def test_a_tab_that_is_closed_in_the_middle_of_a_request_is_no_error(leaves: bool) -> None:
    from starlette.middleware.base import BaseHTTPMiddleware

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        while leaves and (await receive())["type"] != "http.disconnect":
            pass

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    messages = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError("there is nobody to be answered")

    headers = [(b"host", HOST.encode()), (b"cookie", MINE["cookie"].encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    asking = guarded(BaseHTTPMiddleware(silent, pass_on))(scope, receive, send)
    if leaves:
        asyncio.run(asking)
    else:
        with pytest.raises(RuntimeError, match="No response returned"):
            asyncio.run(asking)
