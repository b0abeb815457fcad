"""Where each camera sits on the robot, measured with a printed board.

pictures --> BoardDetector --+
                             +--> ViewCollector --> solve --> CameraMounts (the user's data)
states ----> Kinematics -----+                                    |
config/robots/*.yaml: the mounts as drawn --> with_measured_mounts --> Embodiment as it is
"""
