"""Isaac Sim: robot as URDF, scenes as USD, and a script for its own Python."""
