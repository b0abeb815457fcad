"""Household tasks: a scene and a success rule each, made by name.

A new task is one file here with a class marked `@register`, imported below; the parametrised
test then covers it.
"""

from brs_sim.tasks.registry import Start, Task, TaskStatus, make_task, register, task_names
from brs_sim.tasks.shelves import Shelves

__all__ = ["Shelves", "Start", "Task", "TaskStatus", "make_task", "register", "task_names"]
