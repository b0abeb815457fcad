"""Devices that are not there: a JoyLo, spoken to through its real drivers."""
