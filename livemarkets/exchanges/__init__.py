"""Connections to exchanges: the ports, shared parts, and one package per exchange. Imports `market`."""
