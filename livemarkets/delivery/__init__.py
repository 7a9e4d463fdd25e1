"""Delivery of one message to many readers, with bounded buffers and without I/O. Imports `market`."""
