"""A policy on another machine, asked through services; see `policy_server`."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from brs_interfaces.srv import DescribePolicy, PredictChunk
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from brs_ml.policy.checkpoint import PolicyCard
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.observation import Chunk, Committed, Observation
from brs_ml.policy.runtime.predictor import card_from_text, checked
from brs_nodes.policy_messages import chunk_of, to_request

_REMEDY = "start policy_server there, in the same DDS domain and namespace"


class RemotePredictor:
    """Asks a server and waits, in the engine's thread.

    It has a node and an executor of its own: the engine waits while the other node acts.

    Args:
        node: whose names and context it uses.
        timeout_s: patience for an answer.

    Attributes:
        card: what the server has.
        inpaints: whether it heeds what is committed.

    Raises:
        PolicyError: no server answers, or it tells of no policy.
    """

    def __init__(self, node: Node, timeout_s: float) -> None:
        self._timeout_s, self._begins = timeout_s, True
        self._node = Node(
            f"{node.get_name()}_remote",
            context=node.context,
            namespace=node.get_namespace(),
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._predict: Any = self._node.create_client(
            PredictChunk, node.resolve_service_name("policy/predict")
        )
        describe: Any = self._node.create_client(
            DescribePolicy, node.resolve_service_name("policy/describe")
        )
        try:
            described = self._answer(describe, DescribePolicy.Request(), 20.0 * timeout_s)
            self.checkpoint = PurePath(described.checkpoint)
            self.card: PolicyCard = card_from_text(described.card, "the policy server")
        except PolicyError:
            self.close()
            raise
        self.inpaints = self.card.config.kind == "diffusion"

    def reset(self) -> None:
        """The next question begins a new episode."""
        self._begins = True

    def __call__(self, observation: Observation, committed: Committed | None) -> Chunk:
        """See `engine.Predictor`. Raises PolicyError, too, if no answer comes in time."""
        request = to_request(observation, committed, self._begins)
        response = self._answer(self._predict, request, self._timeout_s)
        self._begins = False
        return checked(chunk_of(response, self.card.layout.size), self.card, observation)

    def _answer(self, client: Any, request: Any, timeout_s: float) -> Any:
        if not client.wait_for_service(timeout_s):
            raise PolicyError("is not there", where=client.srv_name, remedy=_REMEDY)
        future = client.call_async(request)
        self._executor.spin_until_future_complete(future, timeout_s)
        if not future.done():
            client.remove_pending_request(future)
            raise PolicyError(f"no answer within {timeout_s:g} s", where=client.srv_name)
        return future.result()

    def close(self) -> None:
        """Give up the services; after the engine has ended."""
        self._executor.shutdown()
        self._node.destroy_node()
