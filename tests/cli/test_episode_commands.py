"""`brs episode`: what each command does to a folder, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from brs_cli import episode as command
from brs_ml.episode import EpisodeError, EpisodeInfo, EpisodeReader, EpisodeWriter, Topic
from brs_ml.episode.folder import make_working_folder, save

TOPIC = Topic("/moves", "std_msgs/msg/String", "string data\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten messages, 100 ms apart."""
    writer = EpisodeWriter(
        make_working_folder(tmp_path, "t", 1e9), EpisodeInfo(task="shelf"), [TOPIC]
    )
    for number in range(10):
        writer.write("/moves", 10**9 + number * 10**8, 0, b"")
    drivers = [{"source": "teleop", "start_ns": 10**9, "stop_ns": 15 * 10**8}]
    writer.close(status="saved", drivers=drivers)
    return save(writer.folder)


def test_labels_and_marks_are_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["label", str(path), "--success", "--notes", "slow"])
    assert ": shelf, success, saved\n" in capsys.readouterr().out
    command.main(["label", str(path), "--failure", "--task", "party"])
    command.main(["mark", str(path), "0.25", "grasp"])
    shown = capsys.readouterr().out
    assert ": party, failure, saved\n" in shown and "  notes: slow\n" in shown
    assert "0.00 .. 0.50 s  driven by teleop\n" in shown and "0.25 s  grasp\n" in shown
    command.main(["unmark", str(path), "grasp"])
    assert "grasp" not in capsys.readouterr().out


def test_parts_and_the_trash_say_where_they_are(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(["trim", str(path), "0.45"])
    part = Path(capsys.readouterr().out.strip())
    assert len(list(EpisodeReader(part).messages())) == 5
    command.main(["trash", str(part)])
    trashed = Path(capsys.readouterr().out.strip())
    assert trashed.parent.name == "trash" and not part.exists()
    command.main(["restore", str(trashed)])
    assert Path(capsys.readouterr().out.strip()) == part and part.is_dir()
    with pytest.raises(EpisodeError, match="is empty"):
        command.main(["trim", str(path), "0.5", "0.4"])
