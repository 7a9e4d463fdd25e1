"""The market of the embedded exchange: its trades and their history. Imports none of the other parts."""
