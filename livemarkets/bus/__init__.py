"""The bus between ingests and edges: NATS core. Imports what `feed` may import, and `feed`.

An ingest reads exchanges and publishes; an edge serves readers from what it hears. Nothing here is imported
while `LIVE_ROLE` is `all`.
"""
