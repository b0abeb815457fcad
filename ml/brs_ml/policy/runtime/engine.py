"""Inference beside the control loop: one question at a time, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from brs_ml.policy.errors import PolicyError
from brs_ml.policy.observation import Chunk, Committed, Observation

_REMEMBERED = 100  # times of inference, for their distribution


class Predictor(Protocol):
    """What an engine asks: a policy here, or on another machine."""

    def __call__(self, observation: Observation, committed: Committed | None) -> Chunk:
        """What to do next. Raises PolicyError if it is nothing that may be done."""


@dataclass(frozen=True)
class Answer:
    """What came of a question."""

    chunk: Chunk | None
    problem: str  # why there is no chunk; empty if there is one
    inference_s: float


class ChunkEngine:
    """Asks a predictor in a thread and hands over what it says.

    Args:
        predict: asked in the engine's thread alone.
        clock_s: for how long inference takes; steady.
        on_start: called in the thread before all else, e.g. to set its priority.
        on_answer: called in the thread when there is an answer to take.
    """

    def __init__(
        self,
        predict: Predictor,
        clock_s: Callable[[], float],
        *,
        on_start: Callable[[], object] = lambda: None,
        on_answer: Callable[[], object] = lambda: None,
    ) -> None:
        self._predict, self._clock_s = predict, clock_s
        self._on_start, self._on_answer = on_start, on_answer
        self._questions: queue.Queue[tuple[Observation, Committed | None] | None] = queue.Queue(1)
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._asked_s: float | None = None
        self._times_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether questions are still answered."""
        return self._thread.is_alive()

    @property
    def idle(self) -> bool:
        """Whether a question may be put."""
        return self._asked_s is None

    @property
    def busy_s(self) -> float:
        """How long the question at hand has been worked on; 0 if there is none."""
        return 0.0 if self._asked_s is None else self._clock_s() - self._asked_s

    @property
    def typical_s(self) -> float:
        """Time of inference that nine of ten stayed below; 0 before the first."""
        return float(np.percentile(self._times_s, 90)) if self._times_s else 0.0

    def ask(self, observation: Observation, committed: Committed | None) -> bool:
        """Put a question; False if the one before is not answered yet."""
        if not self.idle:
            return False
        self._asked_s = self._clock_s()
        self._questions.put((observation, committed))
        return True

    def take(self) -> Answer | None:
        """The answer, once; None if there is none yet."""
        if self._answers.empty():
            return None
        answer = self._answers.get()
        self._times_s.append(answer.inference_s)
        self._asked_s = None
        return answer

    def close(self, patience_s: float = 5.0) -> None:
        """End the thread after the question at hand."""
        if not self._thread.is_alive():
            return
        try:
            self._questions.put(None, timeout=patience_s)
        except queue.Full:
            return  # it hangs; being a daemon, it ends with the process
        self._thread.join(patience_s)

    def _run(self) -> None:
        self._on_start()
        while (question := self._questions.get()) is not None:
            began_s = self._clock_s()
            chunk, problem = None, ""
            try:
                chunk = self._predict(*question)
            except PolicyError as error:
                problem = str(error)
            except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
                problem = f"inference failed: {type(error).__name__}: {error}"
            self._answers.put(Answer(chunk, problem, self._clock_s() - began_s))
            self._on_answer()
