"""Who may come in: tokens, origins, addresses, and the middleware that asks. Imports `market` and below."""
