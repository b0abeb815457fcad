"""Trials: a driver does a task in a scene, and what became of it is judged by the task's rules."""

from brs_sim.evaluation.driver import Driver, Idle, Random, SteppedDriver
from brs_sim.evaluation.people import Expert, Recording, Replayed
from brs_sim.evaluation.trial import Trial, TrialConfig, run_trial

__all__ = [
    "Driver",
    "Expert",
    "Idle",
    "Random",
    "Recording",
    "Replayed",
    "SteppedDriver",
    "Trial",
    "TrialConfig",
    "run_trial",
]
