"""A campaign of faults against the running app: is everything delivered, or declared?

    python -m tests.soak --seed 1 --faults 1000 --seconds 600

`campaign` runs it, `reader` are its clients, `truth` knows what the exchange really traded, `report` says
how it went, and `serve` is the app with shorter waits.
"""
