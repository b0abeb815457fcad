"""rclpy nodes of brs: thin shells, one module per node."""
