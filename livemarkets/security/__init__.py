"""Access control: the access token, origins, client addresses, the middleware. Imports `rate_limit`."""
