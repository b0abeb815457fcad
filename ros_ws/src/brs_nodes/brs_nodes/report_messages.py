"""What nodes tell of themselves and of the scene, as messages, live and without nodes.

Stamps are seconds of the clock that the episode or the node goes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from brs_interfaces.msg import SafetyEvent, SafetyState, TaskState, TeleopState
from visualization_msgs.msg import Marker, MarkerArray

from brs_hardware.safety import SafetyVerdict
from brs_hardware.safety.supervisor import SafetySupervisor
from brs_hardware.teleop import TeleopOutput
from brs_nodes.conversions import to_time

if TYPE_CHECKING:  # a real robot's nodes load no simulator
    from brs_sim.tasks import TaskStatus

_MARKER_M = 0.08


def teleop_message(stamp_s: float, output: TeleopOutput) -> TeleopState:
    """How far the leader drives the robot, and why not."""
    message = TeleopState(
        state=int(output.engagement),
        alignment_error_rad=output.alignment_error_rad,
        worst_joint=output.worst_joint,
        message=output.message,
    )
    message.header.stamp = to_time(stamp_s)
    return message


def safety_message(
    stamp_s: float,
    supervisor: SafetySupervisor,
    verdict: SafetyVerdict,
    command_age_s: float,
    feedback_age_s: float,
) -> SafetyState:
    """What the rules made of a tick.

    Args:
        stamp_s: of the tick [s].
        supervisor: that gave the verdict.
        verdict: of this tick.
        command_age_s: of the newest command [s].
        feedback_age_s: of the robot's state [s]; -1 if there is none.
    """
    message = SafetyState(
        mode=int(supervisor.mode),
        source=supervisor.source,
        holding=verdict.holding,
        command_age_s=command_age_s,
        feedback_age_s=feedback_age_s,
        events=[
            SafetyEvent(
                rule=event.rule,
                severity=int(event.severity),
                part=event.part,
                message=event.message,
            )
            for event in verdict.events
        ],
    )
    message.header.stamp = to_time(stamp_s)
    return message


def task_message(stamp_s: float, task: str, seed: int, status: TaskStatus) -> TaskState:
    """Progress of a task in the scene of a seed."""
    message = TaskState(
        task=task,
        seed=seed,
        subtasks=list(status.subtasks),
        done=list(status.done),
        success=status.success,
        time_s=status.time_s,
    )
    message.header.stamp = to_time(stamp_s)
    return message


def objects_message(
    stamp_s: float, objects: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> MarkerArray:
    """Ground truth of the scene, for operators, evaluation and RViz.

    Args:
        stamp_s: of all markers [s].
        objects: name -> (3,) position [m] and (4,) quaternion w, x, y, z in `odom`.
    """
    message = MarkerArray()
    for number, (name, (position, rotation)) in enumerate(objects.items()):
        marker = Marker(ns=name, id=number, type=Marker.CUBE)
        marker.header.stamp, marker.header.frame_id = to_time(stamp_s), "odom"
        point, turn = marker.pose.position, marker.pose.orientation
        point.x, point.y, point.z = map(float, position)
        turn.w, turn.x, turn.y, turn.z = map(float, rotation)
        marker.scale.x = marker.scale.y = marker.scale.z = _MARKER_M
        marker.color.r, marker.color.a = 0.8, 1.0
        message.markers.append(marker)
    return message
