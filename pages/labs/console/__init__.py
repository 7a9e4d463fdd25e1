"""The console: a person sends messages to `/ws/markets` from the browser, and watches the frames."""
