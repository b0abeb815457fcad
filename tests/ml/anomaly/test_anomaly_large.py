"""Published models: what they are asked, and what their answers become."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from brs_ml.anomaly import AnomalyError
from brs_ml.anomaly.judge import Question

PICTURE = np.full((30, 40, 3), 90, np.uint8)
WORDS = ["yes", "Yes", "no", "No", "other"]


class FakeInputs(dict):
    def to(self, device: object) -> FakeInputs:
        return self


class FakeModel:
    """Odds of WORDS for the next word; writes `text` when asked to write."""

    device = "cpu"
    odds: Sequence[float] = (1.0, 0.0, -1.0, 0.0, 5.0)
    text = "0.3 Nothing is there."

    @classmethod
    def from_pretrained(cls, name: str) -> FakeModel:
        if name != "tiny":
            raise OSError(f"{name} is no folder")
        return cls()

    def eval(self) -> FakeModel:
        return self

    def to(self, device: str) -> FakeModel:
        return self

    def __call__(self, **inputs: object) -> Any:
        if not self.odds:
            raise RuntimeError("out of memory")
        return SimpleNamespace(logits=torch.tensor([[[0.0] * 5, list(self.odds)]]))

    def generate(self, **inputs: object) -> torch.Tensor:
        return torch.tensor([[7, 7, 1, 2, 3]])


class FakeProcessor:
    asked: list[Any] = []

    @classmethod
    def from_pretrained(cls, name: str) -> FakeProcessor:
        return cls()

    @property
    def tokenizer(self) -> Any:
        def decode(tokens: torch.Tensor, skip_special_tokens: bool) -> str:
            assert tokens.tolist() == [1, 2, 3]  # without the question
            return FakeModel.text

        return SimpleNamespace(
            encode=lambda word, add_special_tokens: [WORDS.index(word)], decode=decode
        )

    def apply_chat_template(self, messages: list[Any], **options: object) -> FakeInputs:
        self.asked.append(messages[0]["content"])
        return FakeInputs(input_ids=torch.tensor([[7, 7]]))


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(AutoProcessor=FakeProcessor, AutoModelForImageTextToText=FakeModel)
    monkeypatch.setitem(sys.modules, "transformers", fake)
    FakeProcessor.asked = []


def _rate(written: bool = False) -> Any:
    from brs_ml.anomaly.large import VisionLanguageJudge

    judge = VisionLanguageJudge("tiny", written=written)
    return judge.rate([Question(PICTURE, "a cup", "temporal")])[0]


def test_the_score_is_the_chance_of_yes_among_yes_and_no(transformers: None) -> None:
    yes, no = np.exp([1.0, 0.0]).sum(), np.exp([-1.0, 0.0]).sum()
    assert _rate().score == pytest.approx(yes / (yes + no))
    picture, text = FakeProcessor.asked[0]
    assert picture["image"] is PICTURE
    assert "Context:" in text["text"] and text["text"].endswith("yes or no.")


def test_it_can_be_asked_to_write(transformers: None) -> None:
    verdict = _rate(written=True)
    assert (verdict.score, verdict.reason) == (0.3, "Nothing is there")


def test_a_model_that_fails_is_unknown(
    transformers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeModel, "odds", ())
    verdict = _rate()
    assert verdict.score is None and "out of memory" in verdict.reason


def test_models_that_are_not_there_are_said_to_be(
    transformers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from brs_ml.anomaly.large import ClipEncoder, VisionLanguageJudge

    with pytest.raises(AnomalyError, match="none is no folder"):
        VisionLanguageJudge("none")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(AnomalyError, match="pip install transformers"):
        ClipEncoder("tiny")


def test_clip_is_transformers_clip(tmp_path: Path) -> None:
    package = pytest.importorskip("transformers", reason="transformers is not installed")
    from brs_ml.anomaly.large import ClipEncoder

    _tiny_clip(package, tmp_path)
    encoder = ClipEncoder(str(tmp_path))
    pictures = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    processor = package.CLIPImageProcessor(size=64, crop_size=64)
    inputs = processor(list(pictures), return_tensors="pt")
    model = package.CLIPModel.from_pretrained(tmp_path)
    tokens = package.CLIPTokenizer.from_pretrained(tmp_path)(["a cup"], return_tensors="pt")
    with torch.inference_mode():
        whole = model(**tokens, **inputs)
    np.testing.assert_allclose(encoder.encode_images(pictures), whole.image_embeds, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_texts(["a cup"]), whole.text_embeds, atol=1e-5)
    assert encoder.encode_texts(["long " * 300]).shape == (1, 16)


def _tiny_clip(package: Any, folder: Path) -> None:
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    size |= {"num_attention_heads": 2, "projection_dim": 16}
    text = {"vocab_size": 258, "bos_token_id": 256, "eos_token_id": 257, **size}
    vision = {"image_size": 64, "patch_size": 32, **size}
    config = package.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    package.CLIPModel(config).save_pretrained(folder)
    letters = [chr(33 + i) for i in range(94)]
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {word: i for i, word in enumerate(words)}
    vocabulary |= {"<|startoftext|>": 256, "<|endoftext|>": 257}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    files = (str(folder / "vocab.json"), str(folder / "merges.txt"))
    package.CLIPTokenizer(*files).save_pretrained(folder)
