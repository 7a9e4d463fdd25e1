"""Settings and the log; imports nothing of the product but errors and what settings are made of."""
