"""`brs demo record`: demonstrations of a scripted operator by seeds, without running nodes.

The episodes are those that a recorder would write. Of one seed commands and joints are the same
on each run. Seeds that are already in the folder are passed over, so an interrupted run goes on.

With --policy a policy drives first, and the operator takes over from wherever it came to: what
`brs train corrections=...` learns from.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from rich.console import Console

from brs_cli.environment import ROOT
from brs_cli.fast_episode import (
    NOTE,
    OPERATOR,
    FastOptions,
    Made,
    make_policy,
    record_episode,
)
from brs_cli.progress import Bar
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeError
from brs_ml.episode.folder import WORKING, unowned
from brs_ml.episode.metadata import read_info
from brs_sim.operator import ScriptedOperator


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs demo record`."""
    options = _parse(arguments)
    fast = FastOptions(
        robot=options.robot,
        camera_hz=options.camera_hz,
        limit_s=options.limit_s,
        keep_failures=options.keep_failures,
        policy=options.policy,
        takeover_s=tuple(options.takeover_s),
    )
    # What is wrong for all seeds is told before a process is started.
    robot = load_embodiment(fast.robot)
    ScriptedOperator(robot, options.task)
    # Workers compute alongside each other, each in one thread.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if fast.policy:
        make_policy(robot, fast.policy).close()
    root = Path(options.out)
    sweep(root)
    wanted = range(options.seed, options.seed + options.episodes)
    there = recorded_seeds(root, options.task).intersection(wanted)
    seeds = [seed for seed in wanted if seed not in there]
    made: list[Made] = []
    try:
        with Bar(f"demonstrations of {options.task}", options.episodes) as bar:

            def tell(one: Made) -> None:
                made.append(one)
                if not one.success:
                    bar.progress.console.print(f"seed {one.seed}: failed", highlight=False)
                bar.progress.advance(bar.task)

            bar.progress.advance(bar.task, len(there))
            record_all(root, options.task, seeds, options.workers, fast, tell)
    finally:
        line = _summary(root, options.episodes, len(there), made)
        Console(stderr=True).print(line, highlight=False, soft_wrap=True)


def _summary(root: Path, episodes: int, there: int, made: Sequence[Made]) -> str:
    failed = sorted(one.seed for one in made if not one.success)
    done = there + len(made) - len(failed)
    line = f"{done} of {episodes} demonstrations in {root}, {there} were there before"
    return line + (f"; failed: seeds {', '.join(map(str, failed))}" if failed else "")


def recorded_seeds(root: Path, task: str) -> set[int]:
    """Seeds of the scripted operator's finished episodes of a task below a folder."""
    infos = [read_info(path.parent) for path in root.glob("*/episode.json")]
    return {
        info.seed
        for info in infos
        if info.status == "saved" and info.task == task and info.operator == OPERATOR
    }


def sweep(root: Path) -> None:
    """Remove what a killed run left half done; it is made again from its seed."""
    for folder in root.glob(f"*{WORKING}"):
        with unowned(folder) as free:
            if free and read_info(folder).note == NOTE:
                shutil.rmtree(folder)


def record_all(
    root: Path,
    task: str,
    seeds: Sequence[int],
    workers: int,
    options: FastOptions,
    tell: Callable[[Made], None],
) -> None:
    """Record an episode of each seed. Whatever ends this early ends all, and no half one is left.

    Args:
        root: where episodes go.
        task: that the scripted operator knows.
        seeds: of scenes and people.
        workers: processes, at least one.
        options: of every episode.
        tell: told of each episode, in the order in which they are done.

    Raises:
        BrsError: what `record_episode` raises, or a worker was killed.
    """
    if not seeds:
        return
    # A fresh interpreter each: forking one that has threads is not safe.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(seeds)), context, _follow)
    # Workers are born with Ctrl-C blocked: the one who gave the order ends them.
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        jobs = [pool.submit(_answer, root, task, seed, options) for seed in seeds]
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        for job in as_completed(jobs):
            answer = job.result()
            if isinstance(answer, tuple):
                raise BrsError(answer[0], where=answer[1], remedy=answer[2])
            tell(answer)
    except BrokenProcessPool:
        raise BrsError(
            "a worker was killed", where=str(root), remedy="take fewer --workers; run it again"
        ) from None
    finally:
        # Killed, for what is asked to end may not hear it in the middle of an episode.
        for process in multiprocessing.active_children():
            process.kill()
        pool.shutdown(cancel_futures=True)
        sweep(root)


def _answer(root: Path, task: str, seed: int, options: FastOptions) -> Made | tuple[str, str, str]:
    """An episode, or an error in parts, as errors do not survive the way between processes."""
    try:
        return record_episode(root, task, seed, time.time(), options)
    except (BrsError, EpisodeError) as error:
        return f"seed {seed}: {error.what}", error.where, error.remedy


def _follow() -> None:
    """A worker ends with the one who gave the order, even if that was killed."""
    parent = multiprocessing.parent_process()

    def end() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end, name="end", daemon=True).start()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("brs demo record", description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="shelves", help="that the scripted operator knows")
    parser.add_argument("--episodes", type=_from(1), default=50, help="one a seed (default 50)")
    parser.add_argument("--seed", type=_from(0), default=0, help="of the first episode")
    parser.add_argument("--out", default=str(ROOT / "out" / "demonstrations"))
    parser.add_argument("--workers", type=_from(1), default=1, help="processes (default 1)")
    parser.add_argument("--robot", default="r1", help="description in config/robots")
    parser.add_argument("--camera-hz", type=float, default=15.0, help="of each camera; 0: none")
    parser.add_argument("--limit-s", type=float, default=300.0, help="simulated; then it failed")
    parser.add_argument(
        "--policy", default="", help="a checkpoint that drives until the operator takes over"
    )
    parser.add_argument(
        "--takeover-s",
        nargs=2,
        type=float,
        default=FastOptions.takeover_s,
        metavar=("EARLIEST", "LATEST"),
        help="simulated time of that, drawn by the seed (default {:g} {:g})".format(
            *FastOptions.takeover_s
        ),
    )
    parser.add_argument(
        "--keep-failures", action="store_true", help="keep failed ones, too, without success"
    )
    return parser.parse_args(arguments)


def _from(least: int) -> Callable[[str], int]:
    """Reads a whole number that is not too small."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number from {least} on")
        return int(text)

    return read
