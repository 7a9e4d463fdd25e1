"""The table of the status page."""
