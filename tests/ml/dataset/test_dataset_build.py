"""From bags to a data set: the rules at each step, what is refused, and what a failure leaves."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_episodes import (
    CAMERAS,
    START_NS,
    Recipe,
    TellingClouds,
    command_at,
    layout,
    picture_at,
    proprioception_at,
    record,
    settings,
)

from brs_ml.dataset import Dataset, DatasetError, Outcome, build, find_episodes
from brs_ml.dataset.bag import Bag
from brs_ml.dataset.format import INDEX
from brs_ml.dataset.splits import split_of
from brs_ml.dataset.writer import PartWriter
from brs_ml.episode import (
    DiskFullError,
    EpisodeError,
    EpisodeInfo,
    EpisodeReader,
    EpisodeWriter,
    Topic,
)


def made(
    root: Path, recipes: dict[str, Recipe] | None = None, out: str = "set", **changes: Any
) -> Dataset:
    """A data set of episodes recorded for it."""
    for name, recipe in (recipes or {"one": Recipe()}).items():
        if not (root / "episodes" / name).exists():
            record(root / "episodes" / name, recipe)
    episodes = find_episodes([root / "episodes"])
    build(episodes, root / out, layout(), settings(**changes), clouds=TellingClouds)
    return Dataset(root / out, verify=True)


def seconds_of(dataset: Dataset) -> np.ndarray:
    return (dataset.column("stamp_ns") - START_NS) * 1e-9


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """One plain episode."""
    return made(tmp_path_factory.mktemp("one"))


def test_each_column_follows_its_rule(one: Dataset) -> None:
    times = seconds_of(one)
    assert one.column("valid").all()
    assert np.diff(times) == pytest.approx(0.1)
    assert times[0] == pytest.approx(0.1)  # the wrist camera begins after the tick at 0
    assert times[-1] == pytest.approx(1.9)
    expected = np.array([proprioception_at(t) for t in times])
    assert one.column("proprioception") == pytest.approx(expected, abs=1e-6)
    joints = np.array([command_at(t) for t in times])[:, 3:]
    assert one.column("action")[:, 3:] == pytest.approx(joints, abs=1e-6)
    # Ten commands hold for 10 ms each.
    way = [np.mean([command_at(t + i / 100)[:3] for i in range(10)], axis=0) for t in times]
    assert one.column("action")[:, :3] == pytest.approx(np.array(way), abs=1e-6)


def test_pictures_and_clouds_are_of_the_newest_frame(one: Dataset) -> None:
    for step, time in enumerate(seconds_of(one)):
        cloud = one.cloud(step, 3)
        for number, camera in enumerate(CAMERAS):
            frames = 0.01 * number + np.arange(0.0, 2.0, 1 / 15)
            newest = frames[frames <= time + 1e-9].max()
            image = one.image(f"image.{camera}", step)
            assert np.abs(image.astype(int) - picture_at(newest, camera)).max() <= 3
            assert one.column("image_age")[step, number] == pytest.approx(time - newest, abs=1e-5)
            # The cloud was made of this frame, with the joints at its own stamp.
            near = cloud[np.argmin(np.abs(cloud[:, 0] - newest / 10))]
            expected = (newest / 10, proprioception_at(newest)[3], (1 + newest) / 10)
            assert near[:3] == pytest.approx(expected, abs=1e-3)
            assert near[3:] * 255 == pytest.approx(picture_at(newest, camera)[0, 0], abs=0.5)
        # The heading passes pi without a jump.
        head = 0.1 * (3 + max(f for f in np.arange(0.0, 2.0, 1 / 15) if f <= time + 1e-9))
        assert np.abs(cloud[:, 2] - head).min() < 1e-3


def test_a_gap_is_marked_and_nothing_is_repeated(tmp_path: Path) -> None:
    def gap(kind: str, seconds: float) -> bool:
        start = {"state": 0.4, "command": 0.8, "head": 1.2}.get(kind, 9.0)
        return start < seconds < start + 0.35

    dataset = made(tmp_path, {"one": Recipe(seconds=2.5, gap=gap)})
    times, valid = seconds_of(dataset), dataset.column("valid")
    action_valid = dataset.column("action_valid")
    proprioception, action = dataset.column("proprioception"), dataset.column("action")

    def around(start: float) -> np.ndarray:
        return (times > start + 0.01) & (times < start + 0.34)

    assert not valid[around(0.4)].any()
    assert np.isnan(proprioception[around(0.4)]).all()
    # The command in force may be 0.1 s old: at 0.9 s it is not yet too old, but grows so.
    stale = (times > 0.85) & (times < 1.14)
    assert not action_valid[stale].any()
    assert not valid[stale].any()
    assert np.isnan(action[stale]).all()
    blind = (times > 1.41) & (times < 1.54)
    assert not valid[blind].any()
    assert action_valid[blind].all()
    assert np.isfinite(proprioception[valid]).all()
    assert np.isfinite(action[valid]).all()
    entry = dataset.episodes[0]
    assert entry.invalid_steps == (~valid).sum()
    assert entry.source["missing"]["pictures"] > 0
    with pytest.raises(DatasetError, match="has no cloud"):
        dataset.cloud(int(np.flatnonzero(blind)[0]))


def test_a_slow_camera_repeats_openly(tmp_path: Path) -> None:
    dataset = made(tmp_path, {"one": Recipe(picture_hz=6.0)})
    assert dataset.episodes[0].source["repeated_pictures"] > 0
    assert dataset.column("image_age").max() > 0.1


def test_only_steps_that_somebody_drove_are_taken(tmp_path: Path) -> None:
    drivers = (("teleop", 0.45, 1.0), ("policy", 1.25, 1.75))
    dataset = made(tmp_path, {"one": Recipe(drivers=drivers)})
    times = seconds_of(dataset)
    assert times[[0, -1]] == pytest.approx([0.5, 1.7])
    assert dataset.column("driver").tolist() == [1] * 5 + [0] * 3 + [2] * 5
    assert dataset.column("valid").tolist() == [True] * 5 + [False] * 3 + [True] * 5


def test_clocks_that_step_back_or_jump_are_failures_and_others_go_on(tmp_path: Path) -> None:
    recipes = {
        "back": Recipe(clock=lambda s: s if s < 1 else s - 0.5),
        "good": Recipe(),
        "jump": Recipe(clock=lambda s: s if s < 1 else s + 9e4),
    }
    dataset = made(tmp_path, recipes)
    assert [entry.name for entry in dataset.episodes] == ["good"]
    assert "stepped back by 0.49" in dataset.index.left_out["back"]
    assert "90000.0 s from the recorder's clock" in dataset.index.left_out["jump"]


def test_a_torn_bag_gives_what_was_whole_and_is_marked(tmp_path: Path) -> None:
    bag = record(tmp_path / "episodes" / "torn") / "torn_0.mcap"
    bag.write_bytes(bag.read_bytes()[: bag.stat().st_size // 2])
    dataset = made(tmp_path, {"whole": Recipe()})
    torn, whole = dataset.episodes
    assert (torn.torn, whole.torn) == (True, False)
    assert 3 <= torn.steps < whole.steps


@pytest.mark.parametrize("damage", ["empty", "garbage", "inside", "no depth"])
def test_a_bag_that_cannot_be_used_is_listed(tmp_path: Path, damage: str) -> None:
    folder = record(tmp_path / "episodes" / "bad", Recipe(depth=damage != "no depth"))
    bag = folder / "bad_0.mcap"
    data = bytearray(bag.read_bytes())
    if damage == "empty":
        data = bytearray()
    elif damage == "garbage":
        data = bytearray(b"x" * 5000)
    elif damage == "inside":
        data[len(data) // 3] ^= 0xFF
    bag.write_bytes(data)
    dataset = made(tmp_path, {"good": Recipe()})
    assert [entry.name for entry in dataset.episodes] == ["good"]
    assert dataset.index.left_out["bad"]


def test_failed_episodes_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    recipes = {"done": Recipe(), "failed": Recipe(success=False)}
    dataset = made(tmp_path, recipes)
    assert dict(dataset.index.left_out) == {"failed": "the task failed"}
    both = made(tmp_path, recipes, out="both", failures=True)
    assert [entry.success for entry in both.episodes] == [True, False]


@pytest.mark.parametrize(
    ("other", "message", "allowed"),
    [
        (Recipe(robot="r1_pro"), "robot", ""),
        (Recipe(focal=31.0), "calibration of head", "calibration"),
        (Recipe(state_hz=40.0), "state has", "rates"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    tmp_path: Path, other: Recipe, message: str, allowed: str
) -> None:
    recipes = {"a": Recipe(), "b": other, "c": Recipe()}
    with pytest.raises(DatasetError, match=message) as caught:
        made(tmp_path, recipes)
    assert [path.name for path in tmp_path.iterdir()] == ["episodes"]
    if allowed:
        assert f"--allow {allowed}" in caught.value.remedy
        assert len(made(tmp_path, recipes, differences=(allowed,)).episodes) == 3


def test_another_robot_than_the_layouts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="r1_pro, not r1"):
        made(tmp_path, {"a": Recipe(robot="r1_pro")})
    dataset = made(tmp_path / "wrong_arms", {"a": Recipe(), "b": Recipe(arm=7)})
    assert "left_arm has 7 numbers, r1 has 6" in dataset.index.left_out["b"]


def test_splits_hold_out_whole_episodes_and_stay(tmp_path: Path) -> None:
    names = [f"e{i}" for i in range(200)]
    splits = {name: split_of(name, 0.2) for name in names}
    share = sum(split == "validation" for split in splits.values()) / len(names)
    assert 0.1 < share < 0.3
    # A larger share takes none back, and another seed chooses others.
    assert all(split_of(n, 0.5) == "validation" for n, s in splits.items() if s == "validation")
    assert any(split_of(n, 0.2, seed=1) != s for n, s in splits.items())
    held_out = next(name for name, split in splits.items() if split == "validation")
    kept = next(name for name, split in splits.items() if split == "train")
    dataset = made(tmp_path, {held_out: Recipe(), kept: Recipe()}, validation_share=0.2)
    assert {e.name: e.split for e in dataset.episodes} == {held_out: "validation", kept: "train"}
    with pytest.raises(DatasetError, match="all episodes"):
        made(tmp_path / "alone", {held_out: Recipe()}, validation_share=0.2)


def test_statistics_are_those_of_valid_training_steps(tmp_path: Path) -> None:
    names = [f"e{i}" for i in range(99)]
    held_out = next(name for name in names if split_of(name, 0.2) == "validation")
    kept = next(name for name in names if split_of(name, 0.2) == "train")
    far = Recipe(state_of=lambda seconds: np.full(21, 7.0))
    recipes = {held_out: far, kept: Recipe(gap=lambda kind, s: kind == "head" and 0.9 < s < 1.4)}
    dataset = made(tmp_path, recipes, validation_share=0.2)
    entry = next(entry for entry in dataset.episodes if entry.split == "train")
    rows = slice(entry.first, entry.first + entry.steps)
    assert not dataset.column("valid")[rows].all()
    for feature in ("proprioception", "action"):
        values = dataset.column(feature)[rows][dataset.column("valid")[rows]].astype(float)
        found = dataset.index.statistics[feature]
        assert found["mean"] == pytest.approx(values.mean(axis=0))
        assert found["std"] == pytest.approx(values.std(axis=0))
        assert found["min"] == pytest.approx(values.min(axis=0))
        assert found["max"] == pytest.approx(values.max(axis=0))
        assert found["q05"] == pytest.approx(np.quantile(values, 0.05, axis=0))
    limits = dataset.index.features["action"]
    assert (limits.lower[0], limits.upper[20]) == (-0.4, 1.0)


def test_workers_give_the_same_bytes(tmp_path: Path) -> None:
    recipes = {name: Recipe(seconds=0.6) for name in ("a", "b")}
    alone = made(tmp_path, recipes)
    episodes = find_episodes([tmp_path / "episodes"])
    build(episodes, tmp_path / "two", layout(), settings(), clouds=TellingClouds, workers=2)
    # The index has the checksum of every file.
    assert (tmp_path / "two" / INDEX).read_bytes() == (alone.root / INDEX).read_bytes()


def killed() -> TellingClouds:
    os.kill(os.getpid(), signal.SIGKILL)
    return TellingClouds()


def test_a_killed_worker_ends_the_build_with_a_clear_error(tmp_path: Path) -> None:
    folders = [record(tmp_path / "episodes" / name, Recipe(seconds=0.3)) for name in "ab"]
    with pytest.raises(DatasetError, match="a worker was killed"):
        build(folders, tmp_path / "set", layout(), settings(), clouds=killed, workers=2)
    assert not (tmp_path / "set").exists()


def test_a_picture_of_another_size_than_told_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a picture is 32 x 24, camera_info tells of 32 x 48"):
        made(tmp_path, {"odd": Recipe(told_height=48)})
    with pytest.raises(DatasetError, match="picture size of head is 32 x 48"):
        made(tmp_path, {"first": Recipe()}, differences=("calibration",))


def test_no_step_complete_is_said_with_numbers(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no step of \d+ is complete.*action or driver: \d+"):
        made(tmp_path, {"one": Recipe(drivers=(("teleop", 50.0, 60.0),))})


def test_a_broken_off_build_goes_on_and_does_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = {name: Recipe(seconds=0.6) for name in ("a", "b", "c")}

    def stop(outcome: Outcome, done: int, count: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for name, recipe in recipes.items():
        record(tmp_path / "episodes" / name, recipe)
    episodes = find_episodes([tmp_path / "episodes"])
    arguments: tuple[Any, ...] = (episodes, tmp_path / "set", layout(), settings())
    with pytest.raises(KeyboardInterrupt):
        build(*arguments, clouds=TellingClouds, progress=stop)
    assert not (tmp_path / "set").exists()
    written: list[str] = []
    finish = PartWriter.finish
    monkeypatch.setattr(
        PartWriter,
        "finish",
        lambda self, *a, **k: (written.append(self._target.name), finish(self, *a, **k))[1],
    )
    index = build(*arguments, clouds=TellingClouds)
    assert written == ["c"]
    assert [entry.name for entry in index.episodes] == ["a", "b", "c"]
    assert not (tmp_path / "set.part").exists()
    Dataset(tmp_path / "set", verify=True)


def test_other_settings_or_a_changed_bag_are_built_anew(tmp_path: Path) -> None:
    record(tmp_path / "episodes" / "a", Recipe(seconds=0.6))
    episodes = find_episodes([tmp_path / "episodes"])

    def broken_off(**changes: Any) -> float:
        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            build(
                episodes,
                tmp_path / "set",
                layout(),
                settings(**changes),
                clouds=TellingClouds,
                progress=stop,
            )
        return (tmp_path / "set.part/parts/a/part.json").stat().st_mtime_ns

    first = broken_off()
    assert broken_off() == first
    # How episodes are divided is settled at the end, and does not undo what was done.
    assert broken_off(validation_share=0.1) == first
    second = broken_off(jpeg_quality=50)
    assert second != first
    shutil.rmtree(tmp_path / "episodes" / "a")
    record(tmp_path / "episodes" / "a", Recipe(seconds=0.7))
    assert broken_off(jpeg_quality=50) != second


@pytest.mark.parametrize("stage", ["blob", "columns"])
def test_a_full_disk_leaves_no_half_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if stage == "blob":
            patch.setattr(PartWriter, "add", full)
        else:
            patch.setattr("brs_ml.dataset.writer._concatenate", full)
        with pytest.raises(DiskFullError, match="disk is full"):
            made(tmp_path)
    assert not (tmp_path / "set").exists()
    assert not list((tmp_path / "set.part").rglob(".*.new"))
    assert made(tmp_path).episodes[0].name == "one"


def test_what_exists_or_is_in_work_is_not_touched(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(DatasetError, match="exists"):
        made(tmp_path)

    def again(*_: object) -> None:
        with pytest.raises(DatasetError, match="another build"):
            build(episodes, tmp_path / "new", layout(), settings(), clouds=TellingClouds)

    episodes = find_episodes([tmp_path / "episodes"])
    build(episodes, tmp_path / "new", layout(), settings(), clouds=TellingClouds, progress=again)


def test_episodes_are_found_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    for place in ("a/one", "a/trash/two", "a/three.part", "b/one"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "x.mcap").touch()
    assert find_episodes([tmp_path / "a"]) == [tmp_path / "a/one"]
    assert find_episodes([tmp_path / "b/one"]) == [tmp_path / "b/one"]
    with pytest.raises(DatasetError, match="has the name of"):
        find_episodes([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(DatasetError, match="no episode"):
        find_episodes([tmp_path / "c"])
    (tmp_path / "b/bad name").mkdir()
    (tmp_path / "b/bad name/x.mcap").touch()
    with pytest.raises(DatasetError, match="no name"):
        find_episodes([tmp_path / "b"])


Damage = Callable[[Path], None]


def flip(path: str) -> Damage:
    """Change one bit in the middle of a file, not its size."""

    def damage(root: Path) -> None:
        data = bytearray((root / path).read_bytes())
        data[len(data) // 2] ^= 1
        (root / path).write_bytes(data)

    return damage


def in_index(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(root: Path) -> None:
        values = json.loads((root / INDEX).read_text())
        change(values)
        (root / INDEX).write_text(json.dumps(values))

    return damage


def named_file(path: str) -> Damage:
    return in_index(lambda values: values["files"].update({path: values["files"].popitem()[1]}))


def linked_out(root: Path) -> None:
    target = root.parent / "elsewhere"
    (root / "columns/action.npy").rename(target)
    (root / "columns/action.npy").symlink_to(target)


@pytest.mark.parametrize(
    ("damage", "message", "verify"),
    [
        (flip("columns/action.npy"), "checksum", True),
        (flip("blobs/one/cloud.bin"), "checksum", True),
        (flip("blobs/one/image.head.bin"), "checksum", True),
        (lambda root: (root / "columns/valid.npy").unlink(), "0 bytes of", False),
        (lambda root: (root / "blobs/one/cloud.bin").write_bytes(b"x"), "1 bytes of", False),
        (lambda root: (root / INDEX).unlink(), "no data set", False),
        (lambda root: (root / INDEX).write_text("{"), "damaged", False),
        (in_index(lambda v: v.update(version=99)), "version 99", False),
        (in_index(lambda v: v.update(format="zip")), "is no brs-dataset", False),
        (in_index(lambda v: v["episodes"][0].update(name="../x")), "no name", False),
        (in_index(lambda v: v["episodes"][0].update(steps="9")), "damaged", False),
        (in_index(lambda v: v["episodes"][0].update(first=3)), "begins at 3", False),
        (
            in_index(lambda v: v["files"].update({"../../x": v["files"].popitem()[1]})),
            "no name",
            0,
        ),
        (in_index(lambda v: v["files"].update({"/etc/x": v["files"].popitem()[1]})), "no name", 0),
        (in_index(lambda v: v["features"].update({"a/../b": {}})), "damaged", False),
        (in_index(lambda v: v["features"]["action"].update(dtype="|O")), "plain numbers", False),
        (linked_out, "leads out", False),
    ],
)
def test_damage_and_malice_are_found(
    one: Dataset, tmp_path: Path, damage: Damage, message: str, verify: bool
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(one.root, root)
    Dataset(root, verify=True)
    damage(root)
    with pytest.raises(EpisodeError, match=message):
        Dataset(root, verify=verify)


def test_a_damaged_cloud_is_found_when_it_is_read(one: Dataset, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(one.root, root)
    path = root / "blobs/one/cloud.bin"
    data = bytearray(path.read_bytes())
    data[12] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="a cloud is damaged"):
        Dataset(root).cloud(0)


def test_what_is_asked_for_and_not_there_is_named(one: Dataset) -> None:
    with pytest.raises(DatasetError, match="no column 'actoin'"):
        one.column("actoin")
    with pytest.raises(DatasetError, match=r"no 'image\.tail'"):
        one.image("image.tail", 0)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Pictures that wait for their tick are the only ones in memory."""
    from brs_ml.dataset import frames

    most = 0
    newest = frames.FrameQueue.newest

    def watch(self: frames.FrameQueue, tick_ns: int, oldest_ns: int) -> int | None:
        nonlocal most
        most = max(most, len(self.colors), len(self.depths))
        return newest(self, tick_ns, oldest_ns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames.FrameQueue, "newest", watch)
        made(tmp_path, {"one": replace(Recipe(), seconds=6.0, gap=lambda k, s: k == "depth")})
    assert 0 < most <= 0.8 * 15


@pytest.mark.parametrize("topics", [None, ["/robot/state", "/camera/head/depth/image_raw"]])
def test_the_fast_reader_reads_what_the_full_one_reads(
    tmp_path: Path, topics: list[str] | None
) -> None:
    folder = record(tmp_path / "one", Recipe(seconds=0.5))
    fast, full = Bag(folder), EpisodeReader(folder)
    assert fast.span_ns == full.span_ns
    assert {t.name: (t.type, t.schema_text, n) for t, n in fast.counts.items()} == {
        t.name: (t.type, t.schema_text, n) for t, n in full.counts.items()
    }

    def key(message: Any) -> tuple[int, str]:
        return message.log_time_ns, message.topic

    read = list(fast.messages(topics))
    assert sorted(read, key=key) == sorted(full.messages(topics), key=key)
    times = np.array([message.log_time_ns for message in read])
    assert (np.maximum.accumulate(times) - times).max() <= 250_000_000


def test_a_bag_that_was_written_out_of_order_is_read_in_order(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, EpisodeInfo(), [Topic("/a", "std_msgs/msg/String")])
    for second in (5, 6, 1, 2, 9):
        writer.write("/a", second * 10**9, 0, b"x" * 10)
        writer.tick(float(second) * 10)
    writer.close()
    times = [message.log_time_ns // 10**9 for message in Bag(tmp_path).messages()]
    assert times == [1, 2, 5, 6, 9]
