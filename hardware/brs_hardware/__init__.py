"""Device drivers, robot description, kinematics and safety rules; knows no ROS."""
