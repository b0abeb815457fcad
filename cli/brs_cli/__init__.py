"""The `brs` command: puts the ROS workspace on the path and dispatches."""
