"""The chart and figures of the selected symbol: the element, its script, and the computation."""
