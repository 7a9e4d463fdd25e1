"""Connections to exchanges: what all of them share, and a package for each. Imports `market` and below."""
