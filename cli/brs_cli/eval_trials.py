"""One trial of an evaluation, wherever it is done: in a worker process or on another machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brs_cli.eval_config import EvalConfig
from brs_cli.eval_rows import Row, episodes_of
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_ml.convert.video import Codec, VideoWriter
from brs_ml.dataset.bag import Bag
from brs_ml.dataset.messages import Decoder, stamp_ns
from brs_ml.dataset.robot_layout import layout_of
from brs_ml.episode.timeline import command_times_ns, commands_to_replay
from brs_sim.cameras import CameraRenderer
from brs_sim.evaluation import (
    Driver,
    Expert,
    Idle,
    Random,
    Recording,
    Replayed,
    Trial,
    run_trial,
)
from brs_sim.world import World

_FILM_HZ = 10.0  # of looks at a trial
_CODEC = Codec("libx264", "yuv420p", 23, 51)


@dataclass(frozen=True)
class Job:
    """All that trials have in common."""

    task: str
    rows: tuple[Row, ...]
    config: EvalConfig


@dataclass(frozen=True)
class Item:
    """One trial to be held."""

    row: int
    seed: int
    film: str = ""  # file of a film of it; empty: none


class TrialRunner:
    """Holds trials one after another; make and use it in one thread.

    Args:
        job: what they have in common.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._robot = load_embodiment(job.config.robot)
        self._row = -1
        self._driver: Driver | None = None

    def run(self, item: Item, beat: Callable[[], None]) -> Trial:
        """One trial.

        Args:
            item: which.
            beat: called again and again while it goes on.

        Raises:
            BrsError, EpisodeError: what drives or draws is missing; other trials fail as well.
        """
        if self._driver is None or item.row != self._row:
            self.close()
            self._driver = make_driver(self._job.rows[item.row], self._job, self._robot)
            self._row = item.row
        config = self._job.config.trial(self._job.task)
        with contextlib.ExitStack() as stack:
            film = stack.enter_context(_Film(item.film, self._job)) if item.film else None

            def watch(world: World) -> None:
                beat()
                if film is not None:
                    film.add(world)

            return run_trial(self._robot, self._job.task, item.seed, self._driver, config, watch)

    def close(self) -> None:
        """Gives up what the driver holds."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()


def make_driver(row: Row, job: Job, robot: Embodiment) -> Driver:
    """The driver of a row. Raises BrsError or EpisodeError: it cannot drive this robot or task."""
    if row.kind == "idle":
        return Idle(robot)
    if row.kind == "random":
        return Random(robot)
    if row.kind == "expert":
        return Expert(robot, job.task)
    if row.kind in ("replay", "blind"):
        episodes = episodes_of(row)
        seeds = [Bag(episode).info.seed for episode in episodes]

        def read(place: int) -> Recording:
            return read_commands(episodes[place], robot)

        return Replayed(robot, seeds, read, own=row.kind == "replay")
    from brs_cli.eval_policy import PolicyOnRobot

    return PolicyOnRobot(robot, row.path, job.config)


def read_commands(episode: Path, robot: Embodiment) -> Recording:
    """The commands that bring an episode about again, see commands_to_replay.

    Raises:
        ConfigError: it holds no commands.
        EpisodeError: it cannot be read.
    """
    bag = Bag(episode, past_damage=True)
    span = commands_to_replay(bag)
    messages = list(bag.messages([span.topic], span.start_ns, span.end_ns))
    if not messages:
        problem = f"has no command on {span.topic}"
        raise ConfigError(problem, where=str(episode), remedy="leave it out")
    decode, layout = Decoder(bag.topics), layout_of(robot)
    actions = np.array([layout.vector(decode(message)) for message in messages])
    logged = [message.log_time_ns for message in messages]
    times_ns = command_times_ns([stamp_ns(message) for message in messages], logged)
    return Recording((np.array(times_ns) - times_ns[0]) * 1e-9, actions)


class _Film:
    """A film of a trial, from behind the robot."""

    def __init__(self, path: str, job: Job) -> None:
        video = job.config.video
        self._size = (video.width, video.height)
        self._writer = VideoWriter(
            Path(path), (video.height, video.width, 3), _FILM_HZ, _CODEC, video.crf
        )
        self._renderer: CameraRenderer | None = None

    def __enter__(self) -> _Film:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        if self._renderer is not None:
            self._renderer.close()

    def add(self, world: World) -> None:
        """One more picture."""
        if self._renderer is None:
            self._renderer = CameraRenderer(world)
        self._writer.add(self._renderer.render_third_person(world.snapshot(), *self._size))
