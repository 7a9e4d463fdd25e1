"""The server of the embedded exchange. Imports the other parts."""
