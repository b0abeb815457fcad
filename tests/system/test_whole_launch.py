"""teleop.launch.py as a person runs it: a killed node returns disarmed, Ctrl-C loses nothing."""

from __future__ import annotations

import signal
import sys
import tempfile

import psutil
import pytest
from brs_interfaces.msg import EpisodeState, SafetyState, TeleopState
from brs_interfaces.srv import StartEpisode
from harness import LATCHED, Harness

from brs_ml.episode import EpisodeReader


def nodes_of(launch: psutil.Process) -> dict[str, psutil.Process]:
    """Executable name -> process, of all that the launch started."""
    found = {}
    for child in launch.children(recursive=True):
        for argument in child.cmdline():
            if "/lib/brs_nodes/" in argument:
                found[argument.rsplit("/", 1)[1]] = child
    return found


def test_killed_robot_node_and_ctrl_c(ros: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = ros.folder / "episodes"
    with tempfile.TemporaryDirectory(prefix="brs") as runtime:
        monkeypatch.setenv("BRS_RUNTIME_DIR", runtime)
        launch = ros.start(
            "launch",
            [
                *(sys.executable, "-m", "brs_cli.main", "launch", "teleop.launch.py"),
                *("sim:=true", "leader:=script", "record:=true", f"episodes:={episodes}"),
            ],
        )
        safety = ros.collect(SafetyState, "robot/safety", LATCHED)
        teleop = ros.collect(TeleopState, "teleop/state", LATCHED)
        recorder = ros.collect(EpisodeState, "episode/state", LATCHED)
        ros.wait_for(
            lambda: safety and 0 <= safety[-1].feedback_age_s < 0.1 and recorder, "the nodes"
        )
        request = StartEpisode.Request(task="shelves", operator_name="test")
        assert ros.call(StartEpisode, "episode/start", request).success
        ros.arm()
        ros.wait_for(lambda: teleop[-1].state == TeleopState.ENGAGED, "the script to engage")

        nodes = nodes_of(psutil.Process(launch.popen.pid))
        assert set(nodes) >= {"robot", "teleop", "joylo", "r1_sim", "recorder", "leader_emulator"}
        nodes["robot"].send_signal(signal.SIGKILL)
        ros.wait_for(lambda: safety[-1].mode == SafetyState.DISARMED, "the robot node to return")
        seen = len(safety)
        ros.wait_for(lambda: len(safety) > seen + 5, "it to stay disarmed")
        assert all(state.mode == SafetyState.DISARMED for state in safety[seen:])
        ros.arm()
        ros.wait_for(lambda: not safety[-1].holding, "the robot to follow again")

        nodes = nodes_of(psutil.Process(launch.popen.pid))
        assert launch.stop(signal.SIGINT) == 0, launch.output
        assert not [name for name, node in nodes.items() if node.is_running()]
    (bag,) = [path for path in episodes.iterdir() if path.name != "trash"]
    reader = EpisodeReader(bag)
    counts = {topic.name: count for topic, count in reader.counts.items()}
    assert counts["/teleop/command"] > 10 and counts["/robot/state"] > 100
    # What a viewer needs to show the bag, also what was published before the episode.
    assert counts["/tf"] > 30 and counts["/tf_static"] >= 1 and counts["/robot_description"] >= 1
    assert not reader.torn
