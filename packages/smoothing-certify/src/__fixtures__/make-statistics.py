"""Writes statistics.json from the recorded reference (scipy 1.10.1, statsmodels 0.13.5, mpmath 1.2.1, see
its README): python make-statistics.py <reference folder>. Strings are the exact values, 32 digits."""
import json, os, sys
ref = sys.argv[1]
load = lambda name: json.load(open(os.path.join(ref, "stats", name)))
cp, normal, binom = load("clopper_pearson.json"), load("normal.json"), load("binom_test.json")
rows = lambda items: "[\n" + ",\n".join(json.dumps(i, separators=(",", ":")) for i in items) + "\n]"
out = {
    "clopperPearson": rows([[r["nA"], r["n"], r["alpha"], r["lower_mp"], r["ppf_mp"]] for r in cp["rows"]]),
    "quantile": rows([[r["p"], r["ppf_mp"]] for r in normal["ppf"]]),
    "cdf": rows([[r["x"], r["cdf_mp"]] for r in normal["cdf"]]),
    "binomialTest": rows([[r["count1"], r["count2"], r["p_value_mp"], r["abstain"]] for r in binom["rows"]]),
}
note = "python make-statistics.py <reference>; exact values by mpmath 1.2.1 for the binary64 arguments"
body = ",\n".join(f"{json.dumps(k)}: {v}" for k, v in out.items())
open(os.path.join(os.path.dirname(__file__), "statistics.json"), "w").write(f'{{"note": {json.dumps(note)},\n{body}}}\n')
