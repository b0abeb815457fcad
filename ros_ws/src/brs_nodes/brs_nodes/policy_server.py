"""Node `policy_server`: a policy on a machine with a GPU, for a `policy` node on another.

One question at a time, each answered by a chunk or by what is wrong. Who asks has a time-out.
"""

from __future__ import annotations

from dataclasses import dataclass

from brs_interfaces.srv import DescribePolicy, PredictChunk
from rclpy.node import Node

from brs_hardware.embodiment import load_embodiment
from brs_ml.dataset.robot_layout import layout_of
from brs_ml.policy.errors import PolicyError
from brs_nodes.common import Diagnostics, declare, parameter, run
from brs_nodes.conversions import doubles
from brs_nodes.policy_messages import from_request
from brs_nodes.policy_setup import as_config_error


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    checkpoint: str = parameter("", "policy to serve, a .safetensors file")
    device: str = parameter("cpu", "that it runs on: cpu or cuda")
    seed: int = parameter(0, "of the noise that chunks are made of", 0, 2**31 - 1)


class PolicyServer(Node):
    """Services around a LocalPredictor."""

    def __init__(self) -> None:
        super().__init__("policy_server")
        chosen = self.parameters = declare(self, Parameters)
        layout = layout_of(load_embodiment(chosen.robot))
        with as_config_error():
            from brs_ml.policy.runtime.predictor import LocalPredictor, card_to_text, described

            # Whoever asks compares the clouds' box with that of its own clouds.
            self.predictor = LocalPredictor(
                chosen.checkpoint, layout, None, chosen.device, chosen.seed
            )
            self.predictor.warm_up()
            self._card = card_to_text(self.predictor.card)
            line = described(self.predictor.card)
        self.diagnostics = Diagnostics(self, lambda: (0, line, {}))
        self.create_service(DescribePolicy, "policy/describe", self._on_describe)
        self.create_service(PredictChunk, "policy/predict", self._on_predict)
        self.get_logger().info(f"serves {line}")

    def _on_describe(
        self, _: DescribePolicy.Request, response: DescribePolicy.Response
    ) -> DescribePolicy.Response:
        response.checkpoint = self.parameters.checkpoint
        response.card = self._card
        return response

    def _on_predict(
        self, request: PredictChunk.Request, response: PredictChunk.Response
    ) -> PredictChunk.Response:
        if request.begins:
            self.predictor.reset()
        try:
            chunk = self.predictor(*from_request(request))
        except (PolicyError, ValueError) as error:
            response.message = str(error)
            return response
        response.success = True
        response.actions = doubles(chunk.actions.ravel())
        response.period_s, response.stamp = chunk.period_s, chunk.stamp_ns
        self.diagnostics.count("chunks")
        return response


def main() -> None:
    run(PolicyServer)
