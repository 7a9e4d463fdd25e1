"""One exchange's streams: order, holes, resumption, staleness. Imports `exchanges`, `delivery` and below."""
