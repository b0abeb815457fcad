"""Models, data, training and evaluation; knows no ROS."""
