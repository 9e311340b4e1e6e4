"""What the loop costs when much of it is asked: many answers, many papers, many sources.

Each measure is a module with ``measure(setting) -> list[Figure]``, run in a process of its own by
``python -m bench.scale``. All of them run the real daemon, or the real functions of a visit over
the real store on disk; only the clock is the bench's own.
"""
