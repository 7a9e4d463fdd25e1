"""The table of watched symbols: its element and its scripts."""
