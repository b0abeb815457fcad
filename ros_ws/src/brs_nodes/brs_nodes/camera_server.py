"""The cameras of one machine: read, published and handed on, each in threads of its own."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node

from brs_hardware.cameras import CameraFrame, CameraRig, CameraStream, make_camera
from brs_hardware.cameras.quality import FrameQuality
from brs_nodes.camera_topics import CameraPublisher, Rates
from brs_nodes.common import log, now_s

# Ours, but not of brs_hardware, which knows no simulator.
SIMULATED = {"sim": "brs_sim.emulators.cameras"}


class CameraServer:
    """One thread a camera reads the device, and brings it back when it went away; another
    publishes the newest frame. So neither a slow device nor a slow network holds up another.

    Args:
        node: that publishes.
        rig: the cameras.
        rates: of what is published.
        hand_on: gets every frame in the reading thread; must be quick.
        count: told the name of a camera for each frame that was published.
    """

    def __init__(
        self,
        node: Node,
        rig: CameraRig,
        rates: Rates,
        hand_on: Callable[[str, CameraFrame], None],
        count: Callable[[str], None],
    ) -> None:
        for driver in {config.driver for config in rig.cameras.values()} & SIMULATED.keys():
            importlib.import_module(SIMULATED[driver])
        self._count, self._closing = count, threading.Event()
        self.streams = {
            name: CameraStream(
                make_camera(name, config, partial(now_s, node)),
                partial(log, node),
                partial(hand_on, name),
            )
            for name, config in rig.cameras.items()
        }
        self._qualities = {name: FrameQuality(c.quality) for name, c in rig.cameras.items()}
        self._publishers = {name: CameraPublisher(node, name, rates) for name in rig.cameras}
        self._threads = [
            threading.Thread(target=self._publish_all, args=(name,), daemon=True)
            for name in rig.cameras
        ]

    def start(self) -> None:
        """Begin to stream."""
        for stream in self.streams.values():
            stream.start()
        for thread in self._threads:
            thread.start()

    def _publish_all(self, name: str) -> None:
        while not self._closing.is_set():
            frame = self.streams[name].take(0.2)
            if frame is None or self._closing.is_set():
                continue
            self._qualities[name].look(frame)
            if self._publishers[name].publish(frame):
                self._count(name)

    def summary(self, now: float) -> tuple[int, str, dict[str, Any]]:
        """Level, line and values for /diagnostics."""
        health = {name: stream.health(now) for name, stream in self.streams.items()}
        values: dict[str, Any] = {}
        for name, camera in health.items():
            values[f"{name} age [s]"] = f"{camera.age_s:.3f}"
            values[f"{name} frozen"] = camera.frozen
            values[f"{name} dropped"] = camera.dropped
            values[f"{name} came back"] = self.streams[name].reopened
        wrong = [f"{name}: {camera.problem}" for name, camera in health.items() if camera.problem]
        blind = len(wrong) == len(health)
        for name, quality in self._qualities.items():
            wrong += [f"{name}: {line}" for line in quality.problems().values()]
        # Without any picture nothing can be seen; with some, or poor ones, a person should look.
        level = 0 if not wrong else 2 if blind else 1
        return level, "; ".join(wrong) or f"{len(health)} cameras stream", values

    def close(self) -> None:
        """Stop the threads before the publishers go."""
        self._closing.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=2.0)
        for stream in self.streams.values():
            stream.stop()
