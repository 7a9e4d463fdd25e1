"""Below ASGI: how requests and frames are read and written. Imports `rate_limit` and `errors` alone."""
