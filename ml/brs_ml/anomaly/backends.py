"""Encoders and judges by name, so that a configuration can say which to use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from brs_ml.anomaly.encoder import ImageTextEncoder
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.judge import Judge

if TYPE_CHECKING:
    from brs_ml.anomaly.small import SmallModels


@dataclass(frozen=True)
class BackendConfig:
    """Which encoder and which judge.

    An encoder is `small`, `conse` or `clip:NAME`, a judge `small`, `likeness` (what the encoder
    says), `vlm:NAME` or `server:URL#MODEL`, where NAME is a hub id or a folder.
    """

    encoder: str = "small"
    judge: str = "small"
    device: str = "cpu"
    key: str = ""  # of a server that wants one


@dataclass
class Backends:
    """Makes what a configuration names.

    Args:
        config: names.
        small: file of the small models' weights.
    """

    config: BackendConfig
    small: Path

    @property
    def described(self) -> str:
        """What makes scores: names, and of the small models which weights.

        Raises:
            AnomalyError: there are no small models.
        """
        names = f"{self.config.encoder}, {self.config.judge}"
        if "small" not in (self.config.encoder, self.config.judge):
            return names
        self._require_small()
        return f"{names}, weights {hashlib.sha256(self.small.read_bytes()).hexdigest()[:12]}"

    def _require_small(self) -> None:
        if not self.small.is_file():
            raise AnomalyError(
                "there are no small models", where=str(self.small), remedy="brs monitor train"
            )

    def make(self) -> tuple[ImageTextEncoder, Judge]:
        """The encoder and the judge.

        Raises:
            AnomalyError: an unknown name, or a model, package or file that is missing.
        """
        loaded: list[SmallModels] = []

        def small() -> SmallModels:
            self._require_small()
            from brs_ml.anomaly.small import SmallModels

            if not loaded:
                loaded.append(SmallModels.load(self.small))
            return loaded[0]

        encoder = _chosen(self.config.encoder, _ENCODERS, "encoder")(self.config, small)
        judge = _chosen(self.config.judge, _JUDGES, "judge")
        if self.config.judge == "likeness":
            return encoder, judge(encoder)
        return encoder, judge(self.config, small)


def _chosen(name: str, known: dict[str, Callable], what: str) -> Callable:
    kind = name.partition(":")[0]
    if kind not in known:
        raise AnomalyError(f"unknown {what} '{name}'", remedy=f"one of {', '.join(known)}")
    return known[kind]


def _small_encoder(config: BackendConfig, small: Callable[[], SmallModels]) -> ImageTextEncoder:
    models = small()
    from brs_ml.anomaly.small import SmallEncoder

    return SmallEncoder(models)


def _small_judge(config: BackendConfig, small: Callable[[], SmallModels]) -> Judge:
    models = small()
    from brs_ml.anomaly.small import SmallJudge

    return SmallJudge(models)


def _clip(config: BackendConfig, small: Callable[[], SmallModels]) -> ImageTextEncoder:
    from brs_ml.anomaly.large import ClipEncoder

    name = config.encoder.partition(":")[2] or "openai/clip-vit-base-patch32"
    return ClipEncoder(name, config.device)


def _conse(config: BackendConfig, small: Callable[[], SmallModels]) -> ImageTextEncoder:
    from brs_ml.anomaly.conse import packaged_conse

    return packaged_conse()


def _likeness(encoder: ImageTextEncoder) -> Judge:
    from brs_ml.anomaly.likeness import LikenessJudge

    return LikenessJudge(encoder)


def _vlm(config: BackendConfig, small: Callable[[], SmallModels]) -> Judge:
    from brs_ml.anomaly.large import VisionLanguageJudge

    name = config.judge.partition(":")[2]
    if not name:
        raise AnomalyError("vlm needs a model", remedy="vlm:HUB_ID or vlm:FOLDER")
    return VisionLanguageJudge(name, config.device)


def _server(config: BackendConfig, small: Callable[[], SmallModels]) -> Judge:
    from brs_ml.anomaly.server import ServerConfig, ServerJudge

    url, _, model = config.judge.partition(":")[2].partition("#")
    try:
        return ServerJudge(ServerConfig(url=url, model=model or "default", key=config.key))
    except ValueError as error:
        raise AnomalyError(str(error), where=url, remedy="server:http://HOST:PORT/v1") from None


_ENCODERS: dict[str, Callable] = {"small": _small_encoder, "conse": _conse, "clip": _clip}
_JUDGES: dict[str, Callable] = {
    "small": _small_judge,
    "likeness": _likeness,
    "vlm": _vlm,
    "server": _server,
}
