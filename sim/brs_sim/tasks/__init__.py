"""Household tasks: a scene and success rules each, made by name.

A new task is one file here with a class marked `@register`, imported below, and one in
config/tasks; the parametrised tests then cover it.
"""

from brs_sim.tasks.clothes import Clothes
from brs_sim.tasks.home import Home
from brs_sim.tasks.party import Party
from brs_sim.tasks.registry import (
    Deed,
    Grasp,
    Start,
    Task,
    TaskStatus,
    make_task,
    register,
    task_names,
)
from brs_sim.tasks.shelves import Shelves
from brs_sim.tasks.toilet import Toilet
from brs_sim.tasks.trash import Trash

__all__ = [
    "Clothes",
    "Deed",
    "Grasp",
    "Home",
    "Party",
    "Shelves",
    "Start",
    "Task",
    "TaskStatus",
    "Toilet",
    "Trash",
    "make_task",
    "register",
    "task_names",
]
