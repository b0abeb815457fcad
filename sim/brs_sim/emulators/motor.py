"""One emulated XL330-M288: its control table with the rules for it, and simple dynamics."""

from __future__ import annotations

import math

from brs_hardware.dynamixel.control_table import (
    BUS_WATCHDOG_S_PER_UNIT,
    EEPROM_END,
    ITEMS,
    TABLE_SIZE,
    TICKS_PER_TURN,
    DriveMode,
    HardwareError,
    Item,
    OperatingMode,
)
from brs_sim.emulators.packets import StatusError

_TICK = ITEMS["realtime_tick"]
_INDIRECT = ITEMS["indirect_data_1"].address
_BY_ADDRESS = {item.address: item for item in ITEMS.values()}
_TICKS_PER_S_PER_UNIT = 0.229 / 60.0 * TICKS_PER_TURN
_LARGEST_SPEED = 103.0 / 60.0 * TICKS_PER_TURN  # ticks/s without load at 5 V
_LAG_S = 0.03  # time constant of the shaft towards where the torques balance
_HAND_RESTS_S = 0.05  # a hand that has not moved for so long is at rest
_COMPLIANCE = 0.25  # ticks that the operator's hand gives way for each mA
_MODES = {int(mode) for mode in OperatingMode}
_GOALS = {
    "goal_pwm": "pwm_limit",
    "goal_current": "current_limit",
    "goal_velocity": "velocity_limit",
}
_WATCHED = (*_GOALS, "goal_position")  # read-only once the bus watchdog has tripped
_POSITION_MODES = (
    OperatingMode.POSITION,
    OperatingMode.EXTENDED_POSITION,
    OperatingMode.CURRENT_BASED_POSITION,
)


class EmulatedMotor:
    """A motor; time passes only through `step`.

    Args:
        motor: its id.
        shaft: angle of the shaft in ticks, in the encoder's own direction, any turn.
    """

    def __init__(self, motor: int, shaft: float = 2048.0) -> None:
        self.shaft = shaft
        self.hand: float | None = None  # where the operator's hand holds it [ticks]
        self._hand_speed = 0.0  # ticks/s
        self._hand_age_s = 0.0  # since the hand last moved
        self.leader: EmulatedMotor | None = None  # motor it is geared to, face to face
        self.leader_offset = 0.0  # shaft + leader's shaft [ticks]
        self._speed = 0.0  # ticks/s
        self._turns = 0  # ticks taken off so that position mode starts within one turn
        self.carried = False  # whether somebody else moves the shaft of a motor that pushes
        self.load_ma = 0.0  # what holding a position takes [mA, encoder's sign]
        self._quiet_s = 0.0  # since the last instruction packet
        self._registered: tuple[int, bytes] | None = None
        self._uptime_s = motor * 0.013  # motors do not start at the same moment
        self._answers: dict[tuple[int, int], bytes] = {}
        self.table = bytearray(TABLE_SIZE)
        self.factory_reset(keep_id=False)
        self.poke("id", motor)

    @property
    def id(self) -> int:
        """The id it answers to."""
        return self.table[7]

    @property
    def error_byte(self) -> int:
        """Alert bit of its answers: set while it has a hardware error."""
        return 0x80 if self.table[70] else 0

    def peek(self, name: str) -> int:
        """A register's value."""
        item = ITEMS[name]
        return item.decode(self.table[item.address : item.address + item.size])

    def poke(self, name: str, value: int) -> None:
        """Set a register from inside the motor, past all rules."""
        item = ITEMS[name]
        self.table[item.address : item.address + item.size] = item.encode(value)
        self._answers.clear()

    def factory_reset(self, keep_id: bool) -> None:
        """All registers to their initial values."""
        motor = self.id
        for name, item in ITEMS.items():
            self.poke(name, item.initial)
        if keep_id:
            self.poke("id", motor)
        self.reboot()

    def reboot(self) -> None:
        """RAM to its initial values; the turn count is lost."""
        for name, item in ITEMS.items():
            if item.address >= EEPROM_END:
                self.poke(name, item.initial)
        self._uptime_s = self.id * 0.013
        self._registered = None
        self._forget_turns()
        self._publish()

    def fail(self, error: HardwareError) -> None:
        """Raise a hardware error; as in the default `shutdown`, torque goes off."""
        self.poke("hardware_error_status", self.peek("hardware_error_status") | int(error))
        if self.peek("shutdown") & error:
            self.poke("torque_enable", 0)

    def read(self, address: int, length: int) -> bytes | None:
        """Bytes of the table, None beyond its end; kept until something changes."""
        key = (address, length)
        if address <= _TICK.address + 1 and address + length > _TICK.address:
            self.poke(_TICK.name, int(self._uptime_s * 1000.0) % 32768)
        if _INDIRECT < address + length <= TABLE_SIZE:
            return bytes(self.table[self._target(a)] for a in range(address, address + length))
        data = self._answers.get(key)
        if data is None:
            if length == 0 or address + length > TABLE_SIZE:
                return None
            data = self._answers[key] = bytes(self.table[address : address + length])
        return data

    def write(self, address: int, data: bytes) -> StatusError:
        """Write registers as a host does; all or nothing.

        Returns:
            ACCESS for read-only or locked registers, DATA_LENGTH for a part of a register,
            DATA_RANGE and DATA_LIMIT for values.
        """
        if address >= _INDIRECT:
            return self._write_indirect(address, data)
        return self._write_direct(address, data)

    def _write_direct(self, address: int, data: bytes) -> StatusError:
        writes: list[tuple[Item, int]] = []
        place = address
        while place < address + len(data):
            item = _BY_ADDRESS.get(place)
            if item is None:
                return StatusError.ACCESS
            part = data[place - address : place - address + item.size]
            if len(part) < item.size:
                return StatusError.DATA_LENGTH
            error = self._judge(item, item.decode(part))
            if error:
                return error
            writes.append((item, item.decode(part)))
            place += item.size
        for item, value in writes:
            self._apply(item, value)
        return StatusError.NONE

    def _target(self, address: int) -> int:
        """Where a byte of the indirect data really lies; itself for other addresses."""
        if not _INDIRECT <= address < TABLE_SIZE:
            return address
        return self.peek(f"indirect_address_{address - _INDIRECT + 1}")

    def _write_indirect(self, address: int, data: bytes) -> StatusError:
        """Write each run of neighbouring targets."""
        targets = [self._target(address + i) for i in range(len(data))]
        start = 0
        for end in range(1, len(data) + 1):
            if end == len(data) or targets[end] != targets[end - 1] + 1:
                error = self._write_direct(targets[start], data[start:end])
                if error:
                    return error
                start = end
        return StatusError.NONE

    def register(self, address: int, data: bytes) -> StatusError:
        """Keep a write for `action`."""
        self._registered = (address, bytes(data))
        self.poke("registered_instruction", 1)
        return StatusError.NONE

    def action(self) -> None:
        """Do the registered write."""
        if self._registered is not None:
            registered, self._registered = self._registered, None
            self.poke("registered_instruction", 0)
            self.write(*registered)

    def clear_turns(self) -> None:
        """Present position within one turn again."""
        self._forget_turns()
        self._publish()

    def grasp(self, shaft: float | None, speed: float = 0.0) -> None:
        """The operator's hand holds the shaft there [ticks, ticks/s], or lets go (None)."""
        self.hand, self._hand_speed, self._hand_age_s = shaft, speed, 0.0

    def hear(self) -> None:
        """An instruction packet passed by; the bus watchdog waits anew."""
        self._quiet_s = 0.0

    @property
    def tripped(self) -> bool:
        """Whether the bus watchdog stopped it; writing 0 to the register clears that."""
        return self.table[98] == 0xFF

    @property
    def powered(self) -> bool:
        """Whether it drives its shaft. One that the watchdog stopped in current mode is slack:
        no current is asked of it any more."""
        if not self.table[64]:
            return False
        return not self.tripped or self.table[11] != OperatingMode.CURRENT

    @property
    def pushes(self) -> bool:
        """Whether it drives its shaft with a current."""
        return self.powered and self.table[11] == OperatingMode.CURRENT

    @property
    def pushing_ma(self) -> float:
        """Current of a motor that pushes [mA, encoder's sign], else 0."""
        return self._direction * self._clipped_current() if self.pushes else 0.0

    def carry(self, shaft: float, speed: float) -> None:
        """The shaft of a carried motor is there now [ticks, ticks/s]."""
        self.shaft, self._speed = shaft, speed
        self._publish(self._clipped_current())

    def step(self, elapsed_s: float) -> None:
        """Let time pass [s]."""
        self._uptime_s += elapsed_s
        self._hand_age_s += elapsed_s
        self._watch(elapsed_s)
        if self.leader is not None:
            shaft, speed = self.leader_offset - self.leader.shaft, -self.leader._speed
            if shaft != self.shaft or speed != self._speed:
                self.shaft, self._speed = shaft, speed
                self._publish()
        elif not self.powered:
            self._follow_hand()
        elif not (self.carried and self.pushes):
            self._drive(elapsed_s)

    def _watch(self, elapsed_s: float) -> None:
        """The bus watchdog: silence of the host stops a motor whose torque is on."""
        self._quiet_s += elapsed_s
        limit = self.table[98]
        if not limit or not self.table[64] or self.tripped:
            return
        if self._quiet_s > limit * BUS_WATCHDOG_S_PER_UNIT:
            self.poke("bus_watchdog", -1)

    def _follow_hand(self) -> None:
        """A slack shaft goes with the hand at once."""
        shaft = self.shaft if self.hand is None else self.hand
        speed = self._hand_speed if self._hand_age_s < _HAND_RESTS_S else 0.0
        if shaft != self.shaft or speed != self._speed or self.table[126:128] != b"\0\0":
            self.shaft, self._speed = shaft, speed
            self._publish(0.0)

    def _drive(self, elapsed_s: float) -> None:
        """A driven shaft goes where torque and hand balance, with its lag and its limits."""
        before = self.shaft
        wanted, current = self._balance()
        largest = self._largest_speed() * elapsed_s
        share = 1.0 - math.exp(-elapsed_s / _LAG_S)
        self.shaft += max(-largest, min(largest, (wanted - self.shaft) * share))
        if elapsed_s > 0.0:
            self._speed = (self.shaft - before) / elapsed_s
        self._publish(current)

    def _balance(self) -> tuple[float, float]:
        """Where the shaft comes to rest [ticks] and the current there [mA, motor's sign]."""
        held = self.shaft if self.hand is None else self.hand
        mode, limit = self.peek("operating_mode"), float(self.peek("current_limit"))
        if self.tripped:
            return held, 0.0
        if mode == OperatingMode.CURRENT:
            current = self._clipped_current()
        elif mode in _POSITION_MODES:
            if mode == OperatingMode.CURRENT_BASED_POSITION:
                limit = min(limit, abs(float(self.peek("goal_current"))))
            goal = self._shaft_of(self.peek("goal_position"))
            if self.hand is None:
                return goal, self._direction * self.load_ma
            current = self._direction * (goal - held) / _COMPLIANCE
            current = max(-limit, min(limit, current))
        else:
            return held, 0.0
        return held + self._direction * current * _COMPLIANCE, current

    def _clipped_current(self) -> float:
        """Goal current within the limit [mA, motor's sign]."""
        limit = float(self.peek("current_limit"))
        return max(-limit, min(limit, float(self.peek("goal_current"))))

    def _largest_speed(self) -> float:
        profile = self.peek("profile_velocity") * _TICKS_PER_S_PER_UNIT
        timed = self.peek("drive_mode") & DriveMode.TIME_BASED_PROFILE
        return min(profile, _LARGEST_SPEED) if profile and not timed else _LARGEST_SPEED

    @property
    def _direction(self) -> int:
        return -1 if self.table[10] & DriveMode.REVERSE else 1

    @property
    def position(self) -> int:
        """Present position [ticks]."""
        return self._direction * (round(self.shaft) - self._turns) + self.peek("homing_offset")

    def _shaft_of(self, position: int) -> float:
        return self._direction * (position - self.peek("homing_offset")) + self._turns

    def _forget_turns(self) -> None:
        # Chosen so that direction * (shaft - turns) lies within 0 .. 4095.
        shaft = round(self.shaft)
        single = (self._direction * shaft) % TICKS_PER_TURN
        self._turns = shaft - self._direction * single

    def _publish(self, current: float | None = None) -> None:
        speed = self._direction * self._speed / _TICKS_PER_S_PER_UNIT
        changed = (
            self.position.to_bytes(4, "little", signed=True),
            round(speed).to_bytes(4, "little", signed=True),
        )
        table = self.table
        if table[132:136] != changed[0] or table[128:132] != changed[1]:
            table[132:136], table[128:132] = changed
            table[122] = abs(round(speed)) > self.peek("moving_threshold")
            self._answers.clear()
        if current is not None:
            data = round(current).to_bytes(2, "little", signed=True)
            if table[126:128] != data:
                table[126:128] = data
                self._answers.clear()

    def _judge(self, item: Item, value: int) -> StatusError:
        if item.minimum is None or item.maximum is None:
            return StatusError.ACCESS
        if item.eeprom and self.peek("torque_enable"):
            return StatusError.ACCESS
        if not item.minimum <= value <= item.maximum:
            return StatusError.DATA_RANGE
        if item.name == "operating_mode" and value not in _MODES:
            return StatusError.DATA_RANGE
        if item.name in _WATCHED and self.tripped:
            return StatusError.DATA_RANGE
        if item.name in _GOALS and abs(value) > self.peek(_GOALS[item.name]):
            return StatusError.DATA_LIMIT
        if item.name == "goal_position" and self.peek("operating_mode") == OperatingMode.POSITION:
            low, high = self.peek("min_position_limit"), self.peek("max_position_limit")
            if not low <= value <= high:
                return StatusError.DATA_LIMIT
        if item.name == "torque_enable" and value and self.table[70]:
            return StatusError.RESULT_FAIL  # a motor in shutdown stays off until rebooted
        return StatusError.NONE

    def _apply(self, item: Item, value: int) -> None:
        was_on = self.peek("torque_enable")
        if item.name in ("torque_enable", "bus_watchdog"):
            self._quiet_s = 0.0
        self.poke(item.name, value)
        if item.name == "operating_mode":
            self.poke("goal_current", self.peek("current_limit"))
            self.poke("goal_pwm", self.peek("pwm_limit"))
            self.poke("profile_velocity", 0)
            self.poke("profile_acceleration", 0)
        position_mode = self.peek("operating_mode") == OperatingMode.POSITION
        if item.name == "torque_enable" and value and not was_on:
            if position_mode:
                self._forget_turns()
            self._publish()
            self.poke("goal_position", self.position)
        elif item.name == "operating_mode" and position_mode:
            self._forget_turns()
        self._publish()
