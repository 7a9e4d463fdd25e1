"""Settings and the log. Imports `market`, `rate_limit` and `errors`."""
