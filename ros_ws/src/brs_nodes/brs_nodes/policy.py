"""Node `policy`: what the robot sees in, whole-body commands out. A ROS 2 lifecycle node.

    robot/state, perception/cloud or pictures -> ObservationSync -> [inference thread]
                                                                          | chunk
    policy/command <- at `command_hz` <- CommandStream <------------------+
    policy/state

It gives no command without fresh observations and a chunk that followed from fresh ones: then it
is silent, `policy/state` tells why, and the robot node brakes and holds, as for any source that
falls silent. It goes on by itself, from where the robot stands, once all is well again.

A command's stamp is the moment that it is for. Lifecycle: inactive (the checkpoint is loaded, and
nothing told), active (commands).
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from pathlib import PurePath
from typing import Any

import numpy as np
from brs_interfaces.msg import PolicyState, WholeBodyCommand, WholeBodyState
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_hardware.perception.config import load_cloud
from brs_ml.dataset.robot_layout import layout_of
from brs_ml.policy.runtime import CommandStream, HandoverConfig, ObservationSync, SyncConfig
from brs_ml.policy.runtime.engine import Answer, ChunkEngine
from brs_nodes import conversions
from brs_nodes.common import (
    COMMAND_DEADLINE,
    LATCHED,
    Diagnostics,
    Inbox,
    Priority,
    declare,
    log,
    now_s,
    run,
    set_priority,
)
from brs_nodes.policy_feed import STATES, PolicyFeed
from brs_nodes.policy_messages import command_of
from brs_nodes.policy_setup import PolicyParameters, as_config_error

STATE_S = 0.5  # between two messages of policy/state while nothing changes
_REMEMBERED = 100  # latencies


class PolicyNode(LifecycleNode):
    """Thin shell around ObservationSync, ChunkEngine and CommandStream."""

    def __init__(self) -> None:
        super().__init__("policy")
        self.parameters = declare(self, PolicyParameters)
        self._configured = self._active = False
        if self.parameters.autostart:
            # A user's error ends the process in one line, as in every other node.
            self._configure()
            self.trigger_configure()
            self.trigger_activate()

    # -- lifecycle -------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the checkpoint, compare it with the robot, open all topics."""
        try:
            self._configure()
        except BrsError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin anew: nothing was seen, nothing is planned."""
        self._begin()
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Fall silent."""
        self._active = False
        self.stream.clear()
        self._report()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close all topics and forget the checkpoint."""
        self.close()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As cleaning up, for good."""
        self.close()
        return super().on_shutdown(state)

    def _configure(self) -> None:
        if self._configured:
            return
        chosen = self.parameters
        self.layout = layout_of(load_embodiment(chosen.robot))
        clouds = load_cloud(chosen.cloud)
        with as_config_error():
            self._load((clouds.crop.lower.tolist(), clouds.crop.upper.tolist()))
            card = self.predictor.card
            sources: tuple[str, ...] = ("cloud",)
            if card.config.vision == "images":
                sources = tuple(f"image.{camera}" for camera in card.cameras)
            rate_hz, steps = card.data.rate_hz, card.config.observations
            age_s = chosen.max_observation_age_s
            self.sync = ObservationSync(SyncConfig(rate_hz, steps, sources, max_age_s=age_s))
            handover = HandoverConfig(
                chosen.handover, chosen.blend_s, max_chunk_age_s=chosen.max_chunk_age_s
            )
            self.stream = CommandStream(self.layout, handover)
        points = card.config.cloud_points
        self.feed = PolicyFeed(self.layout, self.sync, clouds, points, chosen.part_clouds)
        self._latencies_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._chunk_times_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._message = PolicyState(
            checkpoint=str(self._checkpoint),
            policy=self._described,
            robot=card.layout.robot,
            data=card.data.checksum,
            handover=chosen.handover,
        )
        self._open()
        self.engine.start()
        self._begin()
        self._configured = True
        self.get_logger().info(f"{self._checkpoint.name}: {self._described}")
        set_priority(Priority.CONTROL)

    def _load(self, box: tuple[list[float], list[float]]) -> None:
        """The policy, here or on a server; see `as_config_error`."""
        from brs_ml.policy.runtime.predictor import LocalPredictor, check_fit, described

        chosen = self.parameters
        if chosen.checkpoint:
            local = LocalPredictor(chosen.checkpoint, self.layout, box, chosen.device, chosen.seed)
            local.warm_up()
            self.predictor: Any = local
            self._checkpoint = PurePath(chosen.checkpoint)
        else:
            from brs_nodes.policy_remote import RemotePredictor

            remote = RemotePredictor(self, chosen.inference_timeout_s)
            self.predictor, self._checkpoint = remote, remote.checkpoint
            check_fit(remote.card, self.layout, box, str(remote.checkpoint))
        if chosen.handover == "inpaint" and not self.predictor.inpaints:
            raise ConfigError(
                f"a policy of kind '{self.predictor.card.config.kind}' cannot heed a plan",
                where="parameter handover",
                remedy="handover:=blend",
            )
        self._described = described(self.predictor.card)
        self.engine = ChunkEngine(
            self.predictor,
            time.perf_counter,
            on_start=partial(set_priority, Priority.DECIDING),
            on_answer=self._wake,
        )

    def _open(self) -> None:
        self._command_publisher = self.create_publisher(
            WholeBodyCommand, "policy/command", COMMAND_DEADLINE
        )
        self._state_publisher = self.create_publisher(PolicyState, "policy/state", LATCHED)
        self._inbox = Inbox(self)
        self._states_in = self._inbox.all(WholeBodyState, "robot/state", STATES)
        self._subscriptions_open = [
            self.create_subscription(kind, topic, partial(self._on_source, topic), qos)
            for topic, (kind, qos) in self.feed.topics.items()
        ]
        self._timer = self.create_timer(1.0 / self.parameters.command_hz, self._tick)
        self.diagnostics = Diagnostics(self, self._summary)

    def close(self) -> None:
        """Give up everything that `_configure` opened."""
        if not self._configured:
            return
        self._configured = self._active = False
        self.engine.close()
        if hasattr(self.predictor, "close"):
            self.predictor.close()
        self.destroy_timer(self._timer)
        for subscription in self._subscriptions_open:
            self.destroy_subscription(subscription)
        self.destroy_publisher(self._command_publisher)
        self.destroy_publisher(self._state_publisher)
        self.diagnostics.close()
        self._inbox.close()

    # -- from observations to commands -----------------------------------------------------

    def _begin(self) -> None:
        """A new episode; an answer under way belongs to the one before."""
        self.sync.clear()
        self.stream.clear()
        self._latencies_s.clear()
        self._chunk_times_s.clear()
        self._failure, self._problem, self._reported_s = "", "begins", 0.0
        self._last_s = now_s(self)
        self._resets = True

    def _on_source(self, topic: str, message: Any) -> None:
        self.feed.accept(topic, message)
        self._advance()

    def _tick(self) -> None:
        self._advance()
        self._command(self._last_s)
        if self._last_s - self._reported_s > STATE_S:
            self._report()

    def _wake(self) -> None:
        """From the engine's thread: an answer is acted on at once, not at the next tick."""
        if self.executor is not None:
            self.executor.create_task(self._advance)

    def _advance(self) -> None:
        """Look at what has come, follow a chunk that is there, ask for one that is due."""
        if not self._configured:
            return
        for message in self._states_in():
            self.feed.add_state(message)
        now = now_s(self)
        if now < self._last_s:
            self._begin()  # the clock was set back, and all stamps mean another time
        self._last_s = now
        if (answer := self.engine.take()) and not self._resets:
            self._follow(now, answer)
        if self._active and self.engine.idle:
            self._ask(now)
        self._judge(now)

    def _ask(self, now: float) -> None:
        if self._resets:
            self.predictor.reset()
            self._resets = False
        observation = self.sync.take(now)
        if observation is not None:
            ready_s = now + self.engine.typical_s
            self.engine.ask(observation, self.stream.committed(observation.stamps_ns[-1], ready_s))

    def _follow(self, now: float, answer: Answer) -> None:
        """Change to a new chunk; one that may not be done ends what is being done, too."""
        self._message.inference_s = answer.inference_s
        self._failure = answer.problem
        standing, chunk = self.sync.newest_state(), answer.chunk
        if chunk is None or standing is None:
            self._message.refused += 1
            return
        latency_s = now - chunk.stamp_ns * 1e-9
        bridged_rad = self.stream.accept(now, chunk, standing)
        if bridged_rad is None:
            self._message.refused += 1
            self._failure = f"inference is too slow: a chunk was {latency_s:.2f} s old"
            return
        self._latencies_s.append(latency_s)
        self._chunk_times_s.append(now)
        self._message.chunks += 1
        self._message.bridged_rad = bridged_rad
        self.diagnostics.count("chunks")
        self._judge(now)
        self._command(now)
        self._report()

    def _judge(self, now: float) -> None:
        """Decide whether there may be commands now, and tell where that changes."""
        problem = self._found_wrong(now)
        if problem:
            self.stream.clear()  # what was planned before is no plan for afterwards
        changed = bool(problem) != bool(self._problem)
        self._problem = problem
        if changed and self._active:
            log(self, bool(problem), f"waits: {problem}" if problem else "acts")
            self._report()

    def _found_wrong(self, now: float) -> str:
        """Why there may be no command now; empty if there may be."""
        timeout_s = self.parameters.inference_timeout_s
        if not self.engine.alive:
            return "inference has stopped; start the node again"
        if self.engine.busy_s > timeout_s:
            return f"inference takes longer than {timeout_s:g} s"
        if stale := self.sync.problem(now):
            return "; ".join(self.feed.problems.values()) or stale
        if self._failure:
            return self._failure
        return "" if self.stream.at(now) is not None else "no chunk of fresh observations"

    def _command(self, now: float) -> None:
        action = self.stream.at(now)
        if action is None or self._problem or not self._active:
            return
        command = command_of(self.layout, now, action)
        self._command_publisher.publish(conversions.command_to_message(command))
        self.diagnostics.count("commands")

    # -- reports ---------------------------------------------------------------------------

    def _report(self) -> None:
        message = self._message
        self._reported_s = self._last_s
        message.header.stamp = conversions.to_time(self._last_s)
        message.state = PolicyState.ACTING
        if not self._active:
            message.state = PolicyState.INACTIVE
        elif self._problem:
            message.state = PolicyState.WAITING
        message.message = self._problem
        message.observation = conversions.to_time(self.stream.stamp_ns * 1e-9)
        if self._latencies_s:
            message.latency_s = self._latencies_s[-1]
            message.latency_p95_s = float(np.percentile(self._latencies_s, 95))
        if len(self._chunk_times_s) > 1:
            passed_s = self._chunk_times_s[-1] - self._chunk_times_s[0]
            message.chunk_hz = (len(self._chunk_times_s) - 1) / max(passed_s, 1e-9)
        self._state_publisher.publish(message)

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        message = self._message
        values = {
            "policy": message.policy,
            "chunks refused": message.refused,
            "inference [ms]": f"{1e3 * message.inference_s:.1f}",
            "observation to command, 95 % [ms]": f"{1e3 * message.latency_p95_s:.1f}",
        }
        if not self._active:
            return 0, "inactive", values
        return int(bool(self._problem)), self._problem or "acting", values


def main() -> None:
    run(PolicyNode)
