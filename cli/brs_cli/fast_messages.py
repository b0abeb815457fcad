"""Reports of the live stack's nodes about a simulated episode, as messages."""

from __future__ import annotations

from brs_interfaces.msg import SafetyEvent, SafetyState, TaskState, TeleopState
from visualization_msgs.msg import Marker, MarkerArray

from brs_hardware.safety import SafetyVerdict
from brs_hardware.safety.supervisor import SafetySupervisor
from brs_hardware.teleop import TeleopOutput
from brs_nodes.conversions import to_time
from brs_sim.world import World

_MARKER_M = 0.08


def teleop_message(stamp_s: float, output: TeleopOutput) -> TeleopState:
    """What node `teleop` tells of itself."""
    message = TeleopState(
        state=int(output.engagement),
        alignment_error_rad=output.alignment_error_rad,
        worst_joint=output.worst_joint,
        message=output.message,
    )
    message.header.stamp = to_time(stamp_s)
    return message


def safety_message(
    stamp_s: float, now_s: float, supervisor: SafetySupervisor, verdict: SafetyVerdict
) -> SafetyState:
    """What node `robot` tells of its rules; feedback is of this moment.

    Args:
        stamp_s: for the header [s].
        now_s: the supervisor's time [s].
        supervisor: that gave the verdict.
        verdict: of this tick.
    """
    message = SafetyState(
        mode=int(supervisor.mode),
        source=supervisor.source,
        holding=verdict.holding,
        command_age_s=supervisor.command_age_s(now_s),
        feedback_age_s=0.0,
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


def task_message(stamp_s: float, world: World) -> TaskState:
    """Progress of the task, as node `r1_sim` tells it."""
    status = world.task_status()
    message = TaskState(
        task=world.task_name,
        seed=world.seed,
        subtasks=list(status.subtasks),
        done=list(status.done),
        success=status.success,
        time_s=status.time_s,
    )
    message.header.stamp = to_time(stamp_s)
    return message


def objects_message(stamp_s: float, world: World) -> MarkerArray:
    """Where all things are in `odom`, as node `r1_sim` tells it."""
    message = MarkerArray()
    for number, (name, (position, rotation)) in enumerate(world.objects().items()):
        marker = Marker(ns=name, id=number, type=Marker.CUBE)
        marker.header.stamp, marker.header.frame_id = to_time(stamp_s), "odom"
        point, turn = marker.pose.position, marker.pose.orientation
        point.x, point.y, point.z = map(float, position)
        turn.w, turn.x, turn.y, turn.z = map(float, rotation)
        marker.scale.x = marker.scale.y = marker.scale.z = _MARKER_M
        marker.color.r, marker.color.a = 0.8, 1.0
        message.markers.append(marker)
    return message
