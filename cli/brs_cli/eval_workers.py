"""Trials in worker processes. One that dies or hangs takes no trial with it: each is held again.

A trial that is lost twice has failed; none is ever left out.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from brs_cli.eval_trials import Item, Job, TrialRunner
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeError
from brs_sim.evaluation import Trial

ATTEMPTS = 2
_POLL_S = 0.2
_BEAT_S = 1.0  # between signs of life


@dataclass(frozen=True)
class Outcome:
    """What became of an item."""

    item: Item
    trial: Trial | None  # None: every attempt was lost
    lost: tuple[str, ...]  # why, one an attempt


@dataclass(frozen=True)
class Refusal:
    """A BrsError on its way between processes."""

    what: str
    where: str
    remedy: str

    def error(self) -> BrsError:
        """The error it was."""
        return BrsError(self.what, where=self.where, remedy=self.remedy)


@dataclass(frozen=True)
class Begun:
    """An attempt begins."""

    item: Item
    worker: int  # process id
    attempt: int  # from 1 on


# Told of each attempt that begins, and of each outcome.
Tell = Callable[[Begun | Outcome], None]


def run_items(
    job: Job,
    items: Sequence[Item],
    workers: int,
    tell: Tell = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[Item, Outcome]:
    """Hold all trials.

    Args:
        job: what they have in common.
        items: which.
        workers: processes.
        tell: told how it goes.
        clock: by which a silent worker is judged [s].

    Raises:
        BrsError: a driver cannot begin; the others' trials are given up.
    """
    team: list[_Worker] = []
    waiting, lost = deque(items), dict[Item, list[str]]()
    outcomes: dict[Item, Outcome] = {}
    try:
        while len(outcomes) < len(items):
            while waiting and (worker := _free(team, workers, job, clock)):
                item = waiting.popleft()
                worker.give(item)
                tell(Begun(item, worker.pid, len(lost.get(item, ())) + 1))
            wait([worker.connection for worker in team if worker.item is not None], _POLL_S)
            for worker in team.copy():
                answer = worker.listen(job.config.silence_s)
                if answer is None or worker.item is None:
                    continue
                item, worker.item = worker.item, None
                if isinstance(answer, Refusal):
                    raise answer.error()
                if isinstance(answer, str):
                    worker.kill()
                    team.remove(worker)
                    lost.setdefault(item, []).append(answer)
                    if len(lost[item]) < ATTEMPTS:
                        waiting.appendleft(item)
                        continue
                trial = answer if isinstance(answer, Trial) else None
                outcomes[item] = Outcome(item, trial, tuple(lost.get(item, ())))
                tell(outcomes[item])
    finally:
        for worker in team:
            worker.kill()
    return outcomes


def _free(team: list[_Worker], most: int, job: Job, clock: Callable[[], float]) -> _Worker | None:
    """A worker with nothing to do, a new one if there may be more; None while all are busy."""
    idle = next((worker for worker in team if worker.item is None), None)
    if idle is None and len(team) < most:
        idle = _Worker(job, clock)
        team.append(idle)
    return idle


class _Worker:
    """A process that holds trials."""

    def __init__(self, job: Job, clock: Callable[[], float]) -> None:
        # A fresh interpreter: forking one that has threads is not safe.
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other, job), daemon=True)
        self._process.start()
        other.close()
        self._clock, self._heard_s = clock, clock()
        self.item: Item | None = None

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid or 0

    def give(self, item: Item) -> None:
        """Let it hold a trial."""
        self.item, self._heard_s = item, self._clock()
        with contextlib.suppress(OSError):  # died while it had nothing to do; `listen` says so
            self.connection.send(item)

    def listen(self, silence_s: float) -> Trial | Refusal | str | None:
        """A trial, an error of all trials, or why it is lost; None while it works on."""
        try:
            while self.connection.poll():
                answer = self.connection.recv()
                self._heard_s = self._clock()
                if answer is not None:
                    return answer
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            return (
                f"a worker was killed by signal {-code}"
                if code < 0
                else (f"a worker ended with code {code}")
            )
        if self.item is not None and self._clock() - self._heard_s > silence_s:
            return f"a worker was silent for {silence_s:g} s"
        return None

    def kill(self) -> None:
        """Ends it at once, whatever it does."""
        self.connection.close()
        self._process.kill()
        self._process.join()


def _work(connection: Connection, job: Job) -> None:
    """What a worker does: an item in; None as a sign of life, then a trial or an error out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who gave the order ends it
    runner = TrialRunner(job)
    try:
        while True:
            connection.send(_answer(runner, connection.recv(), connection))
    except (EOFError, BrokenPipeError):
        return  # nobody is there any more
    finally:
        runner.close()


def _answer(runner: TrialRunner, item: Item, connection: Connection) -> Any:
    told_s = -_BEAT_S

    def beat() -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= _BEAT_S:
            told_s = time.monotonic()
            connection.send(None)

    try:
        return runner.run(item, beat)
    except (BrsError, EpisodeError) as error:
        return Refusal(error.what, error.where, error.remedy)
