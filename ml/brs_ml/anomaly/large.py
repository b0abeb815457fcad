"""Published models through transformers, by hub id or folder: CLIP, and vision-language judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from brs_ml.anomaly.answers import parse_answer
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.judge import Question, Verdict
from brs_ml.anomaly.prompts import prompt

_YES_NO = "\n\nIs it there? Answer with the one word yes or no."


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise AnomalyError(
            "transformers is not installed", remedy="pip install transformers"
        ) from None
    return transformers


def _pretrained(kind: Any, name: str, **options: Any) -> Any:
    try:
        return kind.from_pretrained(name, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise AnomalyError(
            f"cannot be loaded: {reason}", where=name, remedy="give a hub id or a folder"
        ) from None


class ClipEncoder:
    """CLIP, such as openai/clip-vit-base-patch32.

    Args:
        name: hub id or folder.
        device: that it runs on.
        normalised: as CLIP was trained; False divides windows by 255 only, as AnyAnomaly's code.

    Raises:
        AnomalyError: transformers or the model is missing.
    """

    def __init__(self, name: str, device: str = "cpu", normalised: bool = True) -> None:
        transformers = _transformers()
        self.name, self._device = name, torch.device(device)
        self._model = _pretrained(transformers.CLIPModel, name).eval().to(self._device)
        self._tokenizer = _pretrained(transformers.AutoTokenizer, name)
        self.side_px = int(self._model.config.vision_config.image_size)
        mean, spread = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if normalised:
            mean, spread = (
                (0.48145466, 0.4578275, 0.40821073),
                (0.26862954, 0.26130258, 0.27577711),
            )
        self._mean = torch.tensor(mean, device=self._device)[:, None, None]
        self._spread = torch.tensor(spread, device=self._device)[:, None, None]

    @torch.inference_mode()
    def encode_images(self, pictures: np.ndarray) -> np.ndarray:
        """See `ImageTextEncoder`."""
        values = torch.from_numpy(np.ascontiguousarray(pictures)).to(self._device)
        values = values.permute(0, 3, 1, 2).float() / 255.0
        seen = self._model.vision_model(pixel_values=(values - self._mean) / self._spread)
        return self._unit(self._model.visual_projection(seen.pooler_output))

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See `ImageTextEncoder`. Texts longer than CLIP reads are cut."""
        tokens = self._tokenizer(
            list(texts), return_tensors="pt", padding=True, truncation=True, max_length=77
        ).to(self._device)
        said = self._model.text_model(**tokens)
        return self._unit(self._model.text_projection(said.pooler_output))

    def knows(self, text: str) -> bool:
        """See `ImageTextEncoder`; it has an idea of everything."""
        return True

    @staticmethod
    def _unit(values: torch.Tensor) -> np.ndarray:
        return torch.nn.functional.normalize(values.float(), dim=-1).cpu().numpy()


class VisionLanguageJudge:
    """A vision-language model, such as Qwen/Qwen2.5-VL-3B-Instruct or SmolVLM.

    By default it is asked yes or no, and the score is the probability of yes among the two, which
    is finer than a number it writes, and needs one pass. Otherwise it writes number and reason.

    Args:
        name: hub id or folder.
        device: that it runs on.
        variant: of the prompt.
        written: score from what it writes, as AnyAnomaly does.

    Raises:
        AnomalyError: transformers or the model is missing.
    """

    def __init__(
        self, name: str, device: str = "cpu", variant: str = "both", written: bool = False
    ) -> None:
        transformers = _transformers()
        self.name, self._variant, self._written = name, variant, written
        self._processor = _pretrained(transformers.AutoProcessor, name)
        kind = transformers.AutoModelForImageTextToText
        self._model = _pretrained(kind, name).eval().to(device)
        tokenizer = self._processor.tokenizer
        self._yes, self._no = (
            [tokenizer.encode(form, add_special_tokens=False)[0] for form in forms]
            for forms in (("yes", "Yes"), ("no", "No"))
        )

    def rate(self, questions: Sequence[Question]) -> list[Verdict]:
        """See `Judge`."""
        return [self._rate(question) for question in questions]

    @torch.inference_mode()
    def _rate(self, question: Question) -> Verdict:
        text = prompt(question.keyword, question.part, self._variant)
        if not self._written:
            text += _YES_NO
        content = [{"type": "image", "image": question.picture}, {"type": "text", "text": text}]
        try:
            inputs = self._processor.apply_chat_template(
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            ).to(self._model.device)
            if self._written:
                return parse_answer(self._write(inputs))
            odds = self._model(**inputs).logits[0, -1].float()
        except (RuntimeError, ValueError, IndexError) as error:
            # Out of memory, or a picture that the model's own code cannot take.
            return Verdict(None, f"{self.name} failed: {' '.join(str(error).split())[:120]}")
        yes, no = (torch.logsumexp(odds[numbers], 0) for numbers in (self._yes, self._no))
        score = float(torch.sigmoid(yes - no))
        return Verdict(score, f"yes with {score:.2f}")

    def _write(self, inputs: Any) -> str:
        begin = inputs["input_ids"].shape[1]
        tokens = self._model.generate(**inputs, max_new_tokens=80, do_sample=False)
        return str(self._processor.tokenizer.decode(tokens[0, begin:], skip_special_tokens=True))
