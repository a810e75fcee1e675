"""What a space says and no run hears: values that change nothing, because no method or loss of the search uses them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from eig_tune.config.distributions import combinations, exists
from eig_tune.config.space import SearchSpec
from eig_tune.errors import Problem
from eig_tune.models import DECIDING, METHODS, USES
from eig_tune.training import TrainConfig

_SECTIONS = ("model", "train", "augment")


def idle_in_search(spec: SearchSpec) -> list[Problem]:
    """What changes nothing in the trials of a search: searched parameters, fixed ones, and start points too many."""
    fixed = spec.base_config().flat()
    trials = list(combinations(spec.search, fixed, set(DECIDING)))
    problems = [*_idle_searched(spec, fixed), *_searched_anyway(spec), *_idle_fixed(spec, trials)]
    if len(spec.start_from) > spec.trials:
        what = f"has more points ({len(spec.start_from)}) than there are trials ({spec.trials}); the last are not tried"
        problems.append(Problem("start_from", what))
    return problems


def idle_in_runs(spec: SearchSpec, methods: Sequence[str]) -> list[Problem]:
    """What changes nothing in a comparison of ``methods``: fixed fields, and values of one method's row."""
    runs = [spec.fixed_config(method, 0, {}).flat() for method in methods]
    return [*_idle_fixed(spec, runs), *idle_in_rows(spec, methods)]


def idle_in_rows(spec: SearchSpec, methods: Iterable[str]) -> Iterator[Problem]:
    """Values of ``compare`` that change nothing in the runs of the method for which they stand there."""
    for method in methods:
        run = spec.fixed_config(method, 0, {}).flat()
        for name in spec.compare.get(method, {}):
            if not _used(name, run):
                yield Problem(f"compare.{method}.{name}", _only(name))


def idle_in_run(spec: SearchSpec, config: TrainConfig, settings: Collection[str]) -> list[Problem]:
    """What changes nothing in one run: ``settings``, and fixed fields where the method is still the space's."""
    run = config.flat()
    idle = [Problem(f"--set {name}", _only(name)) for name in settings if not _used(name, run)]
    return idle if "method" in settings else [*_idle_fixed(spec, [run]), *idle]


def _idle_searched(spec: SearchSpec, fixed: Mapping[str, Any]) -> Iterator[Problem]:
    for name, distribution in spec.search.items():
        trials = [trial for trial in combinations(spec.search, fixed, {name, *DECIDING}) if exists(distribution, trial)]
        used = [_used(name, trial) for trial in trials]
        if not any(used):
            yield Problem(f"search.{name}", f"no trial uses it: {_only(name)}")
        elif not all(used):
            yield Problem(f"search.{name}", f"only some trials use it: {_only(name)}; say so by `when`")


def _searched_anyway(spec: SearchSpec) -> Iterator[Problem]:
    for section in _SECTIONS:
        for name in sorted(getattr(spec, section).model_fields_set & spec.search.keys()):
            if spec.search[name].when is None:
                yield Problem(f"{section}.{name}", "no trial uses it, because it is searched")


def _idle_fixed(spec: SearchSpec, runs: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    for section in _SECTIONS:
        settings = getattr(spec, section)
        for name in sorted(settings.model_fields_set):
            if not any(_used(name, run) for run in runs):
                yield Problem(f"{section}.{name}", f"no run uses it: {_only(name)}")


def _used(name: str, fields: Mapping[str, Any]) -> bool:
    return name not in USES or USES[name].holds(METHODS[str(fields["method"])], fields)


def _only(name: str) -> str:
    return f"changes something only {USES[name].where}"
