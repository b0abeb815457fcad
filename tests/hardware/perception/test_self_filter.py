"""The self-filter against plain geometry: each shape of the files and each point by itself."""

from __future__ import annotations

import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from brs_hardware.collision_config import load_collision_config
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics
from brs_hardware.perception.self_filter import SelfFilter

pytest.importorskip("mujoco")
pytest.importorskip("numba")

FILES = Path(load_embodiment("r1").path).parent
ROBOTS = sorted(path.stem for path in FILES.glob("*.urdf"))
UNSURE_M = 2e-5  # nearer to the border than this, rounding decides


# -- the same by hand -------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """One shape as the files have it."""

    link: str
    kind: str
    size: np.ndarray  # box: half sizes; cylinder, capsule: radius, half length; sphere: radius
    place: np.ndarray  # (4, 4) in the link
    sweep_of: str = ""  # the gripper for whose fingers it stands

    def depth(self, points: np.ndarray) -> np.ndarray:
        """(n,) distance from points (n, 3) in the link to the shape [m], 0 inside."""
        own = (points - self.place[:3, 3]) @ self.place[:3, :3]
        if self.kind == "sphere":
            off = np.linalg.norm(own, axis=1)[:, None] - self.size[0]
        elif self.kind == "capsule":
            on_line = np.clip(own[:, 2], -self.size[1], self.size[1])
            nearest = np.stack([0 * on_line, 0 * on_line, on_line], axis=1)
            off = np.linalg.norm(own - nearest, axis=1)[:, None] - self.size[0]
        elif self.kind == "cylinder":
            across = np.hypot(own[:, 0], own[:, 1]) - self.size[0]
            off = np.stack([across, np.abs(own[:, 2]) - self.size[1]], axis=1)
        else:
            off = np.abs(own) - self.size
        distance: np.ndarray = np.linalg.norm(np.maximum(off, 0.0), axis=1)
        return distance


@cache
def robot_named(name: str) -> Embodiment:
    return load_embodiment(name)


@cache
def pieces(name: str) -> list[Piece]:
    robot, found = robot_named(name), []
    for link in ElementTree.parse(robot.urdf_path).getroot().findall("link"):
        for element in (*link.findall("visual"), *link.findall("collision")):
            form = next(iter(element.find("geometry")))  # type: ignore[arg-type]
            numbers = {key: np.array(value.split(), float) for key, value in form.items()}
            if form.tag == "box":
                size = numbers["size"] / 2
            else:
                size = np.array([numbers["radius"][0], numbers.get("length", np.zeros(1))[0] / 2])
            found.append(Piece(link.attrib["name"], form.tag, size, placed(element)))
    for box in load_collision_config(robot).shapes:
        place = np.eye(4)
        place[:3, 3] = box.position
        sweep = [name for name in robot.GRIPPERS if set(tips(robot, name)) & set(box.stands_for)]
        found.append(Piece(box.link, "box", box.half_size, place, *sweep))
    return found


def placed(element: ElementTree.Element) -> np.ndarray:
    pose, origin = np.eye(4), element.find("origin")
    if origin is not None:
        pose[:3, 3] = np.array(origin.attrib.get("xyz", "0 0 0").split(), float)
        angles = np.array(origin.attrib.get("rpy", "0 0 0").split(), float)
        pose[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix()
    return pose


def tips(robot: Embodiment, gripper: str) -> dict[str, np.ndarray]:
    """Finger link -> the axis along which it opens."""
    joints = [describe(robot).joint(joint) for joint in robot.gripper(gripper).joints]
    return {joint.child: joint.axis for joint in joints}


def by_hand(
    robot: Embodiment, points: np.ndarray, joints: Mapping[str, np.ndarray], padding_m: float
) -> np.ndarray:
    """(n,) distance to the nearest shape that counts."""
    floor = points[:, 2] < load_collision_config(robot).floor_height_m + padding_m
    groups = {name: values for name, values in joints.items() if name in robot.GROUPS}
    poses = Kinematics(robot).poses(tuple(sorted({p.link for p in pieces(robot.name)})), groups)
    hidden = set()
    for gripper in robot.GRIPPERS:
        for tip, axis in tips(robot, gripper).items():
            if gripper not in joints:
                hidden.add(tip)
                continue
            stroke_m = robot.gripper(gripper).to_stroke_mm(float(joints[gripper])) / 1000.0
            poses[tip][:3, 3] += poses[tip][:3, :3] @ axis * stroke_m / 2
    nearest = np.full(len(points), np.inf)
    for piece in pieces(robot.name):
        if piece.link not in hidden and piece.sweep_of not in joints:
            pose = poses[piece.link]
            in_link = (points.astype(float) - pose[:3, 3]) @ pose[:3, :3]
            stands = piece.link.startswith(("base_link", "steer", "wheel"))
            depth = np.where(stands & floor, np.inf, piece.depth(in_link))
            nearest = np.minimum(nearest, depth)
    return nearest


# -- tests ------------------------------------------------------------------------------------


@cache
def filter_of(name: str, padding_m: float) -> SelfFilter:
    return SelfFilter(robot_named(name), padding_m)


@pytest.fixture(scope="module", params=ROBOTS)
def robot(request: pytest.FixtureRequest) -> Embodiment:
    return robot_named(request.param)


@st.composite
def postures(draw: st.DrawFn, robot: Embodiment) -> dict[str, np.ndarray]:
    """Any groups at any place within their limits, grippers open or closed or unknown."""
    share = st.floats(0.0, 1.0)
    posture = {}
    for name in draw(st.sets(st.sampled_from(robot.GROUPS))):
        low, high = robot.group(name).lower, robot.group(name).upper
        shares = draw(st.lists(share, min_size=len(low), max_size=len(low)))
        posture[name] = low + np.array(shares) * (high - low)
    for name in draw(st.sets(st.sampled_from(robot.GRIPPERS))):
        posture[name] = np.array(draw(share))
    return posture


def points_about(
    robot: Embodiment, joints: Mapping[str, np.ndarray], random: np.random.Generator
) -> np.ndarray:
    """(n, 3) float32: some around each link of the robot, some anywhere."""
    links = tuple(sorted({piece.link for piece in pieces(robot.name)}))
    groups = {name: values for name, values in joints.items() if name in robot.GROUPS}
    origins = np.array([p[:3, 3] for p in Kinematics(robot).poses(links, groups).values()])
    near = np.repeat(origins, 40, axis=0) + random.normal(0.0, 0.06, (40 * len(links), 3))
    anywhere = random.uniform(-1.5, 2.0, (500, 3))
    return np.vstack([near, anywhere]).astype(np.float32)


def above_wheels(points: np.ndarray) -> np.ndarray:
    """Those that are not near the floor, which stays the more of the wheels the more padding."""
    high: np.ndarray = points[points[:, 2] > 0.1]
    return high


@pytest.mark.parametrize("name", ROBOTS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_keeps_what_is_outside_of_every_shape(name: str, data: st.DataObject) -> None:
    robot = robot_named(name)
    padding_m = data.draw(st.sampled_from([0.0, 0.01, 0.03]))
    joints = data.draw(postures(robot))
    points = points_about(robot, joints, np.random.default_rng(data.draw(st.integers(0, 2**32))))
    kept = filter_of(name, padding_m).keep(points, joints)
    distance = by_hand(robot, points, joints, padding_m)
    sure = np.abs(distance - padding_m) > UNSURE_M
    if padding_m == 0.0:  # by hand, inside is no different from the surface
        sure = (distance > UNSURE_M) | (distance == 0.0)
    assert np.array_equal(kept[sure], (distance > padding_m)[sure])
    assert 0.02 < (~kept).mean() < 0.98


def test_a_group_left_out_stands_at_zero(robot: Embodiment) -> None:
    random = np.random.default_rng(3)
    zero = {name: np.zeros(len(robot.group(name).joints)) for name in robot.GROUPS}
    points = points_about(robot, zero, random)
    own = filter_of(robot.name, 0.01)
    at_zero = own.keep(points, {})
    assert not np.array_equal(own.keep(points, {"torso": robot.torso.upper / 2}), at_zero)
    assert np.array_equal(own.keep(points, {}), at_zero)  # what was asked before does not matter
    assert np.array_equal(own.keep(points, zero), at_zero)


def between_fingers(robot: Embodiment, gripper: str) -> tuple[np.ndarray, np.ndarray]:
    """(4, 4) of the tool centre in base_link at zero, and the axis (3,) along which it opens."""
    pose = Kinematics(robot).pose(gripper.replace("gripper", "tcp"), {})
    return pose, pose[:3, :3] @ next(iter(tips(robot, gripper).values()))


@pytest.mark.parametrize("gripper", Embodiment.GRIPPERS)
def test_what_an_open_gripper_holds_is_kept(robot: Embodiment, gripper: str) -> None:
    pose, across = between_fingers(robot, gripper)
    held = (pose[:3, 3] + np.linspace(-0.02, 0.02, 9)[:, None] * across).astype(np.float32)
    own = filter_of(robot.name, 0.01)
    assert own.keep(held, {gripper: np.array([0.0])}).all()
    assert not own.keep(held, {gripper: np.array([1.0])}).any()
    assert not own.keep(held, {}).any(), "with the opening unknown, fingers may be anywhere"


@settings(max_examples=20, deadline=None)
@given(closed=st.floats(0.0, 1.0), seed=st.integers(0, 2**32))
@pytest.mark.parametrize("name", ROBOTS)
def test_fingers_go_when_their_opening_is_unknown(name: str, closed: float, seed: int) -> None:
    robot = robot_named(name)
    points = above_wheels(points_about(robot, {}, np.random.default_rng(seed)))
    openings = {gripper: np.array(closed) for gripper in robot.GRIPPERS}
    within = ~filter_of(name, 0.0).keep(points, openings)
    assert not filter_of(name, 0.01).keep(points[within], {}).any()


def test_any_array_of_points_will_do() -> None:
    own = filter_of("r1", 0.01)
    points = points_about(robot_named("r1"), {}, np.random.default_rng(5))
    kept = own.keep(points, {})
    wide = np.full((len(points), 6), 7.0)
    wide[:, ::2] = points
    assert np.array_equal(own.keep(wide[:, ::2], {}), kept)
    assert own.keep(np.zeros((0, 3), np.float32), {}).shape == (0,)
    points[:, 1] = np.nan
    assert own.keep(points, {}).all()


def test_the_floor_stays_beside_and_under_the_wheels(robot: Embodiment) -> None:
    floor_m = load_collision_config(robot).floor_height_m
    places = np.random.default_rng(8).uniform(-0.6, 0.6, (5000, 2))
    noise = np.random.default_rng(9).uniform(-0.009, 0.009, 5000)
    floor = np.column_stack([places, floor_m + noise]).astype(np.float32)
    own = filter_of(robot.name, 0.01)
    assert own.keep(floor, {}).all()
    assert not own.keep(floor + np.float32([0.0, 0.0, 0.05]), {}).all()


def test_more_padding_removes_more() -> None:
    points = above_wheels(points_about(robot_named("r1"), {}, np.random.default_rng(6)))
    removed = [~filter_of("r1", padding_m).keep(points, {}) for padding_m in (0.0, 0.01, 0.03)]
    assert np.all(removed[0] <= removed[1]) and np.all(removed[1] <= removed[2])
    assert removed[0].sum() < removed[1].sum() < removed[2].sum()


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        ({"left_arms": np.zeros(6)}, "did you mean left_arm"),
        ({"left_arm": np.zeros(5)}, "left_arm has 6 joints, got 5"),
        ({"left_gripper": np.zeros(2)}, "left_gripper has one closing fraction, got 2"),
    ],
)
def test_wrong_joints_are_refused(joints: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        filter_of("r1", 0.01).keep(np.zeros((1, 3), np.float32), joints)


def test_wrong_points_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        filter_of("r1", 0.01).keep(np.zeros((3, 4), np.float32), {})


def test_a_negative_padding_is_refused() -> None:
    with pytest.raises(ConfigError, match="padding"):
        SelfFilter(robot_named("r1"), -0.01)


def test_missing_numba_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "brs_hardware.perception.inside", raising=False)
    monkeypatch.delattr("brs_hardware.perception.inside", raising=False)
    with pytest.raises(ConfigError, match=r"brs\[perception\]"):
        SelfFilter(robot_named("r1"), 0.01)


# -- shapes that our robots do not have -------------------------------------------------------


@pytest.fixture
def another(tmp_path: Path) -> Path:
    """R1's files, to be altered."""
    for file in ("r1.yaml", "r1.urdf", "r1_collisions.yaml"):
        shutil.copy(FILES / file, tmp_path)
    return tmp_path


def with_head(folder: Path, form: str) -> Embodiment:
    """R1 with something on a mast, far from everything else, turned."""
    urdf = folder / "r1.urdf"
    shape = f'<origin xyz="0.1 0.2 1.0" rpy="0.3 -0.5 0.8"/><geometry>{form}</geometry>'
    link = f'<link name="head_link"><collision>{shape}</collision>'
    urdf.write_text(urdf.read_text().replace('<link name="head_link">', link))
    return load_embodiment(str(folder / "r1.yaml"))


PLACE = np.eye(4)
PLACE[:3, :3] = Rotation.from_euler("xyz", [0.3, -0.5, 0.8]).as_matrix()
PLACE[:3, 3] = [0.1, 0.2, 1.0]


def about_the_head(robot: Embodiment) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) float32 in base_link, and the same in head_link."""
    pose = Kinematics(robot).pose("head_link", {})
    in_link = PLACE[:3, 3] + np.random.default_rng(7).uniform(-0.2, 0.2, (20_000, 3))
    return (in_link @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32), in_link


@pytest.mark.parametrize(
    ("form", "kind", "size"),
    [
        ('<sphere radius="0.08"/>', "sphere", [0.08]),
        ('<capsule radius="0.05" length="0.16"/>', "capsule", [0.05, 0.08]),
    ],
)
def test_round_shapes(another: Path, form: str, kind: str, size: list[float]) -> None:
    robot = with_head(another, form)
    points, in_link = about_the_head(robot)
    distance = Piece("head_link", kind, np.array(size), PLACE).depth(in_link)
    kept = SelfFilter(robot, 0.01).keep(points, {})
    sure = np.abs(distance - 0.01) > UNSURE_M
    assert np.array_equal(kept[sure], (distance > 0.01)[sure])
    assert (~kept).sum() > 300


def test_a_mesh_counts_as_its_hull_grown_but_not_beyond_its_grown_box(another: Path) -> None:
    corners = np.array([[0, 0, 0], [0.2, 0, 0], [0, 0.15, 0], [0, 0, 0.1]])
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    lines = [f"v {x} {y} {z}" for x, y, z in corners]
    lines += ["f " + " ".join(str(corner + 1) for corner in face) for face in faces]
    (another / "wedge.obj").write_text("\n".join(lines) + "\n")
    robot = with_head(another, '<mesh filename="wedge.obj"/>')
    points, in_link = about_the_head(robot)
    own = (in_link - PLACE[:3, 3]) @ PLACE[:3, :3]
    slope = np.array([1 / 0.2, 1 / 0.15, 1 / 0.1])
    heights = np.column_stack([-own, (own @ slope - 1) / np.linalg.norm(slope)]).max(axis=1)
    kept = SelfFilter(robot, 0.01).keep(points, {})
    # The hull itself goes, and nothing does that is beyond a plane by more than the padding.
    assert not kept[heights < 0.0].any() and (heights < 0.0).sum() > 100
    assert kept[heights > 0.01 + UNSURE_M].all()
    # Beyond a corner it ends at the box: MuJoCo turns that with the mesh's inertia.
    beyond = kept & (heights < 0.01 - UNSURE_M)
    nearest = np.linalg.norm(own[beyond][:, None] - corners, axis=2).min(axis=1)
    assert np.all(nearest > 0.01)


def test_a_box_of_an_unknown_link_is_refused(another: Path) -> None:
    file = another / "r1_collisions.yaml"
    file.write_text(file.read_text().replace("{link: left_arm_base,", "{link: left_arm_bas,"))
    with pytest.raises(ConfigError, match="left_arm_base"):
        SelfFilter(load_embodiment(str(another / "r1.yaml")), 0.01)
