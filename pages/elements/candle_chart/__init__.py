"""The candles of the selected symbol: the element and its scripts."""
