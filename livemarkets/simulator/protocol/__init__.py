"""What the embedded exchange says: control messages, REST answers, one connection. Imports `market`."""
