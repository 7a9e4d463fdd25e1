"""The embedded exchange as a running server; imports the three other parts."""
