"""A cluster of processes, for tests and for `make cluster`."""
