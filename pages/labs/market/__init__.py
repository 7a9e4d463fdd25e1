"""The right half of the Live page: the selected market.

selected         builds the elements, subscribes, and has what changed sent
summary          the head, kept up to date
figures          the figures of the head, and the quality in words
chart            which candles are shown, and their past
chart_candles    which candles the browser lacks
missing_trades   when trades are missing
market_alert     the price alert of a page: set, judged, told
alert            an alert as an address has it, and what sets it off
"""
