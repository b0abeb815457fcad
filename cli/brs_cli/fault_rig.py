"""The whole stack on an emulated leader, with a hand to drive it and a monitor to watch it."""

from __future__ import annotations

import ast
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import Any

from brs_interfaces.msg import EpisodeState, SafetyState, TeleopState, WholeBodyState
from brs_interfaces.srv import Arm
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock

from brs_cli.environment import ROOT
from brs_cli.fault_hand import Hand
from brs_cli.fault_watch import Watch
from brs_cli.session import Session
from brs_hardware.embodiment import load_embodiment
from brs_hardware.joylo import load_leader
from brs_nodes import conversions
from brs_nodes.common import LATCHED, NEWEST, Inbox, Priority, set_priority
from brs_sim.emulators.joylo import EmulatedJoyLo
from brs_sim.faults import Sign
from brs_sim.faults.cameras import FaultyCamera
from brs_sim.faults.processes import SmallDisk

NODES = ("r1_sim", "joylo", "teleop", "robot", "recorder")
HAND_HZ = 50.0
ARM_EVERY_S = 1.0
PATIENCE_S = 40.0
LEASE_S = 3
# Datagrams only, on this host only; a silent participant is given up after 3 s, not 20.
NETWORK_PROFILE = f"""<?xml version="1.0" encoding="UTF-8" ?>
<dds xmlns="http://www.eprosima.com"><profiles>
  <transport_descriptors><transport_descriptor>
    <transport_id>udp</transport_id><type>UDPv4</type>
    <interfaceWhiteList><address>127.0.0.1</address></interfaceWhiteList>
  </transport_descriptor></transport_descriptors>
  <participant profile_name="lossy" is_default_profile="true"><rtps>
    <userTransports><transport_id>udp</transport_id></userTransports>
    <useBuiltinTransports>false</useBuiltinTransports>
    <builtin><discovery_config>
      <leaseDuration><sec>{LEASE_S}</sec></leaseDuration>
      <leaseAnnouncement><sec>1</sec></leaseAnnouncement>
    </discovery_config></builtin>
  </rtps></participant>
</profiles></dds>
"""


class Rig(Session):
    """Simulator, leader, teleop, robot and recorder, restarted by the launch when they die.

    While it is spun, a hand drives, a person arms the robot whenever it may be armed, and the
    monitor reads all vendor commands.

    Args:
        network: let DDS use UDP only, so that packets can be lost.
        simulated_time: all but the simulator follow a clock that can be moved: `clock_ahead_s`.
    """

    def __init__(self, *, network: bool = False, simulated_time: bool = False) -> None:
        # Unix sockets want short paths.
        self.folder = Path(tempfile.mkdtemp(prefix="brs"))
        self.disk, self.no_disk = _small_disk(self.folder / "disk")
        self.episodes = self.folder / "disk" / "episodes"
        arguments = {
            "episodes": str(self.episodes),
            "use_sim_time": str(simulated_time).lower(),
        }
        super().__init__(str(ROOT / "launch" / "faults.launch.py"), arguments, self._hear_line)
        self._environment = {"BRS_RUNTIME_DIR": str(self.folder)}
        if network:
            profile = self.folder / "network.xml"
            profile.write_text(NETWORK_PROFILE)
            kind = "FASTRTPS" if os.environ.get("ROS_DISTRO") == "humble" else "FASTDDS"
            self._environment[f"{kind}_DEFAULT_PROFILES_FILE"] = str(profile)
            # For LOCALHOST the middleware adds shared memory to whatever a profile says.
            self._environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SYSTEM_DEFAULT"
        self._simulated_time = simulated_time
        self._switch_interval_s = sys.getswitchinterval()
        self.clock_ahead_s = 0.0
        self.robot = load_embodiment("r1")
        self.heard: dict[Sign, list[str]] = defaultdict(list)
        self.measured: Any = None  # newest WholeBodyState of the robot node
        self.losses: dict[str, int] = {}  # of the recorder, by topic
        self._asked_s = 0.0
        self._arming: Any = None

    def __enter__(self) -> Rig:
        kept = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        try:
            leader = load_leader("joylo_emulated")
            super().__enter__()  # its processes inherit the environment
        finally:
            for name, value in kept.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        # From here on, not before, so that the launched processes do not inherit it: motors and
        # thumbs answer at once, and the monitor hears all, whatever else the computer does.
        set_priority(Priority.CONTROL, every_thread=True)
        sys.setswitchinterval(0.0005)
        self.leader = EmulatedJoyLo(leader)
        self.leader.start()
        self.hand = Hand(self.leader, self.robot)
        self.camera = FaultyCamera()
        self.watch = Watch(self._context, self.robot, stamped=not self._simulated_time)
        self._inbox = Inbox(self.node)
        self._state_in = self._inbox.newest(WholeBodyState, "robot/state", NEWEST)
        self._arm: Any = self.node.create_client(Arm, "robot/arm")
        for kind, topic, listen in (
            (TeleopState, "teleop/state", self._hear_teleop),
            (SafetyState, "robot/safety", self._hear_safety),
            (EpisodeState, "episode/state", self._hear_recorder),
        ):
            self.node.create_subscription(kind, topic, listen, LATCHED)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._hear_diagnostics, 50)
        if self._simulated_time:
            self._clock = self.node.create_publisher(Clock, "/clock", 10)
            self.node.create_subscription(Clock, "sim/clock", self._pass_clock, 10)
        self.node.create_timer(1.0 / HAND_HZ, self._act)
        self.camera.stream.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.camera.stream.stop()
        self.watch.close()
        self._inbox.close()
        super().__exit__(kind, error, trace)
        self.leader.stop()
        set_priority(Priority.NORMAL, every_thread=True)
        sys.setswitchinterval(self._switch_interval_s)
        if self.disk is not None:
            self.disk.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what goes on while it is spun -----------------------------------------------------

    def _act(self) -> None:
        now_s = time.time()
        self.watch.take(now_s)
        self.heard[Sign.CAMERA] = self.camera.said
        if (message := self._state_in()) is not None:
            self.measured = conversions.state_from_message(message)
        safety, teleop = self.state.get("robot/safety"), self.state.get("teleop/state")
        if safety is None or teleop is None or self.measured is None:
            return
        if safety.mode == SafetyState.ARMED:
            self.hand.act(now_s, self.measured, teleop)
        else:
            self.hand.rest()
            self._arm_again(now_s)

    def _arm_again(self, now_s: float) -> None:
        """As a person, look at the robot and arm it; where that is refused, try again."""
        if now_s - self._asked_s > ARM_EVERY_S and self._arm.service_is_ready():
            self._asked_s = now_s
            self._arming = self._arm.call_async(Arm.Request(arm=True))

    def _pass_clock(self, message: Clock) -> None:
        moved_s = conversions.to_seconds(message.clock) + self.clock_ahead_s
        self._clock.publish(Clock(clock=conversions.to_time(moved_s)))

    def _hear_line(self, process: str, line: str) -> None:
        self.heard[Sign.LOG].append(f"[{process}] {line}")

    def _hear_teleop(self, message: TeleopState) -> None:
        self.heard[Sign.TELEOP].append(message.message)

    def _hear_safety(self, message: SafetyState) -> None:
        for event in message.events:
            self.heard[Sign.SAFETY].append(f"{event.rule}: {event.message}")

    def _hear_recorder(self, message: EpisodeState) -> None:
        self.heard[Sign.RECORDER].append(message.message)

    def _hear_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for pair in status.values:
                if status.name == "/recorder" and pair.key == "lost by topic":
                    self.losses = ast.literal_eval(pair.value)

    # -- questions -------------------------------------------------------------------------

    def forget(self) -> None:
        """Only what is heard from now on counts."""
        self.camera.said.clear()
        for lines in self.heard.values():
            lines.clear()

    def has_heard(self, sign: Sign, text: str) -> bool:
        """Whether the stack has told of it."""
        return any(text in line for line in self.heard[sign])

    def drives(self) -> bool:
        """Whether the robot follows and the base moves at speed."""
        safety, teleop = self.state.get("robot/safety"), self.state.get("teleop/state")
        return (
            self.measured is not None
            and safety is not None
            and teleop is not None
            and safety.mode == SafetyState.ARMED
            and not safety.holding
            and teleop.state == TeleopState.ENGAGED
            and abs(self.measured.base_velocity[0]) > 0.2
        )

    def wait_driving(self, timeout_s: float = PATIENCE_S) -> None:
        """Until the robot follows and drives. Raises BrsError: it does not, with the log."""
        self.wait("the robot to drive", self.drives, timeout_s)

    def losses_known(self) -> bool:
        """Whether the recorder has told of which topics it lost what."""
        return sum(self.losses.values()) >= self.state["episode/state"].lost

    def pid(self, node: str) -> int:
        """Process id of a node. Raises BrsError: it does not run."""
        return self.process(node)


def _small_disk(folder: Path) -> tuple[SmallDisk | None, str]:
    """A disk that can be filled, or why there is none."""
    try:
        return SmallDisk(folder), ""
    except PermissionError as error:
        folder.mkdir(parents=True, exist_ok=True)
        return None, str(error)
