"""Writes normals.json: Box-Muller pairs of chosen Philox words and logarithms in 50 digits (mpmath),
quantiles and tails of the normal law from SciPy.

python make-normals.py > normals.json    (Python 3.11, mpmath 1.3.0 or later, SciPy 1.17.1; seed 20231)
"""

import json
import random

import mpmath as mp
from scipy.special import ndtri
from scipy.stats import norm

mp.mp.dps = 50
rng = random.Random(20231)
FULL = 2**32 - 1


def pair(x0, x1, x2, x3):
    """Elements 2b and 2b + 1 of a draw, from the words of block b, as the documentation says."""
    u = mp.mpf(float((mp.mpf(x0) * 2**32 + x1 + mp.mpf("0.5")) / mp.mpf(2) ** 64))  # a float64
    radius = mp.sqrt(-2 * mp.log(u))
    quarter, rest = x2 >> 30, (x2 << 2) & FULL
    signed = rest - 2**32 if rest >= 2**31 else rest
    g = mp.mpf(signed) / 2**32 + (x3 + mp.mpf("0.5")) / mp.mpf(2) ** 62
    angle = (quarter + g) * mp.pi / 2
    return [float(radius * mp.cos(angle)), float(radius * mp.sin(angle))]


edges = [0, 1, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 3 * 2**30, 0x95F61998, FULL - 1, FULL]
words = [[a, b, c, d] for a, b, c, d in zip(edges, reversed(edges), edges[3:] + edges[:3], edges)]
words += [[0, rng.getrandbits(32) >> s, rng.getrandbits(32), rng.getrandbits(32)] for s in range(0, 32, 4)]
words += [[FULL, FULL - (1 << s), rng.getrandbits(32), rng.getrandbits(32)] for s in range(10, 32, 3)]
words += [[rng.getrandbits(32) for _ in range(4)] for _ in range(200)]
# angles next to multiples of pi / 4, where quadrants and polynomials meet
words += [[rng.getrandbits(32), 0, (k << 29) + e & FULL, rng.getrandbits(32)] for k in range(8) for e in (-1, 0, 1)]

logs = [rng.random() * 2.0 ** -rng.randrange(0, 64) for _ in range(200)]
logs += [1.0, 0.5, 2.0**-65, 1 - 2.0**-53, 1 - 2.0**-52, 0.7071067811865475, 0.7071067811865476, 1e-19]

print(
    json.dumps(
        {
            "words": words,
            "pairs": [pair(*w) for w in words],
            "log": {"u": logs, "value": [float(mp.log(mp.mpf(u))) for u in logs]},
            "quantiles256": [float(ndtri(k / 256)) for k in range(1, 256)],
            "upperTail": {str(t): 2 * float(norm.sf(t)) for t in (1, 2, 3, 4, 5, 6, 7, 7.5, 8, 8.5)},
        }
    )
)
