"""The policy node: commands that follow from what is seen, none without, and who it refuses."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import tiny_policy
from brs_interfaces.msg import CloudState, PolicyState, WholeBodyCommand, WholeBodyState
from harness import LATCHED, Harness
from learned_scenarios import CLOUD_TICKS, CROP, POLICY, QUIET, TICK_S, cloud_at, state_at
from lockstep import Lockstep, Step
from sensor_msgs.msg import PointCloud2

from brs_hardware.embodiment import load_embodiment
from brs_hardware.perception.config import load_cloud
from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.robot_layout import layout_of
from brs_ml.policy.observation import Observation
from brs_ml.policy.runtime import CommandStream, HandoverConfig
from brs_ml.policy.runtime.predictor import LocalPredictor
from brs_nodes.cloud_messages import cloud_from_message
from brs_nodes.policy_feed import nanoseconds

ROBOT = load_embodiment("r1")
LAYOUT = layout_of(ROBOT)


def expected(checkpoint: Path, played: Iterable[Step]) -> dict[int, np.ndarray]:
    """Stamp of a command [ns] -> action, by the library alone."""
    box = (CROP.lower.tolist(), CROP.upper.tolist())
    predictor = LocalPredictor(checkpoint, LAYOUT, box)
    codec, count = CloudCodec(*box), load_cloud("default").points
    stream = CommandStream(LAYOUT, HandoverConfig())
    commands: dict[int, np.ndarray] = {}
    for tick, step in enumerate(played):
        now_s = step.time_ns * 1e-9
        vector = LAYOUT.vector(step.inputs[0][1])
        if tick in QUIET and tick - QUIET.start + CLOUD_TICKS > 0.4 / TICK_S:
            stream.clear()  # the newest cloud is older than 0.4 s
        if len(step.inputs) > 1:
            cloud = cloud_from_message(step.inputs[1][1])
            seen = codec.points(codec.pack(cloud.points, cloud.colors), count)
            observation = Observation((step.time_ns,), vector[None], seen[None])
            stream.accept(now_s, predictor(observation, None), vector)
        action = stream.at(now_s)
        if action is not None:
            commands[step.time_ns] = action
    return commands


@pytest.mark.system
@pytest.mark.timeout(240)
def test_commands_follow_from_what_was_seen_and_from_nothing_else(ros: Harness) -> None:
    """A step at a time: each command is what the library makes of the same, none is stale."""
    played = list(Lockstep(ros, POLICY).play(POLICY.steps()))
    checkpoint = Path(POLICY.parameters(ros.folder)["checkpoint"])
    wanted = expected(checkpoint, played)
    told: dict[int, np.ndarray] = {}
    grips = [LAYOUT.slice_of(name).start for name in ROBOT.GRIPPERS]
    changes = 0
    for step in played:
        for topic, message in step.outputs:
            if topic == "policy/command":
                stamp_ns, action = nanoseconds(message.header.stamp), LAYOUT.vector(message)
                assert stamp_ns == step.time_ns and message.source == "policy"
                if stamp_ns in told:  # the last of a chunk and the first of the next
                    assert np.allclose(*(np.delete(a, grips) for a in (told[stamp_ns], action)))
                    changes += 1
                told[stamp_ns] = action
    assert changes > 8, "no jump from chunk to chunk"
    assert set(told) <= set(wanted), "a command without a fresh observation"
    assert len(told) > 0.9 * len(wanted) > 100
    for stamp_ns, action in told.items():
        assert np.allclose(action, wanted[stamp_ns], atol=1e-5), stamp_ns
    states = [m for step in played for topic, m in step.outputs if topic == "policy/state"]
    waiting = [m.message for m in states if m.state == PolicyState.WAITING]
    assert any("cloud is 0.4" in line for line in waiting), waiting
    assert states[-1].state == PolicyState.ACTING and states[-1].chunks >= 12
    assert states[-1].checkpoint == str(checkpoint) and states[-1].robot == "r1"


@pytest.mark.system
@pytest.mark.timeout(240)
def test_a_server_drives_and_its_loss_is_told_and_healed(ros: Harness, tmp_path: Path) -> None:
    """The same node with a policy elsewhere: no answer is no command."""
    checkpoint = tiny_policy.write(tmp_path / "p.safetensors")
    server = ros.start_node("policy_server", {"checkpoint": str(checkpoint)})
    patient = {"max_observation_age_s": 2.0, "max_chunk_age_s": 5.0, "inference_timeout_s": 2.0}
    policy = ros.start_node("policy", {"handover": "inpaint", **patient})
    states = ros.collect(PolicyState, "policy/state", LATCHED)
    commands = ros.collect(WholeBodyCommand, "policy/command")
    publishers = {
        topic: ros.node.create_publisher(kind, topic, 10)
        for topic, kind in (
            ("robot/state", WholeBodyState),
            ("perception/cloud", PointCloud2),
            ("perception/state", CloudState),
        )
    }
    ticks = itertools.count()
    left_out: list[str] = []

    def live() -> None:
        stamp_s = ros.node.get_clock().now().nanoseconds * 1e-9
        publishers["robot/state"].publish(state_at(stamp_s))
        if next(ticks) % CLOUD_TICKS == 0:
            for topic, message in cloud_at(stamp_s, tuple(left_out)):
                publishers[topic].publish(message)

    def is_(state: int, message: str = "") -> bool:
        return bool(states) and states[-1].state == state and message in states[-1].message

    ros.wait_for(lambda: is_(PolicyState.ACTING), "commands", 90.0, tick=live)
    assert states[-1].handover == "inpaint" and states[-1].checkpoint == str(checkpoint)
    left_out.append("head")
    ros.wait_for(lambda: is_(PolicyState.WAITING, "head: lost"), "a lost camera", tick=live)
    left_out.clear()
    ros.wait_for(lambda: is_(PolicyState.ACTING), "that it goes on", tick=live)
    server.popen.send_signal(signal.SIGSTOP)
    ros.wait_for(lambda: is_(PolicyState.WAITING), "its loss to be told", tick=live)
    commands.clear()
    server.popen.send_signal(signal.SIGCONT)
    ros.wait_for(lambda: is_(PolicyState.ACTING) and commands, "its return", tick=live)
    assert policy.running and "Traceback" not in policy.output


@pytest.mark.system
@pytest.mark.timeout(120)
def test_a_checkpoint_that_does_not_fit_ends_the_node_in_one_line(
    ros: Harness, tmp_path: Path
) -> None:
    """And says what differs; each kind of difference is in tests/ml/policy."""
    checkpoint = tiny_policy.write(tmp_path / "pro.safetensors", "r1_pro")
    policy = ros.start_node("policy", {"checkpoint": str(checkpoint)})
    assert policy.wait(90.0) == 1
    (line,) = policy.output.splitlines()
    assert "[fatal]" in line and "robot is 'r1_pro', not 'r1'" in line and "Try: " in line
