"""Real clients on the simulator: what they report is compared with what it sent. `make compat` runs them."""
