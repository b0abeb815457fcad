"""Dynamixel XL330 motors on one serial bus, driven through the official SDK."""

from brs_hardware.dynamixel.bus import MOTOR_STATE, BusStatistics, DynamixelBus
from brs_hardware.dynamixel.control_table import ITEMS, OperatingMode
from brs_hardware.dynamixel.diagnosis import answering_bauds, check

__all__ = [
    "ITEMS",
    "MOTOR_STATE",
    "BusStatistics",
    "DynamixelBus",
    "OperatingMode",
    "answering_bauds",
    "check",
]
