"""The embedded exchange as a child process. It imports nothing of the simulator, which it starts by name."""
