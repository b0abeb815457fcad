"""A small executor for the ROS 2 launch files of brs, where ROS 2's own is not installed."""
