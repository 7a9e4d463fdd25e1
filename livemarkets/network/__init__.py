"""How hosts outside are reached: the rules for outbound proxies, and TCP connections. Imports `errors`."""
