"""Homes drawn by seed: rooms, doors, furniture, and floor that the robot can drive on."""
