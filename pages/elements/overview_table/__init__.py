"""The table of all symbols of an exchange: its element and its scripts."""
