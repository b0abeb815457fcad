"""The small models learn, come back from their file, and know what they do not know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from brs_ml.anomaly import AnomalyError
from brs_ml.anomaly.judge import Question
from brs_ml.anomaly.small import (
    SmallConfig,
    SmallEncoder,
    SmallJudge,
    SmallModels,
    content_words,
    judge_input,
)
from brs_ml.anomaly.training import (
    EncoderData,
    JudgeData,
    QuestionDraw,
    TrainingConfig,
    least_loss,
    train_judge,
    train_small,
    vocabulary_of,
)
from brs_ml.anomaly.windows import two_by_two

PHRASES = {"bright": ["a lamp", "sunlight"], "stuck": ["a stuck robot", "the robot is stuck"]}
RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def models() -> SmallModels:
    """Taught that light upper halves are lamps, and that what does not move is stuck."""
    torch.set_num_threads(1)
    config = TrainingConfig(encoder_steps=30, judge_steps=30, encoder_batch=16, judge_batch=8)
    lit = RANDOM.random(64) < 0.5
    pictures = RANDOM.integers(0, 60, (64, 64, 64, 3), dtype=np.uint8)
    pictures[lit, :32] += 150
    shows = np.stack([lit, np.full(64, np.nan)], axis=1).astype(np.float32)
    made = train_small(PHRASES, EncoderData(pictures, shows), config)
    moments = _four(64)
    data = JudgeData(moments[0], np.ones(64, int), moments[1])
    train_judge(made, PHRASES, [data], config)
    return made


def _four(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Four cells each, (count, 4, 32, 32, 3), and whether all are the same."""
    first = RANDOM.integers(0, 255, (count, 1, 4, 4, 3), dtype=np.uint8)
    others = RANDOM.integers(0, 255, (count, 3, 4, 4, 3), dtype=np.uint8)
    still = (RANDOM.random(count) < 0.5).astype(np.float32)
    others[still > 0.5] = first[still > 0.5]
    cells = np.concatenate([first, others], axis=1)
    return cells.repeat(8, axis=2).repeat(8, axis=3), still


def test_words_that_say_nothing_are_left_out() -> None:
    assert content_words("A photo of the STUCK robot, in a room.") == ["stuck", "robot"]
    assert vocabulary_of(PHRASES) == ("lamp", "robot", "stuck", "sunlight")


def test_the_encoder_learnt(models: SmallModels) -> None:
    encoder = SmallEncoder(models)
    dark = RANDOM.integers(0, 60, (20, 64, 64, 3), dtype=np.uint8)
    light = dark.copy()
    light[:, :32] += 150
    lamp = encoder.encode_texts(["a lamp"])[0]
    both = encoder.encode_images(np.concatenate([light, dark])) @ lamp
    assert both[:20].min() > both[20:].max()
    np.testing.assert_allclose(np.linalg.norm(encoder.encode_images(dark), axis=1), 1.0, atol=1e-5)


def test_a_pictures_code_does_not_depend_on_its_batch(models: SmallModels) -> None:
    encoder = SmallEncoder(models)
    pictures = RANDOM.integers(0, 255, (7, 64, 64, 3), dtype=np.uint8)
    alone = np.concatenate([encoder.encode_images(picture[None]) for picture in pictures])
    np.testing.assert_allclose(encoder.encode_images(pictures), alone, atol=1e-5)


def test_the_judge_learnt_what_a_single_moment_cannot_tell(models: SmallModels) -> None:
    moments, still = _four(40)
    with torch.inference_mode():
        odds = models.judge(torch.from_numpy(moments), ["the robot is stuck"] * 40).numpy()
    assert np.mean((odds > 0.0) == (still > 0.5)) >= 0.9


def test_cells_of_a_grid_become_moments() -> None:
    cells = [np.full((112, 112, 3), i, np.uint8) for i in range(4)]
    assert judge_input(two_by_two(cells), True)[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert judge_input(np.zeros((480, 640, 3), np.uint8), False).shape == (1, 224, 224, 3)


def test_unknown_words_are_unknown(models: SmallModels) -> None:
    encoder, judge = SmallEncoder(models), SmallJudge(models)
    for text in ("a purple elephant", "a lamp elephant", "лампа", "the of a", "!"):
        assert not encoder.knows(text)
        picture = np.zeros((30, 30, 3), np.uint8)
        known, unknown = judge.rate(
            [Question(picture, "a lamp", "key_frame"), Question(picture, text, "temporal")]
        )
        assert known.score is not None and unknown.score is None
    assert encoder.knows("stuck robot")


def test_they_come_back_from_their_file(models: SmallModels, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    models.save(path)
    again = SmallModels.load(path)
    picture = RANDOM.integers(0, 255, (100, 120, 3), dtype=np.uint8)
    question = [Question(picture, "a lamp", part) for part in ("key_frame", "temporal")]
    for ours, theirs in zip(
        SmallJudge(models).rate(question), SmallJudge(again).rate(question), strict=True
    ):
        assert ours.score == pytest.approx(theirs.score, abs=5e-3)  # kept in half precision
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AnomalyError, match="small"):
        SmallModels.load(path)
    other = SmallModels.fresh(SmallConfig(("lamp",), features=32))
    other.save(path)
    with pytest.raises(AnomalyError, match="no file"):
        SmallModels.load(tmp_path / "none")
    assert SmallModels.load(path).config.features == 32


def test_what_is_badly_known_is_asked_more_often_and_each_answer_half_the_time() -> None:
    concept = np.repeat([0, 1, 3], [300, 20, 10])  # nothing of the third
    present = np.zeros(330, np.float32)
    present[:30], present[300:305] = 1.0, 1.0
    draw = QuestionDraw(JudgeData(np.zeros((330, 1)), concept, present), 4)
    random = np.random.default_rng(0)

    def shares() -> list[float]:
        drawn = concept[draw.samples(3000, random)]
        return [float((drawn == c).mean()) for c in range(4)]

    assert shares() == pytest.approx([1 / 3, 1 / 3, 0.0, 1 / 3], abs=0.05)
    for _ in range(500):
        draw.learn(np.array([0, 1, 3]), np.array([0.1, 0.7, 0.0]))
    assert shares() == pytest.approx([0.1 / 0.85, 0.7 / 0.85, 0.0, 0.05 / 0.85], abs=0.04)
    drawn = draw.samples(3000, random)
    for which in (0, 1):
        assert present[drawn[concept[drawn] == which]].mean() == pytest.approx(0.5, abs=0.06)


def test_the_best_answer_to_a_soft_label_is_no_error() -> None:
    labels = torch.tensor([0.0, 0.5, 1.0])
    best = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor([-30.0, 0.0, 30.0]), labels, reduction="none"
    )
    assert torch.allclose(best, least_loss(labels), atol=1e-6)
    assert least_loss(labels)[1] > 0.6
