"""A small executor for the ROS 2 launch files of brs."""
