"""A folder of episodes is told of as it is: sound, torn, foreign or hostile, and never left."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml.dataset.synthetic_episodes import Recipe, record

from brs_ml.episode import EpisodeError
from brs_ml.episode.edit import move_to_trash
from brs_ml.episode.folder import lock, mcap_path
from brs_ml.episode.store import Entry, EpisodeStore

SHORT = Recipe(seconds=0.3, drivers=(("teleop", 0.0, 0.15),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    record(tmp_path / "b", SHORT)
    record(tmp_path / "a", Recipe(seconds=0.3, success=False))
    return tmp_path


def only(root: Path, name: str) -> Entry:
    return {entry.name: entry for entry in EpisodeStore(root).entries()}[name]


def change(folder: Path, **values: Any) -> None:
    path = folder / "episode.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_sound_episodes_are_told_by_name(root: Path) -> None:
    first, second = EpisodeStore(root).entries()
    assert (first.name, first.info.success) == ("a", False)
    assert (second.name, second.info.success) == ("b", True)
    assert second.info.instruction == "put the box away"
    assert (second.problem, second.playable) == ("", True)
    assert second.size_bytes == (root / "b" / "b_0.mcap").stat().st_size
    # State, command, and of two cameras colour, depth and information.
    assert second.topics == 8


def test_who_drove_is_a_share_of_the_length(root: Path) -> None:
    info = only(root, "b").info
    moments = [info.start_ns + second * 10**9 for second in (0, 1, 2, 4)]
    drivers = [
        {"source": source, "start_ns": start_ns, "stop_ns": stop_ns}
        for source, start_ns, stop_ns in zip(
            ("teleop", "policy", "teleop"), moments, moments[1:], strict=False
        )
    ]
    change(root / "b", stop_ns=moments[-1], drivers=drivers)
    entry = only(root, "b")
    assert entry.duration_s == pytest.approx(4.0)
    assert entry.driver_shares == pytest.approx({"teleop": 0.75, "policy": 0.25})


def test_a_torn_bag_is_listed_and_can_be_looked_at(root: Path) -> None:
    bag = mcap_path(root / "b")
    bag.write_bytes(bag.read_bytes()[:-20])
    entry = only(root, "b")
    assert "torn" in entry.problem
    assert entry.playable


def test_an_episode_that_is_being_recorded_is_told_from_one_that_crashed(root: Path) -> None:
    (root / "b").rename(root / "b.part")
    assert "killed" in only(root, "b.part").problem
    held = lock(mcap_path(root / "b.part"))
    entry = only(root, "b.part")
    os.close(held)
    assert entry.problem == "is being recorded"
    assert not entry.playable


def test_foreign_folders_say_what_they_lack(root: Path) -> None:
    (root / "empty").mkdir()
    (root / "other").mkdir()
    (root / "other" / "x.mcap").write_bytes(b"not one, but long enough")
    (root / "a" / "episode.json").unlink()
    (root / "file.txt").write_text("no folder")
    (root / ".hidden").mkdir()
    entries = {entry.name: entry for entry in EpisodeStore(root).entries()}
    assert list(entries) == ["a", "b", "empty", "other"]
    assert "no .mcap" in entries["empty"].problem
    assert not entries["empty"].playable
    assert "not an MCAP" in entries["other"].problem
    assert "not recorded by brs" in entries["a"].problem
    assert entries["a"].playable


def test_the_trash_is_listed_apart(root: Path) -> None:
    move_to_trash(root / "a")
    store = EpisodeStore(root)
    assert [entry.name for entry in store.entries()] == ["b"]
    assert [entry.name for entry in store.trash()] == ["a"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "trash", "../x", "a/../b", "/etc", "a\0", "..\\x"]
)
def test_names_that_lead_elsewhere_are_refused(root: Path, name: str) -> None:
    with pytest.raises(EpisodeError):
        EpisodeStore(root).entry(name)


def test_links_that_lead_out_are_listed_but_never_followed(root: Path, tmp_path: Path) -> None:
    inner = root / "inner"
    inner.mkdir()
    (inner / "out").symlink_to(root / "a")
    record(inner / "c", SHORT)
    mcap_path(inner / "c").unlink()
    mcap_path(inner / "c").symlink_to(mcap_path(root / "b"))
    entries = {entry.name: entry for entry in EpisodeStore(inner).entries()}
    for name in ("out", "c"):
        assert "leads out" in entries[name].problem
        assert not entries[name].playable
        assert not entries[name].info.task
    with pytest.raises(EpisodeError, match="leads out"):
        EpisodeStore(inner).entry("out")


def test_there_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="no such folder"):
        EpisodeStore(tmp_path / "none")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '"x"', "\xff"])
def test_a_damaged_description_is_a_line(root: Path, text: str) -> None:
    (root / "b" / "episode.json").write_text(text, encoding="latin-1")
    entry = only(root, "b")
    assert entry.problem == "episode.json is damaged"
    assert entry.playable


def test_a_huge_description_is_not_read(root: Path) -> None:
    (root / "b" / "episode.json").write_text(" " * (5 << 20))
    assert only(root, "b").problem == "episode.json is too large"


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ("task", "success", "drivers", "marks", "pauses", "start_ns", "versions", "lost", "robot")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(FIELDS), value=ANY)
def test_no_value_in_the_description_breaks_the_list(root: Path, field: str, value: Any) -> None:
    sound = (root / "a" / "episode.json").read_text()
    change(root / "a", **{field: value})
    try:
        entry = only(root, "a")
    finally:
        (root / "a" / "episode.json").write_text(sound)
    kept = getattr(entry.info, field)
    # Either it is taken as it is, or the fault is told and the default stands.
    assert field in entry.problem or kept == value
    assert isinstance(entry.duration_s, float)
    assert all(share == share for share in entry.driver_shares.values())
