"""One message to many readers, bounded and without I/O; imports `market` and below."""
