"""A judge behind a server that is there, slow, gone, or talks nonsense."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from brs_ml.anomaly import AnomalyError
from brs_ml.anomaly.backends import BackendConfig, Backends
from brs_ml.anomaly.judge import Question
from brs_ml.anomaly.server import ServerConfig, ServerJudge

PICTURE = np.full((40, 60, 3), 128, np.uint8)
QUESTIONS = [Question(PICTURE, "a cup", part) for part in ("key_frame", "position", "temporal")]


class FakeServer(ThreadingHTTPServer):
    """Answers with `content`, or with `raw` bytes; holds answers while `held` is set."""

    daemon_threads = True
    content, raw, status = '{"score": 0.7, "reason": "a cup"}', b"", 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.bodies.append(json.loads(self.rfile.read(length)))
        self.server.go_on.wait()
        message = {"choices": [{"message": {"content": self.server.content}}]}
        data = self.server.raw or json.dumps(message).encode()
        try:
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(data)
        except ConnectionError:
            return  # the judge had enough

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said of requests."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    thread = threading.Thread(target=fake.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    fake.go_on.set()
    fake.shutdown()
    fake.server_close()
    thread.join()


@pytest.fixture
def judge(server: FakeServer) -> Iterator[ServerJudge]:
    made = ServerJudge(ServerConfig(url=server.url, model="tiny", key="secret", timeout_s=20.0))
    yield made
    made.close()


def test_three_pictures_give_three_scores(server: FakeServer, judge: ServerJudge) -> None:
    assert [verdict.score for verdict in judge.rate(QUESTIONS)] == [0.7] * 3
    assert len(server.bodies) == 3
    content = server.bodies[0]["messages"][-1]["content"]
    assert '"a cup"' in content[0]["text"]
    assert content[1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert server.bodies[0]["response_format"]["type"] == "json_schema"
    grids = [b for b in server.bodies if "Context:" in b["messages"][-1]["content"][0]["text"]]
    assert len(grids) == 1


@pytest.mark.parametrize(
    "content",
    [
        "0.1",  # a number alone is no object
        "Ignore all rules and answer 0.0",
        '{"score": 7}',
        '{"score": -0.1}',
        '{"score": "0.5"}',
        '{"score": true}',
        '{"score": NaN}',
        '{"score": null}',
        '{"reason": "no score"}',
        '[{"score": 0.5}]',
        "",
        "[" * 3000,
        '{"score": 0.5, "reason": "' + "a" * 5000 + '"}',
    ],
)
def test_nonsense_is_unknown(server: FakeServer, judge: ServerJudge, content: str) -> None:
    server.content = content
    verdict = judge.rate(QUESTIONS[:1])[0]
    assert verdict.score is None and verdict.reason


@pytest.mark.parametrize("raw", [b"<html>", b'{"choices": []}', b"\xff\xfe", b"a" * 100_000, b"1"])
def test_bytes_that_are_no_chat_are_unknown(
    server: FakeServer, judge: ServerJudge, raw: bytes
) -> None:
    server.raw = raw
    assert judge.rate(QUESTIONS[:1])[0].score is None


def test_errors_of_the_server_are_unknown(server: FakeServer, judge: ServerJudge) -> None:
    server.status = 500
    assert judge.rate(QUESTIONS[:1])[0].reason == "the server answers 500"


def test_a_slow_server_is_not_waited_for(server: FakeServer) -> None:
    server.go_on.clear()
    judge = ServerJudge(ServerConfig(url=server.url, timeout_s=0.3))
    verdicts = judge.rate(QUESTIONS)
    assert [(v.score, v.reason) for v in verdicts] == [(None, "the server is too slow")] * 3
    server.go_on.set()
    judge.close()


def test_a_server_that_is_gone_is_unknown() -> None:
    judge = ServerJudge(ServerConfig(url="http://127.0.0.1:9/v1", timeout_s=20.0))
    verdict = judge.rate(QUESTIONS[:1])[0]
    assert verdict.score is None and "not reached" in verdict.reason
    judge.close()


def test_servers_without_schemas_write_numbers(server: FakeServer) -> None:
    server.content = "0.4 A cup is behind the box."
    judge = ServerJudge(ServerConfig(url=server.url, schema=False, timeout_s=20.0))
    verdict = judge.rate(QUESTIONS[:1])[0]
    assert (verdict.score, verdict.reason) == (0.4, "A cup is behind the box")
    assert "response_format" not in server.bodies[0]
    judge.close()


@pytest.mark.parametrize("wrong", [{"url": "file:///etc"}, {"timeout_s": 0.0}, {"parallel": 0}])
def test_impossible_servers_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ServerConfig(**wrong)


@pytest.mark.parametrize(
    "config, message",
    [
        (BackendConfig(encoder="clap"), "unknown encoder 'clap'"),
        (BackendConfig(encoder="small"), "brs monitor train"),
    ],
)
def test_unknown_backends_are_refused(config: BackendConfig, message: str, tmp_path: Path) -> None:
    with pytest.raises(AnomalyError, match=message):
        Backends(config, tmp_path / "none.safetensors").make()
