"""The head of the selected market: the element and its script."""
