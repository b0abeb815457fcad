"""MuJoCo world, tasks and device emulators; knows no ROS."""
