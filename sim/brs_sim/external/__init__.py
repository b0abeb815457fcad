"""What simulators other than MuJoCo need: scenes in parts, and topics they must offer."""
