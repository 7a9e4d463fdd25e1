"""Plain HTTP: the API, health and metrics. Imports every layer below `app`."""
