"""Every household task behind the vendor's topics: `r1_sim` with `task:=<name>`."""

from __future__ import annotations

import pytest
from brs_interfaces.msg import TaskState
from harness import LATCHED, Harness
from visualization_msgs.msg import MarkerArray

from brs_hardware.embodiment import load_embodiment
from brs_sim.tasks import make_task, task_names


@pytest.mark.parametrize("name", [n for n in task_names() if n != "shelves"])
def test_r1_sim_serves_the_task(ros: Harness, name: str) -> None:
    ros.start_node("r1_sim", {"task": name, "seed": 2, "camera_hz": 0.0})
    states = ros.collect(TaskState, "sim/task", LATCHED)
    objects = ros.collect(MarkerArray, "sim/objects", 10)
    ros.wait_for(lambda: states and objects, "progress and objects of the task")
    task = make_task(name, load_embodiment("r1"), 2)
    assert (states[-1].task, states[-1].seed) == (name, 2)
    assert tuple(states[-1].subtasks) == task.subtasks
    assert not any(states[-1].done)
    told = [marker.ns for marker in objects[-1].markers]
    assert told == [*task.objects, *task.fixtures]


def test_unknown_task_ends_the_node_in_one_line(ros: Harness) -> None:
    node = ros.start_node("r1_sim", {"task": "thrash", "camera_hz": 0.0})
    assert node.wait() != 0
    assert "did you mean trash" in node.output
    assert "Traceback" not in node.output
