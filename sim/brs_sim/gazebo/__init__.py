"""Gazebo Sim: worlds in SDF and the bridge to ROS, from the robot and scenes of this package."""
