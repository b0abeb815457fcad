"""The scripted operator, who moves the leader as a person would; see `scripted`."""

from brs_sim.operator import clothes, party, shelves, toilet, trash
from brs_sim.operator.hands import OperatorAction
from brs_sim.operator.scripted import ScriptedOperator

__all__ = [
    "OperatorAction",
    "ScriptedOperator",
    "clothes",
    "party",
    "shelves",
    "toilet",
    "trash",
]
