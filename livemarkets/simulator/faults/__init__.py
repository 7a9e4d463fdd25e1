"""Everything that can go wrong at the embedded exchange, on demand. Imports `protocol` and `market`."""
