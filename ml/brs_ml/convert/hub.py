"""What Hugging Face's hub wants beside the files: a card, and which files are large.

Nothing is uploaded here.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from brs_ml.convert.lerobot_format import VERSION, Info, read_info
from brs_ml.dataset.errors import DatasetError

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
_LARGEST = "n>1M"
_LARGE_FILES = ("*.parquet", "*.mp4", "*.npy")


def write_card(root: Path, licence: str, title: str) -> None:
    """Add README.md and .gitattributes to a LeRobot data set.

    Args:
        root: its folder.
        licence: the hub's name of one, such as cc-by-4.0; only the data's owner knows it.
        title: of the card.

    Raises:
        DatasetError: no licence is named, or there is no LeRobot data set.
    """
    if not licence:
        raise DatasetError(
            "a card names the licence of the data", remedy="--license cc-by-4.0, or your own"
        )
    info = read_info(root)
    header = {
        "pretty_name": title,
        "license": licence,
        "task_categories": ["robotics"],
        "tags": ["LeRobot", "robotics", "brs", *([info.robot] if info.robot else [])],
        "size_categories": [next((name for most, name in _SIZES if info.frames < most), _LARGEST)],
        "configs": [{"config_name": "default", "data_files": "data/*/*.parquet"}],
    }
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    (root / "README.md").write_text(f"---\n{text}---\n\n{_body(info, title)}", "utf-8")
    lines = (f"{pattern} filter=lfs diff=lfs merge=lfs -text" for pattern in _LARGE_FILES)
    (root / ".gitattributes").write_text("\n".join(lines) + "\n", "utf-8")


def _body(info: Info, title: str) -> str:
    rows = "\n".join(
        f"| `{name}` | {feature.dtype} | {' x '.join(map(str, feature.shape))} |"
        for name, feature in info.features.items()
    )
    splits = ", ".join(f"{name} {span}" for name, span in info.splits.items())
    return f"""# {title}

{info.episodes} episodes, {info.frames} steps at {info.fps:g} Hz, \
robot `{info.robot}`. Episodes of each split: {splits}.

LeRobotDataset {VERSION}:

```python
from lerobot.datasets.lerobot_dataset import LeRobotDataset

dataset = LeRobotDataset("{title}", root="path/to/this/folder")
```

| feature | type | a step |
|---|---|---|
{rows}
"""
