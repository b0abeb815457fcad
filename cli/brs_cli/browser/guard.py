"""Who may talk to the page: whoever was given its address, from a page of its own, nobody else.

A page in the same browser, of whatever site, can send requests to this computer. So each request
must name this server as its host (against names that are made to point here), must not come from
another origin, and must carry the token that stands in the printed address and then in a cookie.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Guard:
    """ASGI middleware that answers 403 to everybody else.

    Args:
        app: what it guards.
        hosts: `name:port` by which this server is called.
        token: secret of this run.
        cookie: name of the cookie that carries it.
    """

    def __init__(self, app: App, hosts: Iterable[str], token: str, cookie: str) -> None:
        self._app, self._hosts = app, frozenset(host.lower() for host in hosts)
        self._token, self._cookie = token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if reason := self._refusal(headers):
            await _refuse(scope, send, reason)
        elif self._same(_cookies(headers).get(self._cookie, "")):
            await _hand_on(self._app, scope, receive, _with_headers(send))
        elif scope["type"] == "http" and self._same(_query(scope).get("token", [""])[0]):
            await self._welcome(send)
        else:
            await _refuse(scope, send, "open the address that the terminal printed")

    def _refusal(self, headers: dict[bytes, str]) -> str:
        if headers.get(b"host", "").lower() not in self._hosts:
            return "this server is not called that"
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc not in self._hosts:
            return "another page may not ask"
        return ""

    def _same(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    async def _welcome(self, send: Send) -> None:
        """Keep the token as a cookie, and take it out of the address."""
        cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), *HEADERS]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope.get("query_string", b"").decode("latin-1"))


def _cookies(headers: dict[bytes, str]) -> dict[str, str]:
    try:
        return {key: each.value for key, each in SimpleCookie(headers.get(b"cookie", "")).items()}
    except CookieError:
        return {}


async def _hand_on(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the app answer. That nobody is there any more to be answered is no error.

    Of a tab that is closed in the middle of a request, Starlette's middleware makes one.
    """
    left = False

    async def receiving() -> MutableMapping[str, Any]:
        nonlocal left
        message = await receive()
        left = left or message["type"] == "http.disconnect"
        return message

    try:
        await app(scope, receiving, send)
    except RuntimeError as error:
        if not left or str(error) != "No response returned.":
            raise


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *HEADERS]}
        await send(message)

    return sending


async def _refuse(scope: Scope, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    kind = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": 403, "headers": [kind, *HEADERS]})
    await send({"type": "http.response.body", "body": f"Refused: {reason}.\n".encode()})
