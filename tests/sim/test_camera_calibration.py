"""Cameras of a simulated robot that do not sit where its description says are found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from brs_hardware.camera_calibration.board import Board, BoardDetector, project
from brs_hardware.camera_calibration.mounts import (
    difference,
    measured_mount,
    save_mount,
    with_measured_mounts,
)
from brs_hardware.camera_calibration.views import ViewCollector
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.kinematics import Kinematics, optical_frame
from brs_sim.emulators.board_room import BoardRoom

R1 = load_embodiment("r1")
BOARD = Board()
HANGING = R1.poses["neutral"]
# Camera -> posture in which it faces the board, how near that is, how far from there it is moved.
SCENES = {
    "head": (
        HANGING | {"torso": np.array([0.6, -1.2, -0.7, 0.0])},
        0.45,
        {"torso": np.array([0.3, 0.3, 0.35, 0.5])},
    ),
    "left_wrist": (
        HANGING
        | {
            "torso": np.array([0.3, -0.6, -0.3, 0.0]),
            "left_arm": np.array([0.3, 1.5, -1.5, 0.2, 0.3, 0.0]),
        },
        0.38,
        {"left_arm": np.array([0.25, 0.25, 0.25, 0.5, 0.5, 1.2])},
    ),
}


def bent(camera: str, seed: int) -> Embodiment:
    """A robot whose camera sits a few centimetres and degrees off."""
    random = np.random.default_rng(seed)
    described = R1.cameras[camera]
    true = dataclasses.replace(
        described,
        position=described.position + random.uniform(0.01, 0.02, 3) * random.choice([-1, 1], 3),
        rpy=described.rpy + random.uniform(0.02, 0.05, 3) * random.choice([-1, 1], 3),
    )
    return dataclasses.replace(R1, cameras={**R1.cameras, camera: true})


def collect(collector: ViewCollector, room: BoardRoom, reach: dict[str, np.ndarray]) -> None:
    """As a person does: move, stand, look, until it is enough."""
    now_s, period_s = 0.0, 0.01
    while collector.lack:
        room.move(reach)
        now_s += 1.0
        for step in range(26):
            if step == 13:
                frame = room.look(now_s)
                collector.add_picture(now_s, frame.color, frame.intrinsics)
            collector.add_state(room.state(now_s := now_s + period_s))


@pytest.mark.parametrize("camera", SCENES)
def test_a_camera_that_sits_elsewhere_is_found_to_a_millimetre(
    camera: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("BRS_DATA", str(tmp_path))
    posture, distance_m, reach = SCENES[camera]
    true = bent(camera, seed=3)
    collector = ViewCollector(R1, camera, BOARD)
    with BoardRoom(true, camera, BOARD, posture, distance_m, seed=1) as room:
        collect(collector, room, reach)
    outcome = collector.solve()
    mount = measured_mount(R1.cameras[camera], outcome, "2026-01-02T03:04:05+00:00")
    before_m, before_rad = difference(R1.cameras[camera], true.cameras[camera])
    off_m, off_rad = difference(true.cameras[camera], mount)
    assert before_m > 0.015
    assert before_rad > 0.03
    assert off_m < 0.001
    assert np.degrees(off_rad) < 0.1
    assert outcome.rms_px < 0.6
    assert outcome.hints == ()
    # What is kept brings kinematics there, and leaves the description alone.
    save_mount(R1.name, camera, mount)
    measured = Kinematics(with_measured_mounts(load_embodiment("r1")))
    place = measured.pose(optical_frame(camera), posture)[:3, 3]
    truth = Kinematics(true).pose(optical_frame(camera), posture)[:3, 3]
    assert np.linalg.norm(place - truth) < 0.001
    np.testing.assert_array_equal(
        load_embodiment("r1").cameras[camera].position, R1.cameras[camera].position
    )


def test_the_room_shows_the_board_where_it_says() -> None:
    posture, distance_m, reach = SCENES["left_wrist"]
    detector, errors = BoardDetector(BOARD), []
    with BoardRoom(R1, "left_wrist", BOARD, posture, distance_m) as room:
        for _ in range(4):
            room.move(reach)
            frame = room.look(0.0)
            found = detector.detect(frame.color, frame.intrinsics)
            if found is None:
                continue
            to_optical = np.linalg.inv(room.base_from_optical()) @ room.base_from_board
            corners = BOARD.corners[found.corners]
            corners = corners @ to_optical[:3, :3].T + to_optical[:3, 3]
            errors.append(found.pixels - project(corners, frame.intrinsics))
    error_px = np.concatenate(errors)
    assert len(error_px) > 30
    assert np.sqrt(np.mean(np.sum(error_px**2, axis=1))) < 0.2
