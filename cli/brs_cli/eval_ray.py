"""The same trials over the machines of a Ray cluster, whose files all of them must see.

Each machine holds its share in a worker process of its own, which is watched as it is at home.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brs_cli.eval_trials import Item, Job
from brs_cli.eval_workers import ATTEMPTS, Begun, Outcome, Refusal, Tell, run_items
from brs_hardware.errors import BrsError, ConfigError

_SHARE = 10  # trials that are given away at once


def run_on_ray(job: Job, items: Sequence[Item], at_once: int, tell: Tell) -> dict[Item, Outcome]:
    """Hold all trials; see `run_items`.

    Args:
        job, items, tell: see there.
        at_once: trials at a time, in all.

    Raises:
        BrsError: Ray is not installed, or a driver cannot begin.
    """
    ray = _ray()
    ray.init(ignore_reinit_error=True)
    hold = ray.remote(max_retries=ATTEMPTS - 1)(_hold)
    step = max(1, min(_SHARE, len(items) // at_once))
    waiting = [items[i : i + step] for i in range(0, len(items), step)]
    held: dict[Any, Sequence[Item]] = {}
    outcomes: dict[Item, Outcome] = {}
    while waiting or held:
        while waiting and len(held) < at_once:
            share = waiting.pop(0)
            held[hold.remote(job, share)] = share
            for item in share:
                tell(Begun(item, 0, 1))
        done, _ = ray.wait(list(held))
        for reference in done:
            share = held.pop(reference)
            try:
                found = ray.get(reference)
            except ray.exceptions.RayError as error:
                why = str(error).splitlines()[0]
                found = [Outcome(item, None, (why,) * ATTEMPTS) for item in share]
            if isinstance(found, Refusal):
                raise found.error()
            for outcome in found:
                outcomes[outcome.item] = outcome
                tell(outcome)
    return outcomes


def _hold(job: Job, items: Sequence[Item]) -> list[Outcome] | Refusal:
    try:
        outcomes = run_items(job, items, workers=1)
    except BrsError as error:
        return Refusal(error.what, error.where, error.remedy)
    return [outcomes[item] for item in items]


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "Ray is not installed", remedy="pip install ray, or leave --ray out"
        ) from None
    return ray
