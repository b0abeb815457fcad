"""Starts real node executables and talks to them; waits for what shall happen, never sleeps."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from brs_interfaces.srv import Arm
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from brs_nodes.common import make_executor

ROOT = Path(__file__).resolve().parents[2]
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Generous, because a loaded machine is slow; what succeeds does not wait for it.
PATIENCE_S = 30.0


class Process:
    """A started node; its output is kept in a file and shown when something fails."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.popen, self.log = name, popen, log

    @property
    def output(self) -> str:
        """All it has said so far."""
        return self.log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Its exit status, once it ends by itself."""
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end; it said:\n{self.output}") from None

    def stop(self, number: int = signal.SIGINT, timeout_s: float = PATIENCE_S) -> int:
        """Send a signal and wait for the end."""
        if self.running:
            self.popen.send_signal(number)
        return self.wait(timeout_s)


class Harness:
    """One test's ROS: an own domain, one node for the test, and the processes it starts."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.processes: list[Process] = []
        self._domain_lock, domain = _free_domain()
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        monkeypatch.setenv("ROS_LOG_DIR", str(folder / "log"))
        self.context = rclpy.Context()

    def __enter__(self) -> Harness:
        rclpy.init(context=self.context, args=[])
        self.node: Node = rclpy.create_node("test", context=self.context)
        self.executor = make_executor(self.context)
        self.executor.add_node(self.node)
        return self

    def __exit__(self, *_: Any) -> None:
        for process in self.processes:
            if process.running:
                process.popen.send_signal(signal.SIGINT)
        for process in self.processes:
            try:
                process.popen.wait(10)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)
        self._domain_lock.close()

    def start_node(
        self,
        executable: str,
        parameters: dict[str, Any] | None = None,
        *,
        namespace: str = "",
        remap: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> Process:
        """Start `lib/brs_nodes/<executable>` of the workspace, as a launch file would."""
        name = f"{executable}{len(self.processes)}"
        command = [str(ROOT / "ros_ws" / "install" / "lib" / "brs_nodes" / executable)]
        command += [*arguments, "--ros-args"]
        if parameters:
            path = self.folder / f"{name}.yaml"
            path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
            command += ["--params-file", str(path)]
        if namespace:
            command += ["-r", f"__ns:=/{namespace.strip('/')}"]
        for source, target in (remap or {}).items():
            command += ["-r", f"{source}:={target}"]
        return self.start(name, command, env, stdin)

    def start(
        self,
        name: str,
        command: list[str],
        env: dict[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> Process:
        """Start any program in this test's domain."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=stdin,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
                cwd=self.folder,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def wait_for(
        self,
        predicate: Callable[[], Any],
        what: str = "",
        timeout_s: float = PATIENCE_S,
        tick: Callable[[], None] | None = None,
    ) -> Any:
        """Spin the test's node until the predicate is true; returns what it returned.

        Args:
            predicate: asked after every spin.
            what: named in the failure.
            timeout_s: patience [s].
            tick: done after every spin, e.g. publish; every 5 ms at least.
        """
        deadline_s = time.monotonic() + timeout_s
        while not (result := predicate()):
            if time.monotonic() > deadline_s:
                said = "\n".join(f"--- {p.name}\n{p.output}" for p in self.processes)
                raise AssertionError(f"waited {timeout_s:g} s for {what or predicate}\n{said}")
            self.executor.spin_once(timeout_sec=0.005)
            if tick is not None:
                tick()
        return result

    def collect(self, message_type: Any, topic: str, qos: Any = 10) -> list[Any]:
        """A list that fills with what arrives on a topic while the test spins."""
        messages: list[Any] = []
        self.node.create_subscription(message_type, topic, messages.append, qos)
        return messages

    def arm(self) -> None:
        """Arm the robot as a person does: where it is refused, for a stall, try again."""
        request = Arm.Request(arm=True)
        self.wait_for(lambda: self.call(Arm, "robot/arm", request).success, "arming")

    def call(self, service_type: Any, name: str, request: Any) -> Any:
        """The response of a service, once it is there."""
        client = self.node.create_client(service_type, name)
        self.wait_for(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        self.wait_for(future.done, f"an answer of {name}")
        self.node.destroy_client(client)
        return future.result()


def _free_domain() -> tuple[socket.socket, int]:
    """A domain id that no other test run on this machine holds.

    The claim is a bound abstract socket, so it ends with the process, however that ends.
    """
    for domain in range(1, 101):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0brs-test-domain-{domain}")
            return claim, domain
        except OSError:
            claim.close()
    raise AssertionError("all DDS domains are taken by other test runs")
