"""The chart and figures of the selected symbol: its element, its script, and what they are computed from."""
