"""Homes of several seeds in one picture, seen from above.

`python -m brs_sim.homes.picture --seeds 0 1 2 3 --out homes.png` draws four.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_sim.cameras import CameraRenderer
from brs_sim.world import World

_TILE = (600, 400)  # width, height [px]
_COLUMNS = 2


def draw_homes(robot: str, seeds: list[int]) -> np.ndarray:
    """(height, width, 3) uint8 RGB: a tile for each seed, two in a row.

    Raises:
        BrsError: unknown robot, or there is no GL to draw with.
    """
    tiles = []
    for seed in seeds:
        world = World(load_embodiment(robot), "home", seed)
        with CameraRenderer(world) as renderer:
            tiles.append(renderer.render_third_person(world.snapshot(), *_TILE))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    return np.vstack(rows)


def main(arguments: list[str] | None = None) -> int:
    """Writes the picture; 0 where that went well."""
    parser = argparse.ArgumentParser(description="Draw generated homes from above.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--robot", default="r1")
    parser.add_argument("--out", type=Path, default=Path("homes.png"))
    options = parser.parse_args(arguments)
    try:
        picture = Image.fromarray(draw_homes(options.robot, options.seeds))
    except BrsError as error:
        parser.exit(1, f"{error}\n")
    picture.save(options.out, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
