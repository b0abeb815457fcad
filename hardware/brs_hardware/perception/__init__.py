"""From frames of several cameras to one coloured cloud of what is around the robot."""
