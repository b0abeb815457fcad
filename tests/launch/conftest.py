"""Launch files and little programs made on the spot, and what carries them out."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The package is installed by colcon only; its sources do as well.
sys.path.insert(0, str(ROOT / "ros_ws" / "src" / "brs_launch"))

from brs_launch.runner import Launch  # noqa: E402

# Says `up`, then lives until a signal ends it.
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


class Output:
    """Collects the lines of a launch and waits for one of them."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def __call__(self, name: str, stream: str, line: str) -> None:
        with self._changed:
            self.lines.append((name, line))
            self._changed.notify_all()

    def wait_for(self, text: str, count: int = 1) -> None:
        """Return when `count` lines hold the text; fails the test if they never come."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.count(text) >= count, timeout=30)
        assert came, f"no {text!r} x{count} in {self.lines}"

    def count(self, text: str) -> int:
        return sum(text in line for _, line in self.lines)

    def index(self, text: str) -> int:
        """Number of the first line that holds the text."""
        return next(i for i, (_, line) in enumerate(self.lines) if text in line)


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a launch file whose entities are the given source lines."""

    def write(entities: str, name: str = "test.launch.py", before: str = "") -> Path:
        path = tmp_path / name
        path.write_text(
            "import sys\n"
            "from launch import LaunchDescription\n"
            "from launch.actions import *\n"
            "from launch.conditions import *\n"
            "from launch.event_handlers import *\n"
            "from launch.events import Shutdown as ShutdownEvent\n"
            "from launch.launch_description_sources import *\n"
            "from launch.substitutions import *\n"
            "from launch_ros.actions import *\n"
            "from launch_ros.parameter_descriptions import *\n"
            "from launch_ros.substitutions import *\n"
            f"SLEEPER = [sys.executable, '-c', {SLEEPER!r}]\n"
            "def python(source, **options):\n"
            "    options.setdefault('name', 'program')\n"
            "    return ExecuteProcess(cmd=[sys.executable, '-c', source], "
            "output='screen', **options)\n"
            f"{before}\n"
            "def generate_launch_description():\n"
            f"    return LaunchDescription([{entities}])\n"
        )
        return path

    return write


@pytest.fixture
def start(output: Output) -> Iterator[Callable[..., Launch]]:
    """Starts a launch that is ended, at the latest, when the test is."""
    launches: list[Launch] = []

    def start(path: Path, **arguments: str) -> Launch:
        launch = Launch(str(path), arguments, output)
        launch.start()
        launches.append(launch)
        return launch

    yield start
    for launch in launches:
        launch.shutdown("the test is over")
        launch.hurry()
        launch.wait()


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ament prefix with the launch files of this tree; its nodes print their arguments."""
    folder = tmp_path / "prefix"
    (folder / "share" / "ament_index" / "resource_index" / "packages").mkdir(parents=True)
    for package in ("brs", "brs_nodes"):
        (folder / "share/ament_index/resource_index/packages" / package).touch()
    (folder / "share" / "brs").mkdir()
    for name in ("launch", "config"):
        (folder / "share" / "brs" / name).symlink_to(ROOT / name)
    nodes = folder / "lib" / "brs_nodes"
    nodes.mkdir(parents=True)
    names = ("joylo", "teleop", "robot", "r1_sim", "recorder", "replay", "leader_emulator")
    for name in (*names, "description", "perception", "policy", "anomaly_monitor"):
        program = nodes / name
        program.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, sys\n"
            "for before, word in zip(sys.argv, sys.argv[1:]):\n"
            "    text = pathlib.Path(word).read_text() if before == '--params-file' else word\n"
            "    print(text.replace('\\n', ' '), flush=True)\n"
        )
        program.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(folder))
    return folder
