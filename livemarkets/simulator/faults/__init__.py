"""Fault injection for the embedded exchange. Imports `protocol` and `market`."""
