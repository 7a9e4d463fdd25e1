"""Protocol 1 of `/ws/markets`: messages, requests, encoding. No I/O. Imports `market`."""
