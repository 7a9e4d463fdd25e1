"""The right half of the Live page: the selected market.

selected         builds the elements, subscribes, and sends what changed
chart_candles    which candles the browser lacks
missing_trades   when trades are missing
figures          the figures of the head
alert            the price alert: read, judged
"""
