"""Plain HTTP: the API, health and metrics. Imports `ws_markets` and below."""
