"""A home drawn by seed: fetch a thing from one room and put it onto a mat of its colour.

Other than the household tasks, no two seeds have the same rooms. See brs_sim.homes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from brs_sim.geometry import shifted, tool_pose

# Modules, not names of theirs: they import the package of this one.
from brs_sim.homes import cabinets, catalogue, plan, shell, things
from brs_sim.tasks import furniture as f
from brs_sim.tasks.config import TaskConfig
from brs_sim.tasks.registry import Deed, Grasp, Pose, register
from brs_sim.tasks.rules import Aloft, Near, StagedTask, both, is_let_go

_MAT_HALF_M, _MAT_THICK_M = 0.13, 0.002
_EDGE_M = 0.02  # things lie so far from the edges of a top
_PLACE_TRIES = 30
_TOP_KEPT_FREE_M = 0.31  # at the back: what is farther from the front is out of reach


@dataclass(frozen=True)
class HomeConfig(TaskConfig):
    """See TaskConfig; `start` is added to the spot that the plan has for the robot."""

    plan: plan.HomeShape
    things: tuple[int, int]  # fewest and most, besides the one that is wanted
    near_m: float  # distance of the base from the middle of a piece that counts as being there

    def __post_init__(self) -> None:
        if not 0 <= self.things[0] <= self.things[1]:
            raise ValueError("'things' needs a fewest and a most, from 0 on")


@register
class Home(StagedTask):
    """Fetch a thing from another room; see the module."""

    name = "home"
    instruction = "bring the thing to the mat of its colour"
    generated = True
    config_type = HomeConfig
    config: HomeConfig
    subtasks = ("at the thing", "thing picked up", "thing at the mat", "thing on the mat")

    def draw(self, random: np.random.Generator) -> None:
        """See Task."""
        config = self.config
        pairs: list[tuple[plan.Piece, plan.Piece]] = []
        while not pairs:  # all but a few homes have two tops, one of them away from the robot
            self.plan = plan.draw_plan(random, config.plan)
            tops = [p for p in self.plan.pieces if catalogue.KINDS[p.kind].surface]
            pairs = self._errands(tops)
        self.source, self.target = pairs[int(random.integers(len(pairs)))]
        self.mat = self._spot_on(random, self.target, _MAT_HALF_M)
        self._put: list[tuple[np.ndarray, float]] = [(self.mat, _MAT_HALF_M * np.sqrt(2))]
        wanted = self._laid(random, "wanted", [self.source], things.GRASPABLE)
        if wanted is None:
            raise ValueError("no top has room for the thing that is wanted")
        count = int(random.integers(config.things[0], config.things[1] + 1))
        others = [self._laid(random, f"thing{i}", tops) for i in range(count)]
        self.things = (wanted, *(thing for thing in others if thing is not None))
        self.objects = tuple(thing.name for thing in self.things)
        doors = tuple(door.name for door in self.plan.doorways)
        self.fixtures = doors + tuple(n for p in self.plan.pieces for n in p.fixtures)
        spot = np.append(self.plan.start, 0.0)
        self.start = replace(self.start, base_pose=spot + self.start.base_pose)
        self.colours = random.permutation(config.room.floor_colours)
        self.rules = (
            Near(self.source.place, config.near_m),
            Aloft("wanted"),
            both(Aloft("wanted"), Near(self.target.place, config.near_m)),
            self._is_on_mat,
        )

    def furnish(self, spec: mujoco.MjSpec) -> None:
        """See Task."""
        look = self.decoration
        look.light_up(spec)
        spec.texture("floor").rgb1 = spec.texture("floor").rgb2 = look.floor * 0.8  # outside
        floors = [self.colours[i % len(self.colours)] for i in range(len(self.plan.rooms))]
        shell.add_shell(spec, self.plan, look.wall, np.array(floors), look.wall * 0.97)
        for piece in self.plan.pieces:
            cabinets.add_piece(spec, piece)
        for thing in self.things:
            things.add_thing(spec, thing)
        mat = spec.worldbody.add_body(name="mat", pos=self.mat)
        half = [_MAT_HALF_M, _MAT_HALF_M, _MAT_THICK_M / 2]
        f.add_shape(mat, f.BOX, [0, 0, 0], half, [*self.things[0].colour, 1.0], solid=False)

    def solution(self) -> tuple[Deed, ...]:
        """See Task: there, lifted, carried, put down."""
        wanted, up = self.things[0], np.array([0.0, 0.0, 0.15])
        turn = f.turned(wanted.yaw)
        lifted: dict[str, Pose] = {"wanted": (wanted.place + up, turn)}
        over: dict[str, Pose] = {"wanted": (self.mat + up, turn)}
        on: dict[str, Pose] = {"wanted": (self.mat + up * 0.01, turn)}
        return (
            Deed(base_pose=self.source.station),
            Deed(lifted, hold_s=0.6),
            Deed(over, base_pose=self.target.station, hold_s=0.6),
            Deed(on, hold_s=0.02),
            Deed(hold_s=0.8),
        )

    def grasps(self) -> tuple[Grasp, ...]:
        """See Task."""
        height = float(self.things[0].size[2]) * 0.75
        return tuple(
            Grasp(
                what,
                tool_pose(shifted(place, 0, 0, height), piece.station[2], 0.3),
                piece.station,
            )
            for what, place, piece in (
                ("the thing", self.things[0].place, self.source),
                ("over the mat", shifted(self.mat, 0, 0, 0.05), self.target),
            )
        )

    def _errands(self, tops: list[plan.Piece]) -> list[tuple[plan.Piece, plan.Piece]]:
        """From where to where; between rooms where that is possible."""
        near = self.config.near_m + float(np.abs(self.config.start[:, :2]).max())
        away = [a for a in tops if np.linalg.norm(a.place - self.plan.start) > near]
        pairs = [(a, b) for a in away for b in tops if a is not b]
        return [(a, b) for a, b in pairs if a.room != b.room] or pairs

    def _spot_on(self, random: np.random.Generator, piece: plan.Piece, half: float) -> np.ndarray:
        """(3,) on the part of a top that the robot reaches."""
        depth, width, height = piece.size
        low = max(-depth / 2, depth / 2 - 2 * _TOP_KEPT_FREE_M) + half + _EDGE_M
        x = random.uniform(min(low, depth / 2 - half - _EDGE_M), depth / 2 - half - _EDGE_M)
        y = random.uniform(-1, 1) * max(width / 2 - half - _EDGE_M, 0.0)
        along = np.array([-piece.front[1], piece.front[0]])
        return np.append(piece.place + piece.front * x + along * y, height)

    def _laid(
        self,
        random: np.random.Generator,
        name: str,
        tops: list[plan.Piece],
        kinds: tuple[str, ...] | None = None,
    ) -> things.Thing | None:
        """A thing on one of the tops, clear of all others; None where there is no space."""
        thing = things.draw_thing(random, name, *([kinds] if kinds else []))
        for _ in range(_PLACE_TRIES):
            top = tops[int(random.integers(len(tops)))]
            spot = self._spot_on(random, top, thing.radius)
            if all(
                np.linalg.norm(spot - other) > thing.radius + radius + 0.03
                for other, radius in self._put
            ):
                self._put.append((spot, thing.radius))
                return replace(thing, place=spot)
        return None

    def _is_on_mat(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        away = np.abs(data.body("wanted").xpos - self.mat)
        lies = bool(np.all(away[:2] < _MAT_HALF_M) and away[2] < 0.02)
        return lies and is_let_go(model, data, "wanted")
