"""The PyTorch loader gives what the plain one gives, with and without worker processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_episodes import Recipe, TellingClouds, layout, record, settings

from brs_ml.dataset import (
    AugmentConfig,
    BatchPlan,
    Dataset,
    WindowLoader,
    WindowReader,
    WindowSpec,
    build,
    find_episodes,
)
from brs_ml.dataset.torch_loader import TorchLoader


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> WindowReader:
    root: Path = tmp_path_factory.mktemp("torch")
    record(root / "episodes" / "a", Recipe(seconds=1.5))
    episodes = find_episodes([root / "episodes"])
    build(episodes, root / "set", layout(), settings(), clouds=TellingClouds)
    augmentation = AugmentConfig(cloud_jitter_m=0.01, drop_view=0.5)
    return WindowReader(Dataset(root / "set"), WindowSpec(), augmentation=augmentation)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_plain_loader(reader: WindowReader, workers: int) -> None:
    plan = BatchPlan(len(reader), 4, seed=2)
    plain, fast = WindowLoader(reader, plan), TorchLoader(reader, plan, workers=workers)
    for _ in range(2):
        for expected, got in zip(plain, fast, strict=True):
            assert set(got) == set(expected)
            for key, value in expected.items():
                assert torch.equal(got[key], torch.from_numpy(np.array(value)))
            # Workers read ahead; the state tells what was given.
            assert fast.state_dict() == plain.state_dict()


def test_a_stopped_run_goes_on(reader: WindowReader) -> None:
    plan = BatchPlan(len(reader), 2, seed=2)
    whole = [batch["window"].tolist() for batch in TorchLoader(reader, plan)]
    first, second = TorchLoader(reader, plan), TorchLoader(reader, plan)
    begun = [next(iter(first))["window"].tolist()]
    second.load_state_dict(first.state_dict())
    assert begun + [batch["window"].tolist() for batch in second] == whole
    assert second.epoch == 1
