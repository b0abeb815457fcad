"""How a person does `shelves`: two boxes in two hands first, then the last one in one hand.

raise arms -> [ to the table, squat -> pick -> back off, stand up -> to the shelf
             -> place -> back off ] for each load -> lower arms
"""

from __future__ import annotations

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_sim.operator.hands import ARMS, GRIPPERS, Hands, Motion, fixed, together
from brs_sim.operator.motions import tilt_of, tool_pose, wrapped, yaw_of
from brs_sim.operator.scripted import Script, plays
from brs_sim.tasks.shelves import (
    BOARD_HEIGHTS,
    PLACE_BOARD,
    SHELF_CENTRE,
    SHELF_SIZE,
    TABLE_CENTRE,
    TABLE_SIZE,
)

_SIDE = {"left_arm": 1.0, "right_arm": -1.0}
_PITCH = 0.4  # the tool points this far below the horizon [rad]
# Where the arms work best, from the carrier of the arms: forward, outward, up [m].
_REACH = np.array([0.60, 0.242, -0.10])
_CARRY = np.array([0.47, 0.242, -0.10])
_BEFORE_M = 0.13  # distance from which a box or a place is approached
_DEEPER_M = 0.005  # the tool goes this far past the middle of a box
_LIFT_M = 0.07
_ABOVE_M = 0.035
_TALLEST_M = 0.17  # a box that somebody else picked up is at most so high
_PRESS_M = 0.004  # a box is set down this much below the board, so that it surely stands
_SHELF_DEPTH_M = 0.13  # a box's middle behind the front edge of the board
_TABLE_CLEARANCE_M = 0.78  # base to table edge when turning with arms out
_SHELF_CLEARANCE_M = 0.80
_SLOTS = (-0.25, 0.25, 0.0)  # across the shelf, from its middle [m]
_FACING_SHELF = np.pi / 2
_TRIES = 8

Load = dict[str, str]  # arm -> box


@plays("shelves")
class ShelvesScript(Script):
    """See the module."""

    def __init__(self, embodiment: Embodiment, seed: int) -> None:
        random = np.random.default_rng([seed, 2])
        super().__init__(Hands(embodiment, pace=float(random.uniform(0.95, 1.1))))
        self._grip_height: dict[str, float] = {}  # box -> tool above the box's bottom [m]
        self._slots: dict[str, float] = {}  # arm -> where on the shelf its box shall go

    def run(self) -> Motion:
        """See Script."""
        self.phase = "take hold"
        yield from self.hands.take_hold()
        yield from self._raise_arms()
        for _ in range(_TRIES):
            load = self._in_hand()
            if not load:
                load = self._load()
                if not load:
                    break
                yield from self._to_table(load)
                yield from self._pick_all(load)
            yield from self._to_shelf(load)
            yield from self._place_all(load)
        yield from self._lower_arms()

    # -- what the person sees --------------------------------------------------------------

    def _position(self, box: str) -> np.ndarray:
        return self.hands.objects[box][0]

    def _on_table(self, box: str) -> bool:
        """Standing upright within reach of the table's front."""
        position, quaternion = self.hands.objects[box]
        beside = np.abs(position[:2] - TABLE_CENTRE) < TABLE_SIZE[:2] / 2
        return bool(beside.all() and position[2] > TABLE_SIZE[2] and tilt_of(quaternion) < 0.3)

    def _on_shelf(self, box: str) -> bool:
        position = self._position(box)
        inside = np.abs(position[:2] - SHELF_CENTRE) < SHELF_SIZE[:2] / 2
        return bool(inside.all() and position[2] > BOARD_HEIGHTS[PLACE_BOARD])

    def _holds(self, arm: str, box: str) -> bool:
        """The gripper is stopped by something, and the box is at the tool."""
        closed = getattr(self.hands.robot, GRIPPERS[arm])
        near = np.linalg.norm(self._position(box) - self.hands.tool(arm)[:3, 3]) < 0.12
        return bool(arm in self.hands.squeezed and closed < 0.85 and near)

    def _in_hand(self) -> Load:
        """What is held already, when the person begins anew."""
        boxes = self.hands.objects
        return {arm: box for arm in ARMS for box in boxes if self._holds(arm, box)}

    def _load(self) -> Load:
        """The outermost boxes for both hands, or the last one for the right or left hand."""
        boxes = sorted((b for b in self.hands.objects if self._on_table(b)), key=self._across)
        if len(boxes) > 1 and self._across(boxes[-1]) - self._across(boxes[0]) > 0.36:
            return {"left_arm": boxes[-1], "right_arm": boxes[0]}
        return {"right_arm": boxes[0]} if boxes else {}

    def _across(self, box: str) -> float:
        return float(self._position(box)[1])

    # -- whole body ------------------------------------------------------------------------

    def _raise_arms(self) -> Motion:
        self.phase = "raise arms"
        yield from together(
            *(self.hands.move_arm(arm, self._carry_angles(arm), speed=1.2) for arm in ARMS)
        )

    def _lower_arms(self) -> Motion:
        self.phase = "lower arms"
        ready = self.hands.embodiment.poses["ready"]
        yield from together(
            self.hands.stand_at(0.0, lean_rad=0.0),
            *(self.hands.release(arm) for arm in ARMS),
            *(self.hands.move_arm(arm, ready[arm], speed=1.2) for arm in ARMS),
        )

    def _carry_angles(self, arm: str) -> np.ndarray:
        """Joint angles with the hand close before the leaning trunk."""
        return self.hands.posture(arm, _CARRY * [1, _SIDE[arm], 1], _PITCH)

    def _to_table(self, load: Load) -> Motion:
        self.phase = f"to the table for {' and '.join(load.values())}"
        knee = self.hands.knee_for(TABLE_SIZE[2] + 0.085 - _REACH[2])
        forward = self.hands.carrier_at(knee)[0, 3] + _REACH[0]

        def stance() -> np.ndarray:
            spots = [
                self._position(box)[:2] - [0.0, _SIDE[a] * _REACH[1]] for a, box in load.items()
            ]
            middle = np.mean(spots, axis=0)
            return np.array([middle[0] - forward, middle[1], 0.0])

        yield from together(self.hands.drive_to(stance), self.hands.stand_at(knee))

    def _to_shelf(self, load: Load) -> Motion:
        x, y, yaw = self.hands.robot.base_pose
        edge = TABLE_CENTRE[0] - TABLE_SIZE[0] / 2
        back = np.array([min(x, edge - _TABLE_CLEARANCE_M), y, yaw])
        self.phase = "back off from the table"
        yield from self.hands.drive_to(fixed(back))
        self._slots = self._choose_slots(load)
        if not self._slots:
            return
        self.phase = "to the shelf"
        knee = self.hands.knee_for(BOARD_HEIGHTS[PLACE_BOARD] + 0.085 - _REACH[2])
        forward = self.hands.carrier_at(knee)[0, 3] + _REACH[0]
        front = SHELF_CENTRE[1] - SHELF_SIZE[1] / 2
        # Facing the shelf, the robot's left is towards -x.
        spots = [SHELF_CENTRE[0] + self._slots[a] + _SIDE[a] * _REACH[1] for a in self._slots]
        stance = np.array([np.mean(spots), front + _SHELF_DEPTH_M - forward, _FACING_SHELF])
        yield from together(self.hands.drive_to(fixed(stance)), self.hands.stand_at(knee))

    def _choose_slots(self, load: Load) -> dict[str, float]:
        """Arm -> free slot; a hand on its own side, where it need not cross the other."""
        taken = [
            self._position(b)[0] - SHELF_CENTRE[0] for b in self.hands.objects if self._on_shelf(b)
        ]
        free = [slot for slot in _SLOTS if all(abs(slot - other) > 0.12 for other in taken)]
        held = [arm for arm, box in load.items() if self._holds(arm, box)]
        slots = {}
        for arm in held:
            own = [slot for slot in free if slot * _SIDE[arm] <= 0.0] or free
            slots[arm] = max(own, key=abs)
            free.remove(slots[arm])
        return slots

    # -- hands -----------------------------------------------------------------------------

    def _pick_all(self, load: Load) -> Motion:
        self.phase = f"pick {' and '.join(load.values())}"
        yield from together(*(self._pick(arm, box) for arm, box in load.items()))

    def _place_all(self, load: Load) -> Motion:
        held = [arm for arm in self._slots if self._holds(arm, load[arm])]
        if held:
            self.phase = f"place {' and '.join(load[arm] for arm in held)}"
            yield from together(*(self._place(arm, load[arm], self._slots[arm]) for arm in held))
        x, y, yaw = self.hands.robot.base_pose
        front = SHELF_CENTRE[1] - SHELF_SIZE[1] / 2
        back = np.array([x, min(y, front - _SHELF_CLEARANCE_M), yaw])
        self.phase = "back off from the shelf"
        self._slots = {}
        yield from self.hands.drive_to(fixed(back))

    def _pick(self, arm: str, box: str) -> Motion:
        hands = self.hands

        def at_box(ahead: float, above: float) -> np.ndarray:
            base_yaw = hands.robot.base_pose[2]
            position, quaternion = hands.objects[box]
            # A box looks alike after a quarter turn.
            askew = (wrapped(yaw_of(quaternion) - base_yaw) + np.pi / 4) % (np.pi / 2) - np.pi / 4
            yaw = base_yaw + np.clip(askew, -0.3, 0.3)
            along = np.array([np.cos(yaw), np.sin(yaw), 0.0])
            return tool_pose(position + along * ahead + [0, 0, above], yaw, _PITCH)

        for _ in range(3):
            if arm in hands.squeezed:
                yield from hands.release(arm)
            yield from hands.reach(arm, lambda: at_box(-_BEFORE_M, 0.02), speed=0.16)
            yield from hands.reach(arm, lambda: at_box(_DEEPER_M, 0.012), speed=0.11)
            yield from hands.squeeze(arm)
            grip = hands.tool(arm)
            bottom = TABLE_SIZE[2]
            self._grip_height[box] = float(grip[2, 3] - bottom)
            lifted = grip.copy()
            lifted[2, 3] += _LIFT_M
            if self._holds(arm, box):
                yield from hands.reach(arm, fixed(lifted), speed=0.14, settle_s=0.2)
            if self._holds(arm, box) and self._position(box)[2] > bottom + _LIFT_M:
                break
            yield from hands.release(arm)
            away = hands.tool(arm)
            away[:2, 3] -= _BEFORE_M * away[:2, 0] / np.linalg.norm(away[:2, 0])
            yield from hands.reach(arm, fixed(away), speed=0.2, settle_s=0.0)
            if not self._on_table(box):
                break
        yield from hands.move_arm(arm, self._carry_angles(arm), speed=0.8)

    def _place(self, arm: str, box: str, slot: float) -> Motion:
        hands = self.hands
        board = BOARD_HEIGHTS[PLACE_BOARD]
        front = SHELF_CENTRE[1] - SHELF_SIZE[1] / 2
        above_middle = float((hands.tool(arm)[:3, 3] - self._position(box))[2])
        height = board + self._grip_height.get(box, above_middle + _TALLEST_M / 2)

        def at_slot(ahead: float, above: float) -> np.ndarray:
            spot = [SHELF_CENTRE[0] + slot, front + _SHELF_DEPTH_M + ahead, height + above]
            return tool_pose(np.array(spot), _FACING_SHELF, _PITCH)

        yield from hands.reach(arm, lambda: at_slot(-_BEFORE_M, _ABOVE_M), speed=0.16)
        yield from hands.reach(arm, lambda: at_slot(0.0, _ABOVE_M), speed=0.14, settle_s=0.3)
        yield from hands.reach(arm, lambda: at_slot(0.0, -_PRESS_M), speed=0.07, settle_s=0.2)
        yield from hands.release(arm)
        yield from hands.reach(arm, lambda: at_slot(-_BEFORE_M, 0.0), speed=0.16, settle_s=0.0)
        yield from hands.move_arm(arm, self._carry_angles(arm), speed=0.8)
