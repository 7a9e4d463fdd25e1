"""Real clients are pointed at the simulator; what they report is compared with what it sent: `make compat`."""
