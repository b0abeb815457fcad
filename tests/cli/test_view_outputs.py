"""Where `brs view` shows things, and that nobody else can look in unless asked for."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from brs_cli import view, view_log, view_outputs
from brs_cli.view_outputs import LOOPBACK, Opened, Outputs, open_outputs
from brs_hardware.errors import BrsError, ConfigError


def chosen(*arguments: str, display: bool) -> Outputs:
    return view.choose_outputs(view.parse(list(arguments)), display, "name")


def test_a_window_opens_where_there_is_a_display() -> None:
    assert chosen(display=True) == Outputs(native=True)
    assert chosen("episode", display=True).native


def test_without_a_display_a_file_is_written() -> None:
    assert chosen(display=False) == Outputs(file=Path("out/view/name.rrd"))


@pytest.mark.parametrize("display", [True, False])
def test_what_was_asked_for_is_done(display: bool) -> None:
    assert chosen("--save", "a.rrd", display=display) == Outputs(file=Path("a.rrd"))
    assert chosen("--web", display=display) == Outputs(web=True, host="127.0.0.1")
    both = chosen("--web", "--save", "a.rrd", "--host", "192.0.2.7", display=display)
    assert both == Outputs(file=Path("a.rrd"), web=True, host="192.0.2.7")


@pytest.mark.parametrize(
    "arguments", [("--image-hz", "0"), ("--image-hz", "nan"), ("--jpeg", "96"), ("--jpeg", "0")]
)
def test_options_have_ranges(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        view.parse(list(arguments))


def test_a_viewer_that_runs_is_taken_instead_of_a_window() -> None:
    url = "rerun+http://127.0.0.1:9876/proxy"
    assert chosen("--connect", url, display=True) == Outputs(viewer=url)


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:80", "rerun+http://127.0.0.1:x/"])
def test_a_wrong_address_of_a_viewer_is_said(url: str) -> None:
    with pytest.raises(BrsError, match="no viewer answers"):
        open_outputs(Outputs(viewer=url), "test")


def test_a_viewer_that_is_not_there_is_said() -> None:
    with pytest.raises(BrsError, match="no viewer answers"):
        open_outputs(Outputs(viewer=f"rerun+http://127.0.0.1:{free_port()}/proxy"), "test")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def served() -> Iterator[tuple[Opened, Outputs]]:
    outputs = Outputs(web=True, web_port=free_port(), data_port=free_port())
    opened = open_outputs(outputs, "test")
    yield opened, outputs
    opened.close()


def test_a_page_is_served_on_this_computer_only(served: tuple[Opened, Outputs]) -> None:
    opened, outputs = served
    with urllib.request.urlopen(opened.url, timeout=10) as page:
        assert page.status == 200 and b"<html" in page.read().lower()
    data = urlsplit(parse_qs(urlsplit(opened.url).query)["url"][0])
    assert (data.hostname, data.port) == (LOOPBACK, outputs.data_port)
    sockets = psutil.Process(opened.programs[0].pid).net_connections("inet")
    listening = [entry.laddr for entry in sockets if entry.status == psutil.CONN_LISTEN]
    assert {address.port for address in listening} == {outputs.web_port, outputs.data_port}
    assert {address.ip for address in listening} == {LOOPBACK}
    assert opened.shown()
    opened.close()
    assert not opened.shown()


def test_a_taken_port_is_said(served: tuple[Opened, Outputs]) -> None:
    with pytest.raises(BrsError, match="cannot listen") as error:
        open_outputs(served[1], "test")
    assert "--web-port" in error.value.remedy


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BrsError, match="cannot be written"):
        open_outputs(Outputs(file=tmp_path / "file" / "a.rrd"), "test")


def test_a_viewer_that_does_not_start_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rerun_cli

    program = tmp_path / "rerun"
    program.write_text("#!/bin/sh\necho first >&2\necho no display >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(rerun_cli, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(BrsError, match=r"does not start \(no display\)"):
        open_outputs(Outputs(native=True), "test")
    assert view_outputs.START_S > 1.0


def test_without_rerun_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match="rerun") as error:
        view_log.import_rerun()
    assert error.value.remedy == "pip install brs[view]"
