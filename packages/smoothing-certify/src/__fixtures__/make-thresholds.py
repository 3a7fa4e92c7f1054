"""Writes thresholds.json: thresholds of grid noise and the total variation distance of the law they
give from the rounded normal, in 60 digits.

python make-thresholds.py > thresholds.json    (Python 3.11, mpmath 1.3.0)
"""

import json

import mpmath as mp

mp.mp.dps = 60
ONE = mp.mpf(2) ** 53


def case(sigma):
    """T_i for i >= 0 up to the first 2^53, as strings, and the total variation distance."""
    exact, rounded = [], []
    while not rounded or rounded[-1] < 2**53:
        exact.append(ONE * mp.ncdf(mp.mpf(2 * len(exact) + 1) / (510 * mp.mpf(sigma))))
        rounded.append(int(mp.floor(exact[-1] + mp.mpf(1) / 2)))
    reach = len(rounded) - 1
    # probabilities of 0, 1 .. reach, and of all values beyond
    lower = [ONE - exact[0]] + exact[:-1]
    lower_rounded = [2**53 - rounded[0]] + rounded[:-1]
    off = [abs((r - q) - (e - f)) for r, q, e, f in zip(rounded, lower_rounded, exact, lower)]
    distance = (off[0] + 2 * sum(off[1:]) + 2 * (ONE - exact[-1])) / (2 * ONE)
    step = max(1, reach // 40)
    picked = sorted({*range(0, reach + 1, step), *range(max(0, reach - 3), reach + 1)})
    return {
        "sigma": sigma,
        "reach": reach,
        "thresholds": {str(i): str(rounded[i]) for i in picked},
        "totalVariation": float(distance),
    }


print(json.dumps([case(sigma) for sigma in (1e-6, 0.0003, 0.001, 0.01, 0.12, 0.25, 0.5, 1.0, 15.625, 16.0)]))
