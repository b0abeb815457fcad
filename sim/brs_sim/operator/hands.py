"""What a person's hands can do on the leader, as motions that run side by side.

A motion is a generator: each `next` is one moment (one call of the operator), in which it sets
leader angles, sticks or buttons from what the person sees. It ends when the person is content.

    state, objects --see--> Hands --motions--> angles, sticks, buttons --action--> leader
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.kinematics import Kinematics, joints_of
from brs_hardware.types import WholeBodyState
from brs_sim.model import floor_to_base
from brs_sim.operator.arm_ik import ArmIK
from brs_sim.operator.motions import min_jerk, planar_pose, pose_between, tool_pose, wrapped
from brs_sim.tasks.registry import Pose

Motion = Generator[None, None, None]

ARMS = ("left_arm", "right_arm")
TOOLS = {"left_arm": "left_tcp", "right_arm": "right_tcp"}
TRIGGERS = {"left_arm": "zl", "right_arm": "zr"}
GRIPPERS = {"left_arm": "left_gripper", "right_arm": "right_gripper"}

LEAN_RAD = 0.25  # a trunk that leans forward sees its hands
_STICK_RATE = 6.0  # full deflections a second
_SMALLEST_PUSH = 0.3  # a person cannot push a stick less and mean it
_DRIVE_GAIN = 1.8  # [1/s]
_STANDS = 0.01  # [m/s], [rad/s], what is slower stands
_ARRIVED_M, _ARRIVED_RAD = 0.012, 0.02
_LEVEL_RAD = 0.02
_KNEE_LEAD_RAD = 0.05  # the knee moves on by about this after the button is let go
_SETTLED_M = 0.004
_TAKE_HOLD_S = 1.2  # the robot is led to the leader meanwhile
_GRIPS = 0.3  # closing fraction of a gripper that is closed on purpose
_CORRECTION_GAIN = 2.0  # [1/s], how fast the eye takes out what the arm lacks
_CORRECTION_LIMIT_M = 0.03


@dataclass(frozen=True)
class OperatorAction:
    """What the person's hands do on the leader now."""

    left_arm: np.ndarray  # (n,) leader joint angles in the robot's convention [rad]
    right_arm: np.ndarray  # (n,)
    left_stick: np.ndarray  # (2,) right +, up +, -1..1
    right_stick: np.ndarray  # (2,)
    left_buttons: frozenset[str]  # names of JOYCON_BUTTONS held down
    right_buttons: frozenset[str]


class Hands:
    """See the module.

    Args:
        embodiment: the robot that is watched and driven.
        pace: of reaching movements, 1 is usual.

    Attributes:
        takes_over: from a policy that drives; the leader has mirrored the robot until now.
    """

    def __init__(self, embodiment: Embodiment, pace: float = 1.0) -> None:
        self.embodiment = embodiment
        self.pace = pace
        self.takes_over = False
        self.now_s = 0.0
        self._dt_s = 0.01
        self.state: WholeBodyState | None = None
        self.objects: dict[str, Pose] = {}
        self.angles: dict[str, np.ndarray] = {}
        self.squeezed: set[str] = set()  # arms whose trigger is held
        self.hold_to_drive = False
        self._left_stick, self._right_stick = np.zeros(2), np.zeros(2)  # wanted
        self._sticks = np.zeros(4)  # where the thumbs are
        self._turning = False
        self._knee_button = ""
        self._kinematics = Kinematics(embodiment)
        self._ik = {arm: ArmIK(embodiment, arm, TOOLS[arm]) for arm in ARMS}
        self._carrier = self._ik[ARMS[0]].carrier
        self._floor_to_base = floor_to_base(embodiment)
        self._correction = {arm: np.zeros(3) for arm in ARMS}  # world [m]

    # -- senses ----------------------------------------------------------------------------

    def see(self, now_s: float, state: WholeBodyState, objects: dict[str, Pose]) -> None:
        """Look at the robot and the scene."""
        self._dt_s = float(np.clip(now_s - self.now_s, 1e-3, 0.05))
        self.now_s, self.state, self.objects = now_s, state, objects
        if not self.angles:  # the leader is taken up as the robot stands
            self.angles = {arm: getattr(state, arm).position.copy() for arm in ARMS}
            if self.takes_over:  # what the robot holds is held on
                self.squeezed = {arm for arm in ARMS if getattr(state, GRIPPERS[arm]) > _GRIPS}

    @property
    def robot(self) -> WholeBodyState:
        """The robot as seen last."""
        assert self.state is not None, "see() comes first"
        return self.state

    def tool(self, arm: str) -> np.ndarray:
        """Pose (4, 4) of the arm's tool in the world, as seen."""
        pose: np.ndarray = self._base() @ self._kinematics.pose(TOOLS[arm], joints_of(self.robot))
        return pose

    def carrier_at(self, knee_rad: float) -> np.ndarray:
        """Pose (4, 4) above the floor under base_link of the link that carries the arms.

        Args:
            knee_rad: torso joint 2; joint 1 follows it, and joint 3 leans the trunk forward.
        """
        squat = self.embodiment.torso.squat
        torso = np.array([knee_rad * squat[0] / squat[1], knee_rad, 0.0, 0.0])
        torso[2] = torso[0] + torso[1] - LEAN_RAD
        pose = self._kinematics.pose(self._carrier, {"torso": torso})
        pose[2, 3] += self._floor_to_base
        return pose

    def knee_for(self, height: float) -> float:
        """Torso joint 2 [rad] that brings the carrier of the arms to `height` above the floor."""
        knees = np.linspace(-2.4, 0.0, 121)
        heights = np.array([self.carrier_at(knee)[2, 3] for knee in knees])
        return float(knees[int(np.argmin(np.abs(heights - height)))])

    def lag_rad(self) -> float:
        """Largest difference between the leader and the robot's arms [rad]."""
        return max(
            float(np.abs(self.angles[arm] - getattr(self.robot, arm).position).max())
            for arm in ARMS
        )

    def drives_in_vain(self) -> bool:
        """The base is told to move, and stands."""
        told = np.abs(self._sticks[:2]).max() >= _SMALLEST_PUSH
        return bool(told and np.abs(self.robot.base_velocity).max() < _STANDS)

    def action(self) -> OperatorAction:
        """What the hands do now; thumbs move no faster than thumbs."""
        wanted = np.concatenate([self._left_stick, self._right_stick])
        rate = _STICK_RATE * self._dt_s
        self._sticks = self._sticks + np.clip(wanted - self._sticks, -rate, rate)
        left, right = set(), set()
        if self.hold_to_drive:
            left.add("l")
            right.add("r")
        if self._turning:
            left.add("stick")
        if self._knee_button:
            left.add(self._knee_button)
        for arm, buttons in (("left_arm", left), ("right_arm", right)):
            if arm in self.squeezed:
                buttons.add(TRIGGERS[arm])
        return OperatorAction(
            left_arm=self.angles["left_arm"].copy(),
            right_arm=self.angles["right_arm"].copy(),
            left_stick=self._sticks[:2].copy(),
            right_stick=self._sticks[2:].copy(),
            left_buttons=frozenset(left),
            right_buttons=frozenset(right),
        )

    def let_go(self) -> None:
        """Thumbs off the sticks and every button but the triggers."""
        self._left_stick, self._right_stick = np.zeros(2), np.zeros(2)
        self._turning, self._knee_button, self.hold_to_drive = False, "", False

    # -- motions ---------------------------------------------------------------------------

    def wait(self, duration_s: float) -> Motion:
        """Do nothing for a while."""
        end_s = self.now_s + duration_s
        while self.now_s < end_s:
            yield

    def take_hold(self) -> Motion:
        """Let the robot be led to the leader; in a takeover it is there, and waits for nobody."""
        yield from self.wait(0.0 if self.takes_over else _TAKE_HOLD_S)

    def move_arm(self, arm: str, angles: np.ndarray, speed: float = 1.0) -> Motion:
        """Bring the leader arm to joint angles (n,), at most at `speed` [rad/s]."""
        start, begin_s = self.angles[arm].copy(), self.now_s
        # The fastest moment of such a movement has 1.9 times the mean speed.
        duration_s = max(1.9 * float(np.abs(angles - start).max()) / (speed * self.pace), 0.3)
        while self.now_s < begin_s + duration_s:
            share = min_jerk((self.now_s - begin_s) / duration_s)
            self.angles[arm] = start + share * (angles - start)
            yield
        self.angles[arm] = angles.copy()

    def solve(self, arm: str, pose: np.ndarray) -> np.ndarray:
        """Leader angles for a tool pose (4, 4) in the carrier, from a bent elbow."""
        return self._ik[arm].solve(bent_elbow(arm), pose)

    def posture(
        self, arm: str, place: np.ndarray, pitch: float, yaw: float = 0.0, roll: float = 0.0
    ) -> np.ndarray:
        """Leader angles with the tool at `place` before a trunk that leans as usual.

        Args:
            arm: which.
            place: (3,) forward, left and up from the carrier of the arms [m].
            pitch, yaw, roll: of the hand, see `tool_pose`, as the robot faces [rad].
        """
        turn = np.eye(4)
        turn[:3, :3] = self.carrier_at(0.0)[:3, :3].T
        return self.solve(arm, turn @ tool_pose(place, yaw, pitch, roll))

    def lead(self, arm: str, wanted: np.ndarray) -> None:
        """Bring the leader to where the robot's tool comes to `wanted` (4, 4) in the world."""
        corrected = wanted.copy()
        corrected[:3, 3] += self._correction[arm]
        in_carrier = np.linalg.inv(self._base() @ self._torso()) @ corrected
        self.angles[arm] = self._ik[arm].follow(self.angles[arm], in_carrier, self._dt_s)

    def reach(
        self, arm: str, goal: Callable[[], np.ndarray], speed: float = 0.25, settle_s: float = 0.6
    ) -> Motion:
        """Lead the tool straight to a pose (4, 4) in the world that may still move a little.

        Args:
            arm: which.
            goal: gives the pose, looked up at every moment.
            speed: mean speed [m/s].
            settle_s: longest time spent on correcting what is seen to be missing at the end.
        """
        to_world = self._base() @ self._torso()
        start = to_world @ self._ik[arm].pose(self.angles[arm])
        start[:3, 3] -= self._correction[arm]
        begin_s = self.now_s
        distance = float(np.linalg.norm(goal()[:3, 3] - start[:3, 3]))
        duration_s = max(distance / (speed * self.pace), 0.35)
        while True:
            elapsed_s = self.now_s - begin_s
            wanted = pose_between(start, goal(), min_jerk(elapsed_s / duration_s))
            self.lead(arm, wanted)
            if elapsed_s > duration_s and self._content(arm, wanted, elapsed_s - duration_s):
                return
            if elapsed_s > duration_s + settle_s:
                return
            yield

    def drive_to(self, goal: Callable[[], np.ndarray], patience_s: float = np.inf) -> Motion:
        """Drive the base to x, y [m], yaw [rad] in the world: turn, then go, then look again.

        A base that something blocks is left where it is after `patience_s`.
        """
        give_up_s = self.now_s + patience_s
        for _ in range(4):
            yield from self._turn(goal, give_up_s)
            yield from self._go(goal, give_up_s)
            if abs(wrapped(goal()[2] - self.robot.base_pose[2])) < 2 * _ARRIVED_RAD:
                return

    def stand_at(self, knee_rad: float, lean_rad: float = LEAN_RAD) -> Motion:
        """Squat or stand up until torso joint 2 is there, the trunk leaning forward so much."""
        state = self.robot
        button = "down" if knee_rad < state.torso.position[1] else "up"
        while True:
            knee = self.robot.torso.position
            away = (knee[1] - knee_rad) * (1.0 if button == "down" else -1.0)
            self._knee_button = button if away > _KNEE_LEAD_RAD else ""
            tilt = knee[0] + knee[1] - knee[2] - lean_rad
            self._right_stick = np.array([0.0, self._push(tilt / 0.2, abs(tilt) > _LEVEL_RAD)])
            if not self._knee_button and abs(tilt) <= _LEVEL_RAD:
                self._right_stick = np.zeros(2)
                return
            yield

    def squeeze(self, arm: str, duration_s: float = 0.55) -> Motion:
        """Hold the trigger from now on, and wait for the gripper."""
        self.squeezed.add(arm)
        yield from self.wait(duration_s)

    def release(self, arm: str, duration_s: float = 0.4) -> Motion:
        """Let the trigger go, and wait for the gripper."""
        self.squeezed.discard(arm)
        yield from self.wait(duration_s)

    # -- how -------------------------------------------------------------------------------

    def _base(self) -> np.ndarray:
        return planar_pose(self.robot.base_pose, self._floor_to_base)

    def _torso(self) -> np.ndarray:
        return self._kinematics.pose(self._carrier, {"torso": self.robot.torso.position})

    def _content(self, arm: str, wanted: np.ndarray, settling_s: float) -> bool:
        missing = wanted[:3, 3] - self.tool(arm)[:3, 3]
        if settling_s > 0.15:  # the robot trails the leader; judge it when it has come up
            correction = self._correction[arm] + _CORRECTION_GAIN * self._dt_s * missing
            self._correction[arm] = np.clip(correction, -_CORRECTION_LIMIT_M, _CORRECTION_LIMIT_M)
        return bool(np.linalg.norm(missing) < _SETTLED_M)

    def _turn(self, goal: Callable[[], np.ndarray], give_up_s: float) -> Motion:
        fastest = self.embodiment.base.max_velocity[2]
        while abs(missing := wrapped(goal()[2] - self.robot.base_pose[2])) > _ARRIVED_RAD:
            if self.now_s > give_up_s:
                break
            self._turning = True
            push = self._push(_DRIVE_GAIN * missing / fastest, True)
            self._left_stick = np.array([-push, 0.0])  # left turns left
            yield
        yield from self._stop()

    def _go(self, goal: Callable[[], np.ndarray], give_up_s: float) -> Motion:
        fastest = self.embodiment.base.max_velocity[:2]
        while True:
            x, y, yaw = self.robot.base_pose
            ahead = goal()[:2] - np.array([x, y])
            missing = np.array(
                [
                    np.cos(yaw) * ahead[0] + np.sin(yaw) * ahead[1],
                    -np.sin(yaw) * ahead[0] + np.cos(yaw) * ahead[1],
                ]
            )
            far = np.abs(missing) > _ARRIVED_M
            if not far.any() or self.now_s > give_up_s:
                break
            pushes = _DRIVE_GAIN * missing / fastest
            pushes /= max(float(np.abs(pushes).max()), 1.0)
            forward, leftward = (self._push(p, bool(f)) for p, f in zip(pushes, far, strict=True))
            self._left_stick = np.array([-leftward, forward])
            yield
        yield from self._stop()

    def _stop(self) -> Motion:
        self._left_stick = np.zeros(2)
        yield from self.wait(0.15)
        while np.abs(self.robot.base_velocity).max() > _STANDS:
            yield
        self._turning = False

    @staticmethod
    def _push(wanted: float, needed: bool) -> float:
        """A deflection that is felt, or none."""
        if not needed:
            return 0.0
        return float(np.sign(wanted) * np.clip(abs(wanted), _SMALLEST_PUSH, 1.0))


def bent_elbow(arm: str) -> np.ndarray:
    """Angles with the hand before the chest and the elbow out, from where solutions are near."""
    left = np.array([0.8, 2.4, -1.2, -1.1, -1.2, 1.4])
    return left if arm == "left_arm" else left * np.array([-1, 1, 1, -1, -1, -1])


def together(*motions: Motion) -> Motion:
    """Run motions side by side until the last ends."""
    running = list(motions)
    while running:
        for motion in list(running):
            try:
                next(motion)
            except StopIteration:
                running.remove(motion)
        if running:
            yield


def fixed(goal: np.ndarray) -> Callable[[], np.ndarray]:
    """A goal that does not move."""
    return lambda: goal
