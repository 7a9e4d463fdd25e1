"""The protocol of the embedded exchange: control messages, REST, one connection. Imports `market`."""
