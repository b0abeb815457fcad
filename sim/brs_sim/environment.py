"""The household tasks as Gymnasium environments: `brs/Trash-v0` and so on, ten actions a second.

    register_environments()
    environment = gymnasium.make("brs/Trash-v0", images=("head",))

An action is held for 0.1 s, offered anew at each of the ten ticks of the robot node in that time
and led to by the same supervisor, with its limits of speed, acceleration and jerk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.perception.config import load_cloud
from brs_hardware.perception.fuser import make_fusion
from brs_hardware.perception.fusion import CloudFusion, View
from brs_hardware.types import WholeBodyCommand
from brs_sim.actions import action_limits, command_of, proprioception
from brs_sim.cameras import CameraRenderer
from brs_sim.commanded import UNGUARDED, CommandedRobot
from brs_sim.sight import views_of
from brs_sim.tasks import task_names
from brs_sim.world import World

try:
    import gymnasium
    from gymnasium import spaces
except ImportError:
    raise ConfigError(
        "the environments need Gymnasium, which is not installed", remedy="pip install brs[sim]"
    ) from None

ACTION_S = 0.1  # BRS: data and policies have 10 Hz
_TICK_S = 0.01
_LONGEST_S = 300.0
_VIEW_SIZE = (640, 480)


class HouseholdEnvironment(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """One task on one robot.

    Action, float32, 21 numbers for an R1: base vx, vy [m/s], wz [rad/s] in base_link; torso,
    left arm [rad]; left gripper, 0 open .. 1 closed; right arm [rad]; right gripper.

    Observation: `proprioception`, the same numbers as measured; for each camera of `images`,
    `<camera>_color` (height, width, 3) uint8 RGB and `<camera>_depth` (height, width) float32 [m],
    0 out of range; with `cloud`, `cloud` (n, 6) float32: x, y, z [m] in base_link and red, green,
    blue 0..1.

    The reward of a step is the number of sub-tasks that it completed, less those it undid. The
    episode terminates when the entire task is done.

    Args:
        task: a registered task.
        robot: in config/robots.
        images: cameras whose pictures are part of the observation.
        cloud: a file in config/perception; "" gives no cloud. All cameras are drawn for it.
        render_mode: None or "rgb_array", the scene from outside.

    Raises:
        ConfigError: unknown task, robot, camera or file.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(1.0 / ACTION_S)}

    def __init__(
        self,
        task: str = "shelves",
        robot: str = "r1",
        images: tuple[str, ...] = (),
        cloud: str = "",
        render_mode: str | None = None,
    ) -> None:
        self.robot = load_embodiment(robot)
        self.render_mode, self._images = render_mode, tuple(images)
        self.world = World(self.robot, task, 0)
        self._commanded = CommandedRobot(self.world, "policy", UNGUARDED)
        self._renderer: CameraRenderer | None = None
        self._fusion: CloudFusion | None = None
        if cloud:
            self._fusion = make_fusion(self.robot, load_cloud(cloud))
        self._done = 0
        self.action_space = _action_space(self.robot)
        self.observation_space = self._observation_space()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """A scene; see gymnasium.Env. `seed` is the scene's; without one it is drawn."""
        super().reset(seed=seed)
        scene = int(self.np_random.integers(2**31)) if seed is None else seed
        self.world.reset(scene)
        self._commanded = CommandedRobot(self.world, "policy", UNGUARDED)
        self._done = 0
        return self._observe(), self._info()

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """A tenth of a second; see gymnasium.Env and the class.

        Raises:
            BrsError: the physics diverged.
            ValueError: the action has another shape, or a number that is not finite.
        """
        command = self.to_command(action)
        for _ in range(round(ACTION_S / _TICK_S)):
            self._commanded.apply(command)
            self.world.step(_TICK_S)
        info = self._info()
        done = sum(info["done"])
        reward, self._done = float(done - self._done), done
        return self._observe(), reward, bool(info["success"]), False, info

    def render(self) -> np.ndarray | None:
        """The scene from outside, (480, 640, 3) uint8; None without a render mode."""
        if self.render_mode is None:
            return None
        return self._drawer().render_third_person(self.world.snapshot(), *_VIEW_SIZE)

    def close(self) -> None:
        """Gives up what draws; see gymnasium.Env."""
        renderer, self._renderer = self._renderer, None
        if renderer is not None:
            renderer.close()

    def to_command(self, action: np.ndarray) -> WholeBodyCommand:
        """The action as a command. Raises ValueError: wrong shape, or a number is not finite."""
        values = np.asarray(action, dtype=float)
        if values.shape != self.action_space.shape or not np.all(np.isfinite(values)):
            raise ValueError(f"an action is {self.action_space.shape} finite numbers")
        space: Any = self.action_space
        values = np.clip(values, space.low, space.high)
        return command_of(self.robot, values, self.world.time_s)

    def _observation_space(self) -> spaces.Space[dict[str, np.ndarray]]:
        size = self.action_space.shape or (0,)
        known: dict[str, spaces.Space[Any]] = {
            "proprioception": spaces.Box(-np.inf, np.inf, size, np.float32)
        }
        for name in self._images:
            if name not in self.robot.cameras:
                raise ConfigError(
                    f"the robot has no camera '{name}'", remedy=f"one of {[*self.robot.cameras]}"
                )
            camera = self.robot.cameras[name]
            shape, farthest = (camera.height, camera.width), float(camera.depth_range[1])
            known[f"{name}_color"] = spaces.Box(0, 255, (*shape, 3), np.uint8)
            known[f"{name}_depth"] = spaces.Box(0.0, farthest, shape, np.float32)
        if self._fusion is not None:
            shape = (self._fusion.config.points, 6)
            known["cloud"] = spaces.Box(-np.inf, np.inf, shape, np.float32)
        space: Any = spaces.Dict(known)
        return space

    def _observe(self) -> dict[str, np.ndarray]:
        state = self.world.whole_body_state()
        seen = {"proprioception": proprioception(state)}
        cameras = self._images if self._fusion is None else tuple(self.robot.cameras)
        if not cameras:
            return seen
        snapshot, drawer = self.world.snapshot(), self._drawer()
        drawn = {name: drawer.render(snapshot, name) for name in cameras}
        for name in self._images:
            seen[f"{name}_color"], seen[f"{name}_depth"] = drawn[name].color, drawn[name].depth
        if self._fusion is not None:
            seen["cloud"] = self._fuse(views_of(self.robot, state, drawn))
        return seen

    def _fuse(self, views: list[View]) -> np.ndarray:
        """(n, 6) float32; where fewer points are seen, the last rows are zero."""
        assert self._fusion is not None
        cloud = self._fusion.fuse(views).cloud
        rows = np.zeros((self._fusion.config.points, 6), np.float32)
        rows[: len(cloud), :3] = cloud.points
        rows[: len(cloud), 3:] = cloud.colors / np.float32(255.0)
        return rows

    def _info(self) -> dict[str, Any]:
        status = self.world.task_status()
        return {
            "success": status.success,
            "score": status.score,
            "subtasks": status.subtasks,
            "done": status.done,
            "violations": len(self.world.violations()),
            "time_s": status.time_s,
            "seed": self.world.seed,
        }

    def _drawer(self) -> CameraRenderer:
        if self._renderer is None:
            self._renderer = CameraRenderer(self.world)
        return self._renderer


def register_environments() -> tuple[str, ...]:
    """Makes every task known to Gymnasium; returns the names, such as `brs/Trash-v0`."""
    names = []
    for task in (*task_names(), *task_names(generated=True)):
        names.append(f"brs/{task.capitalize()}-v0")
        if names[-1] not in gymnasium.registry:
            gymnasium.register(
                names[-1],
                entry_point="brs_sim.environment:HouseholdEnvironment",
                max_episode_steps=round(_LONGEST_S / ACTION_S),
                kwargs={"task": task},
            )
    return tuple(names)


def _action_space(robot: Embodiment) -> spaces.Box:
    lowest, highest = (limits.astype(np.float32) for limits in action_limits(robot))
    return spaces.Box(lowest, highest, dtype=np.float32)
