"""The benchmarks: `make bench`, or `python -m benchmarks [names]`.

Every figure is taken from a program that runs by itself, as a user would run it, and in rounds in which the
contestants take turns, so that what disturbs the machine disturbs them all. `docs/performance.md` explains
each of them and keeps the last results.
"""
