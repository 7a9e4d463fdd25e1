"""The feed handler of an exchange: order, missing trades, resumption, staleness. Imports `exchanges`."""
