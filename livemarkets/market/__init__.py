"""Market data values and what is kept of them in memory; imports `errors` and `rate_limit` alone."""
