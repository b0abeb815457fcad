"""`brs demo`: drive through a household task in simulation, record it, replay it, show it.

A scripted operator moves the emulated JoyLo, or a policy drives; everything between that and the
simulated robot is the real stack over DDS. The episode is recorded to MCAP; the operator's then
drives a fresh simulation open loop. Results go to out/demo/. `brs demo record` writes many
episodes without ROS.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from brs_cli.demo_drivers import Driver, PolicyDriver, ScriptedDriver
from brs_cli.environment import ROOT
from brs_cli.pictures import draw_episode
from brs_cli.session import Session, own_domain
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeError, EpisodeReader
from brs_sim.tasks.registry import make_task

REPLAY_TIMEOUT_S = 720.0  # of a replay, however slow the simulator is
# After the last command things may still come to rest.
SETTLE_S = 2.0


@dataclass
class EpisodeResult:
    """One row of the table."""

    seed: int
    success: bool = False
    length_s: float = 0.0
    messages: int = 0
    lost: int = 0
    replay_success: bool | None = None
    replay_error_m: float | None = None  # mean distance of objects' final places
    bag: str = ""  # folder, beside episodes.json
    problem: str = ""


def main() -> None:
    """Entry point of `brs demo`, and of `brs demo record`."""
    if sys.argv[1:2] == ["record"]:
        from brs_cli.demo_record import main as record_fast

        record_fast(sys.argv[2:])
        return
    options = _parse()
    own_domain()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in range(options.seed, options.seed + options.episodes):
        driver = PolicyDriver(options.policy, options.task) if options.policy else None
        replays = driver is None and not options.no_replay
        results.append(run_episode(options.task, seed, out, console, replays, driver))
        _write_json(out / "episodes.json", [asdict(result) for result in results])
    first = next((result for result in results if result.bag), None)
    pictures: dict[str, str] = {}
    if first is not None and not options.no_pictures:
        with _progress("drawing") as say:
            pictures = draw_episode(out / first.bag, options.task, first.seed, out, say)
    report = _report(options.task, results, pictures)
    _write_json(out / "report.json", report)
    _show(results, out, pictures)
    # A policy may fail at its task; the operator may not.
    succeeded = sum(result.success for result in results)
    if any(result.problem for result in results) or (
        not options.policy and succeeded < len(results) * 0.9
    ):
        raise SystemExit(1)


console = Console()


def run_episode(
    task: str,
    seed: int,
    out: Path,
    shown: Console,
    replays: bool = True,
    driver: Driver | None = None,
) -> EpisodeResult:
    """Drive and replay one seed; problems end up in the result, not as exceptions."""
    result = EpisodeResult(seed)
    try:
        bag = record(task, seed, out / "episodes", result, driver)
        result.bag = str(bag.relative_to(out.resolve()))
        if replays:
            replay(task, seed, bag, result)
    except (BrsError, EpisodeError) as error:
        result.problem = str(error)
        shown.print(f"[red]seed {seed}: {error}", highlight=False, soft_wrap=True)
    return result


def record(
    task: str, seed: int, folder: Path, result: EpisodeResult, driver: Driver | None = None
) -> Path:
    """Drive the task through the whole stack; returns the episode.

    Args:
        task: of `brs_sim.tasks`.
        seed: of the scene.
        folder: of episodes.
        result: gets success, length and messages.
        driver: who drives; None: the scripted operator.

    Raises:
        BrsError: a part did not start, or stopped.
    """
    driver = driver or ScriptedDriver()
    arguments = {
        "sim": "true",
        "record": "true",
        "episodes": str(folder.resolve()),
        "task": task,
        "seed": str(seed),
        "tf": "false",  # nobody looks, and two cores have enough to do
        **driver.arguments,
    }
    instruction = make_task(task, load_embodiment("r1"), seed).instruction
    with _progress(f"seed {seed} {driver.title}") as say:
        say("starting nodes")
        with Session(driver.launch_file, arguments, driver.on_line) as session:
            session.wait_for_robot()
            session.wait(driver.title, lambda: driver.is_ready(session), 60.0)
            session.start_episode(
                task=task, instruction=instruction, operator_name=driver.name, seed=seed
            )
            session.arm(driver.source)
            started_s = session.state["sim/task"].time_s

            def finished() -> bool:
                status = session.state["sim/task"]
                elapsed_s = status.time_s - started_s
                done = f"{sum(status.done)}/{len(status.done)}"
                say(f"{elapsed_s:5.1f} s  sub-tasks {done}  {driver.news(session)}")
                return driver.is_done(session) or elapsed_s > driver.limit_s

            session.wait("the end of the task", finished, 4 * driver.limit_s)
            result.length_s = round(session.state["sim/task"].time_s - started_s, 3)
            session.spin(1.0)
            result.success = bool(session.state["sim/task"].success)
            saved = session.save_episode(result.success)
            result.messages, result.lost = int(saved.messages), int(saved.lost)
            return Path(saved.path)


def replay(task: str, seed: int, bag: Path, result: EpisodeResult) -> None:
    """Play the episode's commands into a fresh simulation of the same seed. Raises BrsError."""
    arguments = {"bag": str(bag), "sim": "true", "task": task, "seed": str(seed), "arm": "true"}
    arguments["tf"] = "false"
    with _progress(f"seed {seed} open-loop replay") as say:
        say("starting 3 nodes")
        with Session("replay.launch.py", arguments) as session:
            session.wait_for_robot()

            def finished() -> bool:
                status = session.state["sim/task"]
                say(f"{status.time_s:5.1f} s  sub-tasks {sum(status.done)}/{len(status.done)}")
                done = session.state.get("replay/done")
                return done is not None and done.data

            session.wait("the end of the replay", finished, REPLAY_TIMEOUT_S)
            session.spin(SETTLE_S)
            result.replay_success = bool(session.state["sim/task"].success)
            result.replay_error_m = final_distance_m(bag, session.objects())


def final_distance_m(bag: Path, objects: dict[str, tuple[float, float, float]]) -> float | None:
    """Mean distance [m] between where objects ended in the bag and where they are now."""
    reader = EpisodeReader(bag)
    topic = reader.topic_named("sim/objects")
    last: Any = None
    for _, message in reader.decoded([topic.name], start_ns=reader.span_ns[1] - 1_000_000_000):
        last = message
    if last is None:
        return None
    distances = [
        sum(
            (a - b) ** 2
            for a, b in zip(
                objects[marker.ns],
                (marker.pose.position.x, marker.pose.position.y, marker.pose.position.z),
                strict=True,
            )
        )
        ** 0.5
        for marker in last.markers
        if marker.ns in objects
    ]
    return sum(distances) / len(distances) if distances else None


class _progress:
    """A spinner with one line of news; plain lines where there is no terminal."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._plain_s = 0.0
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Any:
        self._bar.__enter__()
        self._task = self._bar.add_task(self.title)
        return self._say

    def _say(self, news: str) -> None:
        self._bar.update(self._task, description=f"{self.title}: {news}")
        if not console.is_terminal and time.monotonic() - self._plain_s > 5.0:
            self._plain_s = time.monotonic()
            console.print(f"{self.title}: {news}", highlight=False, soft_wrap=True)

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__(None, None, None)


def _report(task: str, results: list[EpisodeResult], pictures: dict[str, str]) -> dict[str, Any]:
    first = results[0]
    return {
        "task": task,
        "seed": first.seed,
        "success": first.success,
        "episode_length_s": round(first.length_s, 2),
        "messages": first.messages,
        "messages_lost": first.lost,
        "replay_success": first.replay_success,
        "replay_error_m": first.replay_error_m,
        "episodes": len(results),
        "successes": sum(result.success for result in results),
        "replay_successes": sum(bool(result.replay_success) for result in results),
        "bag": first.bag,
        "pictures": pictures,
        "versions": {
            "brs": metadata.version("brs"),
            "mujoco": metadata.version("mujoco"),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
    }


def _show(results: list[EpisodeResult], out: Path, pictures: dict[str, str]) -> None:
    table = Table("seed", "driving", "length", "messages", "lost", "replay", "replay error")
    for row in results:
        table.add_row(
            str(row.seed),
            "success" if row.success else f"[red]failed[/] {row.problem[:60]}",
            f"{row.length_s:.1f} s",
            str(row.messages),
            str(row.lost),
            {True: "success", False: "[red]failed", None: "-"}[row.replay_success],
            "-" if row.replay_error_m is None else f"{100 * row.replay_error_m:.1f} cm",
        )
    console.print(table)
    good = sum(result.success for result in results)
    again = [result.replay_success for result in results if result.replay_success is not None]
    console.print(f"driving {good}/{len(results)}, open-loop replay {sum(again)}/{len(again)}")
    shown = out.resolve()
    if shown.is_relative_to(ROOT):
        shown = shown.relative_to(ROOT)
    for name, file in {"report": "report.json", **pictures}.items():
        console.print(f"  {name:14} {shown / file}", highlight=False, soft_wrap=True)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=1, help="one a seed (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode")
    parser.add_argument("--task", default="shelves")
    parser.add_argument(
        "--policy", default="", help="a checkpoint that drives, in place of the scripted operator"
    )
    parser.add_argument("--out", default=str(ROOT / "out" / "demo"))
    parser.add_argument("--no-pictures", action="store_true", help="skip videos and plots")
    parser.add_argument(
        "--no-replay", action="store_true", help="only record; brs eval policy=replay:DIR judges"
    )
    return parser.parse_args()
