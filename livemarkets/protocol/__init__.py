"""Protocol 1 of `/ws/markets`, as text and values, without I/O; imports `market` and below."""
