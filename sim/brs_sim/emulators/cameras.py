"""Cameras that are not there: one that draws a simulated world, and a scripted one for faults."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brs_hardware.cameras import Camera, CameraConfig, CameraFrame, Intrinsics, register
from brs_hardware.cameras.driver import Clock
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_sim.cameras import CameraFrame as DrawnFrame
from brs_sim.cameras import CameraRenderer
from brs_sim.world import World


def as_camera_frame(drawn: DrawnFrame, stamp_s: float, number: int) -> CameraFrame:
    """A drawn picture as a real camera would give it: no reading is NaN."""
    height, width = drawn.depth.shape
    return CameraFrame(
        stamp_s=stamp_s,
        color=drawn.color,
        depth=np.where(drawn.depth > 0.0, drawn.depth, np.float32(np.nan)),
        intrinsics=Intrinsics(width, height, drawn.fx, drawn.fy, drawn.cx, drawn.cy),
        number=number,
    )


@register
class SimulatedCamera(Camera):
    """Draws a camera of the embodiment at each read; its consumer sets the pace.

    Args:
        name, config, clock: see Camera; `source` names the task whose scene is drawn.
        world: to be drawn; None makes one of R1 in that scene, at rest.
    """

    kind = "sim"
    noisy = False

    def __init__(
        self, name: str, config: CameraConfig, clock: Clock, world: World | None = None
    ) -> None:
        super().__init__(name, config, clock)
        self._world = world or World(load_embodiment("r1"), config.source or "shelves")
        if name not in self._world.embodiment.cameras:
            raise ConfigError(f"the simulated robot has no camera '{name}'", where="cameras")
        self._renderer: CameraRenderer | None = None
        self._number = 0

    def close(self) -> None:
        """See Camera."""
        renderer, self._renderer = self._renderer, None
        if renderer is not None:
            renderer.close()

    def _open(self) -> None:
        self.close()
        self._renderer = CameraRenderer(self._world)

    def _grab(self, timeout_s: float) -> CameraFrame | None:
        if self._renderer is None:
            raise DeviceError("is not open", where=self.name, remedy="open it")
        stamp_s = self.clock()
        drawn = self._renderer.render(self._world.snapshot(), self.name)
        self._number += 1
        return as_camera_frame(drawn, stamp_s, self._number)


class ScriptedCamera(Camera):
    """Gives noise pictures at each read, with whatever fault is asked of it.

    Attributes:
        plugged_in: False makes `open` and `read` fail as a pulled cable does.
        fault: alters each frame on its way; None from it is a frame that never came.
    """

    kind = "scripted"

    def __init__(self, name: str, config: CameraConfig, clock: Clock, seed: int = 0) -> None:
        super().__init__(name, config, clock)
        self._random = np.random.default_rng(seed)
        self._number = 0
        self._is_open = False
        self.plugged_in = True
        self.opened = 0
        self.fault: Callable[[CameraFrame], CameraFrame | None] = lambda frame: frame

    def close(self) -> None:
        """See Camera."""
        self._is_open = False

    def _open(self) -> None:
        self._check_plug()
        self._is_open = True
        self.opened += 1

    def _grab(self, timeout_s: float) -> CameraFrame | None:
        self._check_plug()
        if not self._is_open:
            raise DeviceError("is not open", where=self.name, remedy="open it")
        config = self.config
        height, width = config.height, config.width
        near, far = map(float, config.depth_range)
        self._number += 1
        frame = CameraFrame(
            stamp_s=self.clock(),
            color=self._random.integers(0, 256, (height, width, 3), dtype=np.uint8),
            depth=self._random.uniform(near, far, (height, width)).astype(np.float32),
            intrinsics=Intrinsics(width, height, width, width, width / 2, height / 2),
            number=self._number,
        )
        return self.fault(frame)

    def _check_plug(self) -> None:
        if not self.plugged_in:
            self._is_open = False
            raise DeviceError("is unplugged", where=self.name, remedy="plug it in")
