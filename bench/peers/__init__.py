"""What the loop is measured beside: each peer reads the same pages and stores nothing.

Every module here is a program of its own, ``python -m bench.peers.NAME``, started by
``bench.table`` pinned to one core; ``meter.py`` is what they share. The libraries of the peers
are in the bench's own requirements, never in the product's.
"""
