"""Unused settings: what a space sets and no run uses, because no method or loss of the search looks at it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from eig_tune.config.conditions import combinations, exists
from eig_tune.config.space import SearchSpec
from eig_tune.errors import Problem
from eig_tune.models import DECIDING, METHODS, USES
from eig_tune.training import TrainConfig

_SECTIONS = ("model", "train", "augment")


def find_unused_in_search(spec: SearchSpec) -> list[Problem]:
    """Settings that no trial of a search uses: searched parameters, fixed fields, start points beyond the trials."""
    fixed = spec.base_config().flat()
    trials = list(combinations(spec.search, fixed, set(DECIDING)))
    problems = [*_unused_searched(spec, fixed), *_fixed_and_searched(spec), *_unused_fixed(spec, trials)]
    if "prior_warmup_steps" not in spec.search:
        problems += _prior_that_stays(trials)
    if len(spec.start_from) > spec.trials:
        what = f"has more points ({len(spec.start_from)}) than there are trials ({spec.trials}); the last are not tried"
        problems.append(Problem("start_from", what))
    return problems


def why_no_trial_uses(spec: SearchSpec) -> dict[str, str]:
    """Every field of a run that no trial of a search looks at, set or not, with the reason."""
    trials = list(combinations(spec.search, spec.base_config().flat(), set(DECIDING)))
    return {name: _where_used(name) for name in USES if not any(_used(name, trial) for trial in trials)}


def find_unused_in_comparison(spec: SearchSpec, methods: Sequence[str]) -> list[Problem]:
    """Settings that no run of a comparison of ``methods`` uses: fixed fields, and params of one method's row."""
    runs = [spec.fixed_config(method, 0, {}).flat() for method in methods]
    return [*_unused_fixed(spec, runs), *find_unused_in_rows(spec, methods), *_prior_that_stays(runs)]


def find_unused_in_rows(spec: SearchSpec, methods: Iterable[str]) -> Iterator[Problem]:
    """Params of ``compare`` that the method in whose row they stand does not use."""
    for method in methods:
        run = spec.fixed_config(method, 0, {}).flat()
        for name in spec.compare.get(method, {}):
            if not _used(name, run):
                yield Problem(f"compare.{method}.{name}", _where_used(name))


def find_unused_in_run(spec: SearchSpec, config: TrainConfig, settings: Collection[str]) -> list[Problem]:
    """Settings that one run does not use: those of ``--set``, and fixed fields where the method is the space's own."""
    run = config.flat()
    unused = [Problem(f"--set {name}", _where_used(name)) for name in settings if not _used(name, run)]
    unused += _prior_that_stays([run])
    return unused if "method" in settings else [*_unused_fixed(spec, [run]), *unused]


def _unused_searched(spec: SearchSpec, fixed: Mapping[str, Any]) -> Iterator[Problem]:
    for name, distribution in spec.search.items():
        trials = [trial for trial in combinations(spec.search, fixed, {name, *DECIDING}) if exists(distribution, trial)]
        used = [_used(name, trial) for trial in trials]
        if not any(used):
            yield Problem(f"search.{name}", f"no trial uses it: {_where_used(name)}")
        elif not all(used):
            yield Problem(f"search.{name}", f"only some trials use it: {_where_used(name)}; say so by `when`")


def _fixed_and_searched(spec: SearchSpec) -> Iterator[Problem]:
    for section in _SECTIONS:
        for name in sorted(getattr(spec, section).model_fields_set & spec.search.keys()):
            if spec.search[name].when is None and not _compared(spec, name):
                yield Problem(f"{section}.{name}", "no trial uses it, because it is searched")


def _compared(spec: SearchSpec, name: str) -> bool:
    """Whether the fixed value is there for the section ``compare``, whose runs have no other."""
    return bool(spec.compare and spec.start_from) and name not in spec.start_from[0]


def _unused_fixed(spec: SearchSpec, runs: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    for section in _SECTIONS:
        settings = getattr(spec, section)
        for name in sorted(settings.model_fields_set):
            if not any(_used(name, run) for run in runs):
                yield Problem(f"{section}.{name}", f"no run uses it: {_where_used(name)}")


def _prior_that_stays(runs: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """The first run that ends before its prior begins to follow the posterior, as with fewer steps than a space has."""
    for run in runs:
        warmup, steps = run["prior_warmup_steps"], run["steps"]
        if warmup >= steps and _used("prior_warmup_steps", run):
            what = (
                f"{warmup} is not below `steps`, {steps}: the prior stays uniform to the end; give about half of them"
            )
            return [Problem("train.prior_warmup_steps", what)]
    return []


def _used(name: str, fields: Mapping[str, Any]) -> bool:
    return name not in USES or USES[name].holds(METHODS[str(fields["method"])], fields)


def _where_used(name: str) -> str:
    return f"takes effect only {USES[name].where}"
