"""The injectors do to a process what they say, and undo it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

import psutil
import pytest

from brs_sim.faults.cameras import FaultyCamera
from brs_sim.faults.packet_loss import lose_packets
from brs_sim.faults.processes import MemoryHog

COUNTER = """
import socket, sys
ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ear.bind(("127.0.0.1", 0))
print(ear.getsockname()[1], flush=True)
count = 0
while (data := ear.recv(10)) != b"end":
    if data == b"ask":
        print(count, flush=True)
        count = 0
    else:
        count += 1
"""


@pytest.fixture
def listener() -> Iterator[subprocess.Popen[str]]:
    """A process that counts the datagrams that it gets."""
    process = subprocess.Popen([sys.executable, "-c", COUNTER], stdout=-1, text=True)
    yield process
    process.kill()
    process.communicate()


def received(listener: subprocess.Popen[str], port: int, sent: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        for _ in range(sent):
            mouth.sendto(b"x", ("127.0.0.1", port))
            time.sleep(0.0002)  # the listener's buffer is small
        lose_packets(listener.pid, 0.0)
        mouth.sendto(b"ask", ("127.0.0.1", port))
    assert listener.stdout is not None
    return int(listener.stdout.readline())


def test_a_share_of_datagrams_is_lost_until_it_is_mended(
    listener: subprocess.Popen[str], refused: Callable[[str], NoReturn]
) -> None:
    assert listener.stdout is not None
    port = int(listener.stdout.readline())
    assert received(listener, port, 200) == 200
    try:
        assert lose_packets(listener.pid, 0.3) == 1
    except PermissionError as error:
        refused(str(error))
    # Five standard deviations of a binomial distribution about 700.
    assert 628 < received(listener, port, 1000) < 772
    assert received(listener, port, 200) == 200
    with pytest.raises(ValueError, match=r"1\.5"):
        lose_packets(listener.pid, 1.5)


def test_the_memory_hog_takes_a_gibibyte_and_gives_it_back() -> None:
    hog = MemoryHog()
    before = {child.pid for child in psutil.Process().children()}
    hog.start()
    (process,) = [child for child in psutil.Process().children() if child.pid not in before]
    assert process.rlimit(psutil.RLIMIT_AS) == (2 << 30, 2 << 30)
    deadline_s = time.monotonic() + 30.0
    while process.memory_info().rss < 0.5 * 2**30:
        assert time.monotonic() < deadline_s, "it takes no memory"
        time.sleep(0.01)
    hog.stop()
    assert not process.is_running()
    hog.stop()


def test_a_frozen_camera_is_told_of_and_streams_again() -> None:
    camera = FaultyCamera()
    camera.stream.start()
    try:
        for spoil, mend, says in (
            (lambda: camera.freeze(True), lambda: camera.freeze(False), "is frozen"),
            (lambda: camera.plug(False), lambda: camera.plug(True), "is unplugged"),
        ):
            assert camera.stream.take(10.0) is not None
            camera.said.clear()
            spoil()
            _until(lambda says=says: any(says in line for line in camera.said))
            mend()
            _until(lambda: "streams again" in camera.said[-1])
    finally:
        camera.stream.stop()


def _until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30.0
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
