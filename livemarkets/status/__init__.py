"""Everything that the status page and `/api/status` show, as one value."""
