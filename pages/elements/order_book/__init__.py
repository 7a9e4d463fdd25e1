"""The order book of the selected market: the element and its script."""
