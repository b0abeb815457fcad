"""Every fault of the table, and what one of them does to the running stack."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from brs_interfaces.msg import EpisodeState
from brs_interfaces.srv import StartEpisode, StopEpisode

from brs_cli.fault_flood import Flood
from brs_cli.fault_rig import LEASE_S, NODES, PATIENCE_S, Rig
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeError, EpisodeReader
from brs_sim.faults import Fault, Sign
from brs_sim.faults.cameras import camera_faults
from brs_sim.faults.leader import leader_faults
from brs_sim.faults.packet_loss import lose_packets
from brs_sim.faults.processes import disk_fault, process_faults

PACKET_LOSS = 0.3
CLOCK_JUMP_S = 2.0
# A fault that stops nothing is left in place for so long.
LASTS_S = 3.0
# What was recorded this long ago is on the disk.
FLUSH_S = 2.0
# Rest is rest once it has lasted.
RESTS_S = 0.3


@dataclass
class Outcome:
    """One row of the table, measured."""

    name: str
    title: str
    reaction: str
    seen: bool = False  # whether the stack told of it
    still_s: float | None = None  # from the fault to rest; None where nothing shall stop
    follows: float | None = None  # share of the time, where nothing shall stop
    lost: int | None = None  # messages that the recorder missed; None where it was killed
    lost_topics: dict[str, int] = field(default_factory=dict)  # of which topics
    lost_by_fault: int = 0  # of others, which the fault itself consists of
    unsafe: int = 0  # commands that the monitor objects to
    slowest_stop_ms: float = 0.0  # last good command to the step that stops the base
    longest_pause_ms: float = 0.0  # for which the robot node was kept from running in a stop
    recovery_s: float | None = None  # from healing to driving on
    problem: str = ""
    skipped: str = ""  # why the system did not allow it


@dataclass(frozen=True)
class Kind:
    """Faults that want the same sort of rig."""

    faults: Callable[[Rig], list[Fault]]
    options: dict[str, bool]  # of the rig


def kinds() -> dict[str, Kind]:
    """All faults there are, by the rig that they need."""
    return {
        "stack": Kind(stack_faults, {}),
        "network": Kind(network_faults, {"network": True}),
        "clock": Kind(clock_faults, {"simulated_time": True}),
    }


def stack_faults(rig: Rig) -> list[Fault]:
    """Faults on one host."""
    faults = [
        *leader_faults(rig.leader),
        *process_faults(rig.pid),
        *camera_faults(rig.camera),
        *command_faults(rig),
    ]
    if rig.disk is not None:
        faults.append(disk_fault(rig.disk))
    return faults


def command_faults(rig: Rig) -> list[Fault]:
    """Commands that should not come, on the topic of a selected source."""

    def prepare(flood: Flood) -> Callable[[], None]:
        def start() -> None:
            known = rig.watch.publishers("teleop")
            flood.prepare()
            # The robot may hear it from its first message on: so must who judges the robot.
            rig.wait(
                "the monitor to find the flood",
                lambda: rig.watch.publishers("teleop") - known,
                PATIENCE_S,
            )

        return start

    wrong = Flood("--source", "policy")
    right = Flood()
    nan = Flood("--not-a-number", "--rate-hz", "1000")
    return [
        Fault(
            "flood_wrong_source",
            "command flood, 10 kHz, of another source",
            "none of it is followed; the robot drives on or holds",
            wrong.start,
            wrong.stop,
            Sign.LOG,
            "carries a command of 'policy'; ignored",
            prepare=prepare(wrong),
            stops=False,
            loses="/teleop/command",
        ),
        Fault(
            "flood",
            "command flood, 10 kHz, of the selected source",
            "a steady stream within all limits leaves the robot node",
            right.start,
            right.stop,
            prepare=prepare(right),
            stops=False,
            loses="/teleop/command",
        ),
        Fault(
            "not_a_number",
            "NaN in commands, 1 kHz",
            "robot holds while they come",
            nan.start,
            nan.stop,
            Sign.SAFETY,
            "not_a_number",
            prepare=prepare(nan),
            loses="/teleop/command",
        ),
    ]


def network_faults(rig: Rig) -> list[Fault]:
    """Faults between hosts; wants a rig that talks by UDP."""
    return [
        Fault(
            "packet_loss",
            f"{PACKET_LOSS:.0%} packet loss",
            "goes on; states and commands are repeated, samples are not",
            lambda: [lose_packets(rig.pid(node), PACKET_LOSS) for node in NODES],
            lambda: [lose_packets(rig.pid(node), 0.0) for node in NODES],
            stops=False,
            loses="*",
        ),
        Fault(
            "participant_lost",
            "DDS participant lost (teleop falls silent beyond its lease)",
            "robot holds; they find each other again",
            lambda: os.kill(rig.pid("teleop"), signal.SIGSTOP),
            lambda: os.kill(rig.pid("teleop"), signal.SIGCONT),
            Sign.SAFETY,
            "command_stale",
            lasts_s=LEASE_S + 2.0,
            loses="*",
        ),
    ]


def clock_faults(rig: Rig) -> list[Fault]:
    """The workstation's clock moves against the robot's; wants a rig in simulated time."""

    def move(ahead_s: float) -> Callable[[], None]:
        return lambda: setattr(rig, "clock_ahead_s", ahead_s)

    return [
        Fault(
            "clock_ahead",
            f"clock jumps {CLOCK_JUMP_S:g} s ahead",
            "robot holds: measurements are too old; goes on when it is set right",
            move(CLOCK_JUMP_S),
            move(0.0),
            Sign.SAFETY,
            "feedback_stale",
        ),
        Fault(
            "clock_back",
            f"clock jumps {CLOCK_JUMP_S:g} s back",
            "robot holds: measurements are of the future; goes on when it is set right",
            move(-CLOCK_JUMP_S),
            move(0.0),
            Sign.SAFETY,
            "clock",
        ),
    ]


def go_through(rig: Rig, fault: Fault) -> Outcome:
    """Drive, record, break it, see it stop, mend it, drive on.

    Returns:
        What happened; `problem` says in one line what should not have.
    """
    outcome = Outcome(fault.name, fault.title, fault.reaction)
    monitor = rig.watch.monitor
    before = monitor.counts.total()
    try:
        rig.wait_driving()
        _record(rig, fault.name)
        try:
            fault.prepare()
            if not fault.records:
                rig.spin(FLUSH_S)
            rig.wait_driving()
            monitor.slowest_stop_s = monitor.longest_pause_s = 0.0
            _suffer(rig, fault, outcome)
        finally:
            fault.heal()
        healed_s = time.time()
        rig.wait_driving()
        outcome.recovery_s = round(time.time() - healed_s, 2)
        _save(rig, fault, outcome)
    except PermissionError as error:
        outcome.skipped = str(error)
    except (BrsError, EpisodeError) as error:
        outcome.problem = str(error)
    outcome.unsafe = monitor.counts.total() - before
    outcome.slowest_stop_ms = round(1e3 * monitor.slowest_stop_s, 1)
    outcome.longest_pause_ms = round(1e3 * monitor.longest_pause_s, 1)
    if outcome.unsafe and not outcome.problem:
        newest = monitor.violations[-1]
        outcome.problem = f"unsafe: {newest.part} {newest.rule}: {newest.message}"
    return outcome


def _suffer(rig: Rig, fault: Fault, outcome: Outcome) -> None:
    """Inject, and wait until the stack has told of it and stands as it should."""
    rig.forget()
    injected_s = time.time()
    fault.inject()
    if fault.sign is not Sign.NOWHERE:
        rig.wait(
            f"{fault.sign.value} to tell of '{fault.text}'",
            lambda: rig.has_heard(fault.sign, fault.text),
            PATIENCE_S,
        )
    outcome.seen = True
    if not fault.stops:
        follows = []
        end_s = time.time() + LASTS_S
        while time.time() < end_s:
            rig.spin(0.02)
            follows.append(not rig.state["robot/safety"].holding)
        outcome.follows = round(sum(follows) / len(follows), 2)
        return

    def rests() -> bool:
        since_s = rig.watch.still_since(commanded=fault.commanded, measured=fault.measured)
        return since_s is not None and time.time() - max(since_s, injected_s) > RESTS_S

    rig.wait("the base to stand", rests, PATIENCE_S)
    since_s = rig.watch.still_since(commanded=fault.commanded, measured=fault.measured)
    assert since_s is not None
    outcome.still_s = round(max(since_s - injected_s, 0.0), 3)
    rig.spin(fault.lasts_s)


def _record(rig: Rig, name: str) -> None:
    """Begin an episode; what an earlier fault left behind is thrown away."""

    def state() -> int | None:
        episode = rig.state.get("episode/state")
        return None if episode is None else int(episode.state)

    rig.wait("the recorder", lambda: state() is not None, PATIENCE_S)
    if state() != EpisodeState.IDLE:
        discard = StopEpisode.Request(action=StopEpisode.Request.DISCARD)
        rig.call(StopEpisode, "episode/stop", discard)
    start = StartEpisode.Request(task=name, operator_name="soak")
    rig.call(StartEpisode, "episode/start", start, PATIENCE_S)


def _save(rig: Rig, fault: Fault, outcome: Outcome) -> None:
    """Save the episode, count what it lacks, read it once and throw it away.

    Raises:
        BrsError: the recorder refuses, or what it kept is not whole.
        EpisodeError: what was kept cannot be read.
    """
    if fault.records:
        answer = rig.save_episode(task_success=False)
        paths, outcome.lost = [Path(answer.path)], int(answer.lost)
        if outcome.lost:
            rig.wait("the recorder's losses", rig.losses_known, PATIENCE_S)
            outcome.lost_topics = dict(rig.losses)
        if fault.loses and outcome.lost:
            own = rig.losses if fault.loses == "*" else {fault.loses}
            outcome.lost_by_fault = sum(rig.losses.get(topic, 0) for topic in own)
            outcome.lost = sum(rig.losses.values()) - outcome.lost_by_fault
    else:
        paths = [path for path in rig.episodes.iterdir() if path.name != "trash"]
        del rig.state["episode/state"]  # of the one that died
    for path in paths:
        reader = EpisodeReader(path)
        torn = reader.torn and fault.sign is not Sign.RECORDER  # it had no room for an end
        if torn or not sum(reader.counts.values()):
            raise BrsError("the episode is not whole", where=str(path))
        shutil.rmtree(path)
