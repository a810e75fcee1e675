"""Random spaces of right and wrong pieces, as documents that a YAML file might hold."""

import random
from typing import Any

from eig_tune.config.space import parse_spec
from eig_tune.training.config import coerce, field_names, kind_of

TRIALS = 11  # more than are proposed quasi-randomly, so that each sampler comes to its own
NAMES = [name for name in field_names() if name not in ("steps", "report_every")]
WORDS = {
    "method": ["elastic-infogan", "uniform-infogan", "joint-vae", "gumbel-softmax+trans"],
    "distance": ["l2", "cosine", "js", "nt_xent"],
    "precision": ["fp32", "bf16"],
    "code_target": ["soft", "hard"],
    "prior_update": ["gradient", "posterior"],
}
WRONG: list[Any] = ["", "much", None, [], {}, [1], float("nan"), float("inf"), -1, 0, 1e300, 10**40, True]
WRONG += ["l3", "0x10", "1:30"]


def a_value(name: str, luck: random.Random) -> Any:
    """A value of a field in one of the ways to write it, or, now and then, something else."""
    if luck.random() < 0.004:
        return luck.choice(WRONG)
    if name in WORDS:
        return luck.choice(WORDS[name])
    if kind_of(name) is bool:
        return luck.choice([True, False, "yes", "off"])
    if kind_of(name) is int:
        whole = luck.randint(4, 40)
        return luck.choice([whole, whole, float(whole), str(whole)])
    number = luck.choice([0.01, 0.1, 0.25, 0.3, 0.45, 1e-3, luck.uniform(0.001, 0.49)])
    return luck.choice([number, number, f"{number:e}"])


def an_entry(name: str, earlier: dict[str, Any], luck: random.Random) -> Any:
    """A searched parameter; its condition, if it has one, names an ``earlier`` one, rarely one that is not searched."""
    if luck.random() < 0.01:
        return luck.choice(WRONG)
    plain = name in WORDS or kind_of(name) is bool
    values: list[Any]
    kind = luck.choice(["choice"] if plain else ["uniform", "loguniform", "quniform", "randint", "choice"])
    if kind == "randint" and kind_of(name) is float:
        values = [1, luck.randint(2, 3)]
    else:
        distinct = {as_field(name, value): value for value in (a_value(name, luck) for _ in range(9))}
        values = [distinct[key] for key in sorted(distinct)]
        values = luck.sample(values, len(values)) if luck.random() < 0.02 else values
        values = values[:3] if kind == "choice" else [values[0], values[-1]]
    if kind == "quniform":
        values.append(luck.choice([1, 1.0, "1", 3] if kind_of(name) is int else [0.1, 0.05, "0.07", 1e-3]))
    entry: dict[str, Any] = {kind: values}
    if luck.random() < 0.3:
        other = (
            luck.choice([*earlier, luck.choice(NAMES)])
            if luck.random() < 0.2 or not earlier
            else luck.choice([*earlier])
        )
        among = values_of(earlier.get(other))
        value = luck.choice(among[:2]) if among and luck.random() < 0.9 else a_value(other, luck)
        entry["when"] = {other: luck.choice([value, [value, a_value(other, luck)]])}
    return entry


def values_of(entry: Any) -> list[Any]:
    return next(iter(entry.values()), []) if isinstance(entry, dict) else []


def as_field(name: str, value: Any) -> str:
    """Text by which values of a field can be sorted and distinguished, whatever they are."""
    try:
        made = coerce(name, value)
        return f"{made:30.12f}" if isinstance(made, int | float) else made
    except ValueError:
        return repr(value)


def a_point(search: dict[str, Any], luck: random.Random) -> Any:
    if luck.random() < 0.02:
        return luck.choice(WRONG)
    point = {}
    for name, entry in search.items():
        if luck.random() < 0.3 or ("when" in str(entry) and luck.random() < 0.7):
            continue
        values = values_of(entry)
        point[name] = luck.choice(values[:2]) if values and luck.random() < 0.97 else a_value(name, luck)
    return point


def a_space(luck: random.Random) -> dict[str, Any]:
    search: dict[str, Any] = {}
    for name in luck.sample(NAMES, luck.randint(1, 6)):
        search[name] = an_entry(name, search, luck)
    fixed = luck.sample([name for name in NAMES if name not in ("method", *search)], 2)
    return {
        "dataset": {"name": "digits"},
        "method": luck.choice(WORDS["method"]),
        "train": {"steps": 400, "report_every": 100, **{n: a_value(n, luck) for n in fixed if n in TRAIN}},
        "search": search,
        "start_from": [a_point(search, luck) for _ in range(luck.randint(0, 2))],
        "sampler": luck.choice(["tpe", "tpe", "nsga2", "random", "quasi-random"]),
        "objectives": luck.choice([{"nmi": "maximize"}, {"nmi": "maximize", "prior_rmse": "minimize"}]),
        "asha": {"grace": 100},
        "trials": TRIALS,
        "seed": luck.randint(0, 2**31 - 1),
    }


TRAIN = list(parse_spec({"dataset": {"name": "digits"}, "search": {"tau": {"choice": [1, 2]}}}, "").train.model_dump())
