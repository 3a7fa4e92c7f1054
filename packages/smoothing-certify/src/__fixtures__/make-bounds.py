"""Writes bounds.json: exact radii and Clopper-Pearson bounds in 60 digits, for near-ties and extremes.

python make-bounds.py > bounds.json    (Python 3.11, mpmath 1.3.0, scipy 1.17.1)

Every argument is a binary64 number and is taken as that exact value; results have 32 digits, rounded down.
"""

import json
import random

import mpmath as mp
from scipy.special import betaincinv

mp.mp.dps = 60
random.seed(17)


def quantile(p):
    """Phi^-1 of an exact binary64, by Newton's method on the logarithm of the smaller tail."""
    if p > 0.5:
        return -quantile(1 - mp.mpf(p))
    p = mp.mpf(p)
    if p == mp.mpf(1) / 2:
        return mp.mpf(0)
    t = mp.sqrt(-2 * mp.log(p))
    x = -t + (mp.log(2 * mp.pi) + 2 * mp.log(t)) / (2 * t) if p < mp.mpf("1e-3") else mp.sqrt(2) * mp.erfinv(2 * p - 1)
    for _ in range(60):
        tail = mp.erfc(-x / mp.sqrt(2)) / 2
        step = (mp.log(tail) - mp.log(p)) * tail / mp.npdf(x)
        x -= step
        if abs(step) < mp.mpf(10) ** -50 * abs(x):
            break
    return x


def radius(law, norm, a, b, sigma, d):
    a, b, sigma, d = mp.mpf(a), mp.mpf(b), mp.mpf(sigma), mp.mpf(d)
    b = min(b, 1 - a)
    if a <= b:
        return mp.mpf(0)
    if law == "gaussian":
        l2 = sigma / 2 * (quantile(a) - quantile(b))
        return l2 / mp.sqrt(d) if norm == "linf" else l2
    if law == "uniform":
        half = mp.sqrt(3) * sigma
        if norm == "linf":
            return 2 * half * (1 - mp.root(1 - (a - b) / 2, d))
        return half * (a - b) / (mp.sqrt(d) if norm == "l2" else 1)
    l1 = sigma / mp.sqrt(2) * max(mp.log(a / b) / 2, -mp.log(1 - a + b))
    return l1 / {"l1": 1, "l2": mp.sqrt(d), "linf": d}[norm]


def up(x, steps):
    import math
    for _ in range(steps):
        x = math.nextafter(x, 1)
    return x


def pairs():
    """Bounds (a, b) with b < a: spread, near ties, both tiny, a next to 1."""
    for _ in range(60):
        b = random.random() * 0.5
        yield random.uniform(b, 1 - b), b
    for _ in range(60):
        b = random.choice([random.random() * 0.5, 10 ** random.uniform(-12, -1)])
        yield up(b, random.choice([1, 2, 3, 10, 1000, 10**6])), b
    for _ in range(30):
        yield 1 - 2.0 ** -random.randint(20, 53), 2.0 ** -random.randint(20, 60)
    for _ in range(20):
        a = random.uniform(0.5, 1)
        yield a, 1.0
    for _ in range(10):
        yield up(0.5, random.choice([1, 2, 5, 100])), 1.0
    for _ in range(10):
        b = 10 ** random.uniform(-300, -20)
        yield min(0.5, b * random.choice([1.0000001, 2, 1e5])), b


def text(x):
    return mp.nstr(x, 32) if x else "0.0"


def radii():
    laws = [(law, norm) for law in ("gaussian", "uniform", "laplace") for norm in ("l1", "l2", "linf")]
    for i, (a, b) in enumerate(pairs()):
        law, norm = laws[i % 9] if i % 2 else ("laplace", "l1") if i % 4 else ("gaussian", "l2")
        sigma = random.choice([0.25, 0.5, 1.0, 0.12, 5e-324, 3e-310, 1e-300, 1e300, random.random()])
        d = random.choice([1, 2, 784, 3072, 150528])
        yield [law, norm, a, b, sigma, d, text(radius(law, norm, a, b, sigma, d))]


def log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def lower_tail(a, b, x):
    """I_x(a, b) for x below the mean: DLMF 8.17.22, modified Lentz."""
    x = mp.mpf(x)
    front = mp.exp(a * mp.log(x) + b * mp.log1p(-x) - log_beta(a, b)) / a
    c, d = mp.mpf(1), 1 / (1 - (a + b) * x / (a + 1))
    value, m = d, 1
    while True:
        for e in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 / (1 + e * d)
            c = 1 + e / c
            value *= c * d
        if abs(c * d - 1) < mp.mpf(10) ** -42:
            return front * value
        m += 1


def clopper_pearson(k, n, alpha):
    """The p with I_p(k, n - k + 1) = alpha, by Newton's method on the logarithm of the smaller tail."""
    a, b, alpha = mp.mpf(k), mp.mpf(n - k + 1), mp.mpf(alpha)
    if k == n:
        return mp.exp(mp.log(alpha) / n)
    p = mp.mpf(float(betaincinv(k, n - k + 1, float(alpha))))
    if not 0 < p < 1:
        p = mp.root(alpha / mp.binomial(n, k), k)  # the leading term
    for _ in range(60):
        density = mp.exp((a - 1) * mp.log(p) + (b - 1) * mp.log1p(-p) - log_beta(a, b))
        below = p < (a + 1) / (a + b + 2)
        tail = lower_tail(a, b, p) if below else lower_tail(b, a, 1 - p)
        if alpha <= mp.mpf(1) / 2:
            tail = tail if below else 1 - tail
            step = (mp.log(tail) - mp.log(alpha)) * tail / density
        else:
            tail = 1 - tail if below else tail
            step = -(mp.log(tail) - mp.log(1 - alpha)) * tail / density
        p = p - step if 0 < p - step < 1 else p / 2 if step > 0 else (1 + p) / 2
        if abs(step) < mp.mpf(10) ** -25 * p:  # converges quadratically: the next step would be 1e-50
            break
    return p


def bounds():
    near = [1 - 1e-9, 1 - 1e-15, 0.999, 0.5, 0.001, 1e-9, 1e-300]
    cases = [(5 * 10**8, 10**9, 1 - 1e-9), (5 * 10**8, 10**9, 0.001), (10**9 - 1, 10**9, 1 - 1e-9), (1, 10**9, 1 - 1e-12)]
    for n in (1, 2, 3, 7, 100, 1000, 10_000, 100_000, 10_000_000):
        for k in sorted({1, n // 2, n - 1, n, random.randint(1, n)} - {0}):
            for alpha in random.sample(near, 3):
                cases.append((k, n, alpha))
    for k, n, alpha in cases:
        yield [k, n, alpha, text(clopper_pearson(k, n, alpha))]


def lines(items):
    return "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in items) + "\n]"


print(f'{{"radii": {lines(radii())},\n"clopperPearson": {lines(bounds())}}}')
