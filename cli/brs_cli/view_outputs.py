"""Where a recording goes: a file, the native viewer, or a page in a browser."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from brs_cli.view_log import import_rerun
from brs_hardware.errors import BrsError

APPLICATION = "brs"
LOOPBACK = "127.0.0.1"
START_S = 20.0  # patience with a viewer that starts
ANSWER_S = 3.0  # and with one that runs


@dataclass(frozen=True)
class Outputs:
    """What was asked for."""

    file: Path | None = None
    native: bool = False
    viewer: str = ""  # address of a viewer that runs already
    web: bool = False
    host: str = LOOPBACK  # address that page and data are served on
    web_port: int = 9090
    data_port: int = 9876


@dataclass
class Opened:
    """A stream and the programs that show it."""

    stream: Any
    url: str = ""  # of the page, if there is one
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def shown(self) -> bool:
        """False once a viewer was closed."""
        return all(program.poll() is None for program in self.programs)

    def close(self) -> None:
        """End a served page; a viewer's window stays open."""
        self.stream.disconnect()
        if self.url:
            for program in self.programs:
                program.terminate()
                program.wait()


def open_outputs(outputs: Outputs, name: str) -> Opened:
    """Start what shows the recording, and connect to it.

    Rerun's own functions would listen on all interfaces, so its program is started here with the
    address it may listen on.

    Args:
        outputs: what was asked for; at least one.
        name: of the recording, shown by the viewer.

    Raises:
        BrsError: the file cannot be written, a port is taken, or the viewer does not start.
        ConfigError: rerun is not installed.
    """
    rr = import_rerun()
    stream = rr.RecordingStream(APPLICATION)
    opened = Opened(stream)
    sinks: list[Any] = []
    if outputs.file is not None:
        try:
            outputs.file.parent.mkdir(parents=True, exist_ok=True)
            outputs.file.open("wb").close()
        except OSError as error:
            raise BrsError(
                f"cannot be written ({error.strerror})",
                where=str(outputs.file),
                remedy="name another file with --save",
            ) from None
        sinks.append(rr.FileSink(outputs.file))
    if outputs.viewer:
        _check_viewer(outputs.viewer)
        sinks.append(rr.GrpcSink(outputs.viewer))
    if outputs.web:
        url = _start_server(outputs, opened)
        opened.url = (
            f"http://{_in_url(outputs.host)}:{outputs.web_port}/?url={quote(url, safe='')}"
        )
        sinks.append(rr.GrpcSink(url))
    elif outputs.native:
        sinks.append(rr.GrpcSink(_start_viewer(opened)))
    stream.set_sinks(*sinks)
    stream.send_recording_name(name)
    return opened


def _check_viewer(url: str) -> None:
    try:
        parts = urlsplit(url)
        if not parts.scheme.startswith("rerun") or not parts.hostname or not parts.port:
            raise ValueError("no address of a viewer")
        socket.create_connection((parts.hostname, parts.port), ANSWER_S).close()
    except (OSError, ValueError) as error:
        raise BrsError(
            f"no viewer answers ({error})",
            where=url,
            remedy=f"start `rerun` there; addresses look like rerun+http://{LOOPBACK}:9876/proxy",
        ) from None


def _start_server(outputs: Outputs, opened: Opened) -> str:
    """Start the server of page and data; returns where data go."""
    for port in (outputs.web_port, outputs.data_port):
        _check_free(outputs.host, port)
    page = f"http://{_in_url(outputs.host)}:{outputs.web_port}"
    arguments = ["--serve-web", "--bind", outputs.host, "--port", str(outputs.data_port)]
    arguments += ["--web-viewer-port", str(outputs.web_port), "--cors-allow-origin", page]
    _start(arguments, outputs.host, (outputs.data_port, outputs.web_port), opened)
    return f"rerun+http://{_in_url(outputs.host)}:{outputs.data_port}/proxy"


def _start_viewer(opened: Opened) -> str:
    """Start the native viewer at a free port; returns where data go."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    arguments = ["--bind", LOOPBACK, "--port", str(port), "--expect-data-soon"]
    _start(arguments, LOOPBACK, (port,), opened)
    return f"rerun+http://{LOOPBACK}:{port}/proxy"


def _start(arguments: list[str], host: str, ports: tuple[int, ...], opened: Opened) -> None:
    import rerun_cli

    program = Path(rerun_cli.__file__).parent / "rerun"
    # A file and no pipe: who would read that once a window stays behind?
    with tempfile.TemporaryFile() as said:
        # In a session of its own: Ctrl-C ends our part, and a window stays for looking around.
        popen = subprocess.Popen(
            [str(program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s and popen.poll() is None:
            with contextlib.suppress(OSError):
                for port in ports:
                    socket.create_connection((host, port), 0.2).close()
                opened.programs.append(popen)
                return
            time.sleep(0.05)
        popen.kill()
        popen.wait()
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    raise BrsError(
        f"rerun's viewer does not start ({lines[-1] if lines else 'it says nothing'})",
        remedy="write a file with --save, or serve a page with --web",
    )


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BrsError(
                f"cannot listen there ({error.strerror})",
                where=f"{host}:{port}",
                remedy="choose others with --host, --web-port and --data-port",
            ) from None


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
