"""The shipped prior: how votes usually grow, before any record of one's own.

Written by ``python -m bench.make_prior`` from 1546 papers; do not edit by hand. Numbers only.
"""

from __future__ import annotations

SHAPE = 0.448
"""``a`` of the Gamma(a, a) prior of a paper's multiplier."""
AGES = (
    0.25,
    0.5,
    0.75,
    1.0,
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    6.0,
    7.0,
    8.0,
    10.0,
    12.0,
    14.0,
    17.0,
    20.0,
    24.0,
    30.0,
    36.0,
    42.0,
    48.0,
    60.0,
    72.0,
    96.0,
    120.0,
    144.0,
    168.0,
)
"""Hours since listing."""
USUAL = (
    1.58,
    2.85,
    3.77,
    4.4,
    5.34,
    6.23,
    6.97,
    7.54,
    8.5,
    9.23,
    9.84,
    10.35,
    10.76,
    11.47,
    12.11,
    12.65,
    13.3,
    13.85,
    14.54,
    15.55,
    16.75,
    17.8,
    18.59,
    19.57,
    20.09,
    20.71,
    21.46,
    22.13,
    22.53,
)
"""The usual count at each age."""
