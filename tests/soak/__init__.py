"""A campaign of faults against the running app: is everything delivered, or declared?

    python -m tests.soak --seed 1 --faults 1000 --seconds 600

`campaign` runs it, on one of two exchanges: `simulated`, the embedded one of the product, or `foreign`, which
shares nothing with the product (`--exchange foreign`). Both implement the port in `exchanges`. `reader` are
its clients, `truth` judges them, `report` says how it went, and `serve` is the app with shorter waits.
"""
