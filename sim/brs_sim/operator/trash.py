"""How a person does `trash`: the bag in the right hand, the door with the left.

raise arms -> to the bag, squat -> pick, stand up -> to the door -> press the lever, push
           -> slide along the door, drive through, push it wide -> over the bin -> let go

Whatever is seen not to have worked is done again.
"""

from __future__ import annotations

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_sim.geometry import shifted
from brs_sim.operator.doors import Door
from brs_sim.operator.habits import Habits
from brs_sim.operator.hands import ARMS, GRIPPERS, Hands, Motion, fixed, together
from brs_sim.operator.motions import tilt_of, tool_pose
from brs_sim.operator.scripted import Script, plays
from brs_sim.operator.surfaces import stance
from brs_sim.tasks.registry import make_task
from brs_sim.tasks.trash import Trash

_BAG_ARM, _DOOR_ARM = "right_arm", "left_arm"
_PITCH = 0.4  # the tool points this far below the horizon [rad]
# Places of the tools from the carrier of the arms: forward, left, up [m].
_READY = np.array([0.40, 0.30, -0.10])
_PICK = np.array([0.60, -0.242, -0.22])
_ASIDE = np.array([0.36, -0.35, -0.05])  # the bag beside the trunk, where doors do not meet it
_AHEAD = np.array([0.64, -0.11, -0.05])  # far ahead, so that the elbows pass a doorway
_PRESS = np.array([0.64, 0.24, -0.10])
_PUSH = np.array([0.76, 0.11, 0.06])
_WIDE = np.array([0.55, 0.50, 0.02])
_BEFORE_M = 0.13  # distance from which the neck of the bag is approached
_LIFT_M = 0.08
_MISJUDGED_M = 0.02
_LAPSES = 0.12  # share of grasps that go beside at first
_BESIDE_M = 0.07
_ABOVE_LEVER_M, _BELOW_LEVER_M = 0.06, -0.02
_PUSH_M = 0.16
_ON_LEVER = np.array([-0.065, 0.085, 0.0])  # where it is pressed, in its frame
_UNLATCHED_RAD, _WIDE_RAD = 0.06, 1.2
_BESIDE_DOORWAY_M = 0.02  # to the right of its middle, away from the opening door
_LOWER_M = 0.22
_ASIDE_OF_DOOR_M = 0.30
_PATIENCE_S = 14.0
_TRIES = 9


@plays("trash")
class TrashScript(Script):
    """See the module. The person knows the room, so `seed` is that of the scene, too."""

    def __init__(self, embodiment: Embodiment, seed: int) -> None:
        self._habits = Habits(seed)
        super().__init__(Hands(embodiment, self._habits.pace))
        room = make_task("trash", embodiment, seed)
        assert isinstance(room, Trash)
        self._room = room
        self._door = Door("door", 1.0)

    def run(self) -> Motion:
        """See Script."""
        self.phase = "take hold"
        yield from self.hands.take_hold()
        if self._door.angle(self.hands.objects) < _UNLATCHED_RAD:
            yield from self._raise_arms()
        for _ in range(_TRIES):
            if not self._holds():
                if not self._can_be_picked():
                    break
                yield from self._pick()
            elif self._door.angle(self.hands.objects) < _WIDE_RAD:
                yield from self._open_door()
            else:
                yield from self._put_into_bin()
        yield from self._lower_arms()

    def _raise_arms(self) -> Motion:
        self.phase = "raise arms"
        yield from together(
            self.hands.stand_at(0.0),
            self.hands.move_arm(_BAG_ARM, self._posture(_BAG_ARM, _READY * [1, -1, 1]), 1.2),
            self.hands.move_arm(_DOOR_ARM, self._posture(_DOOR_ARM, _READY), 1.2),
        )

    # -- what the person sees --------------------------------------------------------------

    def _neck(self) -> np.ndarray:
        position, _ = self.hands.objects["bag"]
        return shifted(position, 0.0, 0.0, self._room.neck_height)

    def _can_be_picked(self) -> bool:
        """Upright on the floor of the room."""
        position, quaternion = self.hands.objects["bag"]
        return bool(tilt_of(quaternion) < 0.3 and position[0] < self._room.doorway[0] - 0.5)

    def _holds(self) -> bool:
        """The gripper is stopped by something, and the bag hangs off the floor."""
        closed = getattr(self.hands.robot, GRIPPERS[_BAG_ARM])
        position, _ = self.hands.objects["bag"]
        near = np.linalg.norm(position - self.hands.tool(_BAG_ARM)[:3, 3]) < 0.65
        return bool(
            _BAG_ARM in self.hands.squeezed and closed < 0.9 and near and position[2] > 0.02
        )

    def _posture(self, arm: str, place: np.ndarray) -> np.ndarray:
        return self.hands.posture(arm, place, _PITCH)

    def _before(self, point: np.ndarray, place: np.ndarray, knee_rad: float) -> np.ndarray:
        """Where the base stands, facing the door, with a place before the trunk at a point."""
        forward = self.hands.carrier_at(knee_rad)[0, 3] + place[0]
        return stance(point, 0.0, forward, place[1])

    # -- the bag ---------------------------------------------------------------------------

    def _pick(self) -> Motion:
        hands, arm = self.hands, _BAG_ARM
        self.phase = "to the bag"
        knee = hands.knee_for(self._room.neck_height - _PICK[2])
        about = self._habits.misjudged(_MISJUDGED_M)

        def place() -> np.ndarray:
            return self._before(self._neck() + about, _PICK, knee)

        yield from together(hands.drive_to(place, _PATIENCE_S), hands.stand_at(knee))
        self.phase = "pick the bag"
        for _ in range(3):
            aside = _BESIDE_M if self._habits.lapses(_LAPSES) else 0.0
            yield from self._grip(aside)
            if self._holds():
                break
            self.phase = "the bag is not in the hand; trying again"
            yield from hands.release(arm)
            away = hands.tool(arm)
            away[:3, 3] += [-_BEFORE_M, 0.0, 0.05]
            yield from hands.reach(arm, fixed(away), speed=0.2, settle_s=0.0)
        self.phase = "stand up"
        yield from hands.stand_at(0.0)
        yield from hands.move_arm(arm, self._posture(arm, _ASIDE), speed=0.6)

    def _grip(self, aside: float) -> Motion:
        """One try at the neck of the bag, `aside` of it [m]."""
        hands, arm = self.hands, _BAG_ARM

        def at_neck(off: np.ndarray) -> np.ndarray:
            return tool_pose(self._neck() + off, hands.robot.base_pose[2], _PITCH)

        before = np.array([-_BEFORE_M, aside, 0.03]) + self._habits.misjudged(_MISJUDGED_M)
        yield from hands.reach(arm, lambda: at_neck(before), speed=0.16, settle_s=0.0)
        yield from hands.reach(arm, lambda: at_neck(np.array([0.0, aside, 0.0])), speed=0.11)
        yield from hands.squeeze(arm)
        lifted = hands.tool(arm)
        lifted[2, 3] += _LIFT_M
        yield from hands.reach(arm, fixed(lifted), speed=0.14, settle_s=0.2)

    # -- the door --------------------------------------------------------------------------

    def _open_door(self) -> Motion:
        if self._door.angle(self.hands.objects) < _UNLATCHED_RAD:
            yield from self._unlatch()
            if self._door.angle(self.hands.objects) < _UNLATCHED_RAD:
                return
        yield from self._push_through()

    def _on_lever(self) -> np.ndarray:
        """(3,) where the lever is pressed, as it is now in a closed door."""
        return np.asarray(self.hands.objects["lever"][0] + _ON_LEVER)

    def _unlatch(self) -> Motion:
        hands, arm = self.hands, _DOOR_ARM
        self.phase = "to the door"
        spot = self._on_lever() + self._habits.misjudged(_MISJUDGED_M)
        yield from hands.drive_to(fixed(self._before(spot, _PRESS, 0.0)), _PATIENCE_S)
        self.phase = "press the lever"
        hands.squeezed.add(arm)  # a fist
        rest = self._on_lever()

        def at_lever(ahead: float, above: float) -> np.ndarray:
            return tool_pose(shifted(rest, ahead, 0.0, above), 0.0, _PITCH)

        off = self._habits.misjudged(_MISJUDGED_M)
        yield from hands.reach(
            arm, fixed(tool_pose(shifted(rest + off, -0.05, 0.0, 0.09), 0.0, _PITCH))
        )
        yield from hands.reach(arm, fixed(at_lever(0.0, _ABOVE_LEVER_M)), speed=0.16)
        yield from hands.reach(arm, fixed(at_lever(0.0, _BELOW_LEVER_M)), 0.14, settle_s=0.1)
        self.phase = "push the door"
        ahead = shifted(hands.robot.base_pose, _PUSH_M, 0.0, 0.0)
        yield from hands.drive_to(fixed(ahead), _PATIENCE_S)
        self.phase = "let the lever go"
        yield from hands.reach(arm, fixed(at_lever(_PUSH_M, 0.10)), 0.25, settle_s=0.0)

    def _push_through(self) -> Motion:
        """Into the doorway with the fist on the door, ever farther from the trunk."""
        hands, arm = self.hands, _DOOR_ARM
        wall, middle = self._room.doorway
        self.phase = "push the door open"
        lane = middle - _BESIDE_DOORWAY_M
        x = min(hands.robot.base_pose[0], wall - 0.62)
        touch = tool_pose(np.array([wall + 0.16, lane + 0.25, 1.14]), 0.3, _PITCH)
        yield from together(
            hands.drive_to(fixed(np.array([x, lane, 0.0])), _PATIENCE_S),
            hands.reach(arm, fixed(touch), speed=0.14, settle_s=0.0),
        )
        yield from together(
            hands.move_arm(arm, self._posture(arm, _PUSH), speed=0.6),
            hands.move_arm(_BAG_ARM, self._posture(_BAG_ARM, _AHEAD), speed=0.6),
        )
        yield from hands.drive_to(fixed(np.array([wall + 0.16, lane, 0.0])), _PATIENCE_S)
        if self._door.angle(hands.objects) < _WIDE_RAD:
            yield from hands.move_arm(arm, self._posture(arm, _WIDE), speed=0.6)

    # -- the bin ---------------------------------------------------------------------------

    def _put_into_bin(self) -> Motion:
        hands, arm = self.hands, _BAG_ARM
        self.phase = "to the bin"
        centre, middle = self._room.bin_centre, self._room.doorway[1]
        place = self._before(centre, _AHEAD, 0.0)
        place[1] = min(place[1], middle + 0.20)
        yield from hands.drive_to(fixed(place), _PATIENCE_S)
        self.phase = "over the bin"
        held = hands.tool(arm)
        over = held.copy()
        over[:2, 3] += centre - hands.objects["bag"][0][:2]
        yield from hands.reach(arm, fixed(over), speed=0.14)
        low = over.copy()
        low[2, 3] -= _LOWER_M
        yield from hands.reach(arm, fixed(low), speed=0.12, settle_s=0.1)
        self.phase = "let the bag go"
        yield from hands.release(arm)
        away = low.copy()  # not upwards, where the knot would catch
        away[0, 3] -= _BEFORE_M
        yield from hands.reach(arm, fixed(away), speed=0.2, settle_s=0.0)

    def _lower_arms(self) -> Motion:
        """Outside to the right of the open door, where elbows have room."""
        self.phase = "lower arms"
        ready = self.hands.embodiment.poses["ready"]
        wall, middle = self._room.doorway
        x, y, _ = self.hands.robot.base_pose
        if x > wall:
            y = min(y, middle - _ASIDE_OF_DOOR_M)
        yield from self.hands.drive_to(fixed(np.array([x, y, 0.0])), _PATIENCE_S)
        yield from together(
            self.hands.stand_at(0.0, lean_rad=0.0),
            *(self.hands.release(arm) for arm in ARMS),
            *(self.hands.move_arm(arm, ready[arm], speed=1.2) for arm in ARMS),
        )
