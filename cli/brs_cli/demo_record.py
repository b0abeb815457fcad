"""`brs demo record`: demonstrations of a scripted operator, faster than real time, by seeds.

The episodes are those that a recorder would write. Of one seed commands and joints are the same
on each run. Seeds that are already in the folder are passed over, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from rich.console import Console

from brs_cli.environment import ROOT
from brs_cli.fast_episode import NOTE, OPERATOR, FastOptions, Made, record_episode
from brs_cli.progress import Bar
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeError
from brs_ml.episode.folder import WORKING, unowned
from brs_ml.episode.metadata import read_info


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs demo record`."""
    options = _parse(arguments)
    fast = FastOptions(
        robot=options.robot,
        camera_hz=options.camera_hz,
        limit_s=options.limit_s,
        keep_failures=options.keep_failures,
    )
    root = Path(options.out)
    sweep(root)
    there = recorded_seeds(root, options.task)
    wanted = range(options.seed, options.seed + options.episodes)
    kept = [seed for seed in wanted if seed in there]
    console = Console(stderr=True)
    failed: list[int] = []
    with Bar(f"demonstrations of {options.task}", options.episodes) as bar:
        bar.progress.advance(bar.task, len(kept))
        seeds = [seed for seed in wanted if seed not in there]
        for made in _made(root, options.task, seeds, options.workers, fast):
            if not made.success:
                failed.append(made.seed)
                bar.progress.console.print(f"seed {made.seed}: failed", highlight=False)
            bar.progress.advance(bar.task)
    done = options.episodes - len(failed)
    console.print(
        f"{done} of {options.episodes} demonstrations in {root}, {len(kept)} were there before"
        + (f"; failed: seeds {', '.join(map(str, sorted(failed)))}" if failed else ""),
        highlight=False,
        soft_wrap=True,
    )


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


def _made(
    root: Path, task: str, seeds: Sequence[int], workers: int, options: FastOptions
) -> Iterator[Made]:
    """Episodes as they come. Raises what `record_episode` raises; all others are then given up."""
    # A fresh interpreter each: forking one that has threads is not safe.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, min(workers, len(seeds))), context, _let_go) as pool:
        jobs = [pool.submit(_answer, root, task, seed, options) for seed in seeds]
        try:
            for job in as_completed(jobs):
                answer = job.result()
                if isinstance(answer, tuple):
                    raise BrsError(answer[0], where=answer[1], remedy=answer[2])
                yield answer
        except BrokenProcessPool:
            raise BrsError(
                "a worker was killed", where=str(root), remedy="take fewer --workers; run it again"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()


def _answer(root: Path, task: str, seed: int, options: FastOptions) -> Made | tuple[str, str, str]:
    """An episode, or an error in parts, as errors do not survive the way between processes."""
    try:
        return record_episode(root, task, seed, time.time(), options)
    except (BrsError, EpisodeError) as error:
        return f"seed {seed}: {error.what}", error.where, error.remedy


def _let_go() -> None:
    """Workers leave Ctrl-C to the one who gave the order, who ends them; they tidy up at that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)


def _end(*_: object) -> None:
    raise SystemExit(1)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("brs demo record", description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="shelves", help="that the scripted operator knows")
    parser.add_argument("--episodes", type=_count, default=50, help="one a seed (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode")
    parser.add_argument("--out", default=str(ROOT / "out" / "demonstrations"))
    parser.add_argument("--workers", type=_count, default=1, help="processes (default 1)")
    parser.add_argument("--robot", default="r1", help="description in config/robots")
    parser.add_argument("--camera-hz", type=float, default=15.0, help="of each camera; 0: none")
    parser.add_argument("--limit-s", type=float, default=300.0, help="simulated; then it failed")
    parser.add_argument(
        "--keep-failures", action="store_true", help="keep failed ones, too, without success"
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError
    return count
