"""The YAML file of a search, parsed, checked as a whole, and resolved."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from eig_tune.data import AugmentSettings, DatasetConfig
from eig_tune.errors import ConfigError, Problem
from eig_tune.evaluation.evaluator import DIRECTIONS, LABELLED_METRICS
from eig_tune.models import NetworkSettings
from eig_tune.schema import MOST, Section, problems_of, suggestion
from eig_tune.training import TrainConfig, TrainSettings
from eig_tune.training.config import MethodName, field_names
from eig_tune.tuning.distributions import Distribution, Value, in_order_of_conditions
from eig_tune.tuning.document import read_document
from eig_tune.tuning.sampler import SamplerKind

Direction = Literal["maximize", "minimize"]
_BUDGET = frozenset({"steps", "report_every", "seed"})


class AshaSettings(Section):
    """Asynchronous successive halving: the first rung in optimisation steps, the rate, and how many brackets, of
    which each spares its trials one rung more than the one before."""

    grace: int = Field(default=1000, ge=1, le=MOST)
    reduction_factor: int = Field(default=3, ge=2, le=MOST)
    brackets: int = Field(default=1, ge=1, le=MOST)


class ConfirmSettings(Section):
    """Confirmation after the search: the ``top`` best, each trained again on ``seeds`` fresh seeds; top 0 is none."""

    top: int = Field(default=3, ge=0, le=100)
    seeds: int = Field(default=3, ge=1, le=100)


class SearchSpec(Section):
    """One search, whole: what the YAML says, validated."""

    dataset: DatasetConfig
    method: MethodName = "elastic-infogan"
    model: NetworkSettings = NetworkSettings()
    train: TrainSettings = TrainSettings()
    augment: AugmentSettings = AugmentSettings()
    search: dict[str, Distribution] = Field(min_length=1)
    start_from: tuple[dict[str, Value], ...] = ()
    objectives: dict[str, Direction] = Field(
        default={"nmi": "maximize", "prior_rmse": "minimize"}, min_length=1, max_length=3
    )
    asha: AshaSettings = AshaSettings()
    sampler: SamplerKind = "tpe"
    confirm: ConfirmSettings = ConfirmSettings()
    compare: dict[MethodName, dict[str, Value]] = Field(default={})
    trials: int = Field(default=64, ge=1, le=MOST)
    seed: int = Field(default=0, ge=0, lt=2**31)

    def base_config(self) -> TrainConfig:
        """The run that every trial starts from, before its searched values are set."""
        return TrainConfig(method=self.method, model=self.model, train=self.train, augment=self.augment, seed=self.seed)

    def trial_config(self, number: int, values: Mapping[str, Value]) -> TrainConfig:
        """The run of trial ``number``; every trial has a seed of its own."""
        return self.base_config().with_values({**values, "seed": self.seed * 100_003 % 2**31 + number})

    def fixed_config(self, method: str, seed: int, values: Mapping[str, Value]) -> TrainConfig:
        """A run outside of a search: the first ``start_from`` point, then what ``compare`` says, then ``values``."""
        start = self.start_from[0] if self.start_from else {}
        settled = {**start, **self.compare.get(method, {}), **values, "method": method, "seed": seed}
        return self.base_config().with_values(settled)

    def rungs(self) -> list[int]:
        """Steps at which trials are compared and most of them stopped, below the full budget."""
        return _rungs(self.asha.grace, self.asha.reduction_factor, self.train.steps)

    def contains(self, point: Mapping[str, Any]) -> bool:
        """Whether every value of ``point`` is searched and inside its range."""
        return all(
            name in self.search and self.search[name].for_optuna()._contains(_internal(self.search[name], value))
            for name, value in point.items()
        )

    def needs_labels(self) -> bool:
        """Whether an objective can only be computed with true labels."""
        return any(name in LABELLED_METRICS for name in self.objectives)


_SECTIONS: dict[str, type[Section]] = {
    "": SearchSpec,
    "dataset": DatasetConfig,
    "model": NetworkSettings,
    "train": TrainSettings,
    "augment": AugmentSettings,
    "asha": AshaSettings,
    "confirm": ConfirmSettings,
    "search": Distribution,
}


def load_spec(path: Path, overrides: Mapping[str, Any] | None = None) -> SearchSpec:
    """Read a search's YAML; ``overrides`` are dotted keys from the command line.

    Raises:
        ConfigError: the file cannot be read, or something in it is wrong; every problem is reported.
    """
    document = read_document(path)
    for key, value in (overrides or {}).items():
        _set(document, key.split("."), value)
    return parse_spec(document, str(path))


def parse_spec(document: Mapping[str, Any], source: str) -> SearchSpec:
    """Validate a whole document; :class:`ConfigError` lists every problem at once."""
    problems: list[Problem] = []
    spec = None
    try:
        spec = SearchSpec.model_validate(document)
    except ValidationError as error:
        problems += problems_of(error, _SECTIONS)
    problems += [p for check in _CHECKS for p in check(document) if p.where not in {q.where for q in problems}]
    if problems or spec is None:
        raise ConfigError(source, problems)
    return spec


def _set(document: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        document = document.setdefault(key, {})
        if not isinstance(document, dict):
            return
    document[path[-1]] = value


def _searched(document: Mapping[str, Any]) -> dict[str, Distribution]:
    """The well-formed entries of ``search``; the others are reported by their own validation."""
    entries = document.get("search")
    found: dict[str, Distribution] = {}
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            found[str(name)] = Distribution.model_validate(entry)
        except ValidationError:
            continue
    return found


def _check_names(document: Mapping[str, Any]) -> list[Problem]:
    entries = document.get("search")
    names = [str(name) for name in entries] if isinstance(entries, dict) else []
    known = [name for name in field_names() if name not in _BUDGET]
    problems = [
        Problem(f"search.{name}", f"no such parameter{suggestion(name, known)}")
        for name in names
        if name not in known and name not in _BUDGET
    ]
    return problems + [
        Problem(f"search.{name}", "is the budget of a trial, which rungs count in; set it under `train`")
        for name in names
        if name in _BUDGET
    ]


def _check_ranges(document: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for name, distribution in _searched(document).items():
        for value in distribution.extremes():
            try:
                TrainConfig().with_values({name: value})
            except KeyError:
                break
            except ValidationError as error:
                problems.append(Problem(f"search.{name}", problems_of(error, {})[0].what))
                break
    return problems


def _check_conditions(document: Mapping[str, Any]) -> list[Problem]:
    space = _searched(document)
    problems = [
        Problem(f"search.{name}.when.{other}", f"no such parameter{suggestion(other, field_names())}")
        for name, distribution in space.items()
        for other in (distribution.when or {})
        if other not in field_names()
    ]
    try:
        in_order_of_conditions(space)
    except ValueError as error:
        problems.append(Problem("search", str(error)))
    return problems


def _check_objectives(document: Mapping[str, Any]) -> list[Problem]:
    objectives = document.get("objectives")
    if not isinstance(objectives, dict):
        return []
    return [
        Problem(f"objectives.{name}", f"no such metric{suggestion(str(name), DIRECTIONS)}")
        for name in objectives
        if name not in DIRECTIONS
    ] + [
        Problem(f"objectives.{name}", f"got {direction!r}; {name} is better when you {DIRECTIONS[name]} it")
        for name, direction in objectives.items()
        if name in DIRECTIONS and direction in ("maximize", "minimize") and direction != DIRECTIONS[name]
    ]


def _check_budget(document: Mapping[str, Any]) -> list[Problem]:
    steps = _number(document, "train", "steps", TrainSettings().steps)
    every = _number(document, "train", "report_every", TrainSettings().report_every)
    grace = _number(document, "asha", "grace", AshaSettings().grace)
    rate = _number(document, "asha", "reduction_factor", AshaSettings().reduction_factor)
    if steps is None or every is None or grace is None or rate is None or rate < 2:
        return []
    problems = []
    if every > steps:
        problems.append(Problem("train.report_every", f"got {every}; must be at most train.steps, {steps}"))
    if grace > steps:
        problems.append(Problem("asha.grace", f"got {grace}; the first rung must be at most train.steps, {steps}"))
    elif grace % every and every <= steps:
        remedy = max(every, round(grace / every) * every)
        problems.append(
            Problem("asha.grace", f"got {grace}; must be a multiple of train.report_every, {every}: try {remedy}")
        )
    else:
        problems += _check_brackets(document, _rungs(grace, rate, steps))
    return problems


def _check_brackets(document: Mapping[str, Any], rungs: Sequence[int]) -> list[Problem]:
    brackets = _number(document, "asha", "brackets", 1)
    if brackets is None or brackets <= len(rungs) + 1:
        return []
    return [
        Problem("asha.brackets", f"got {brackets}; with the rungs {list(rungs)} there are at most {len(rungs) + 1}")
    ]


def _rungs(grace: int, reduction_factor: int, steps: int) -> list[int]:
    """The grace, and that times the factor as long as the full budget lies a factor above.

    A rung at 90 % of the budget would save next to nothing, and leave a third of the points of a front.
    """
    levels: list[int] = []
    level = grace
    while level < steps and (not levels or level * reduction_factor <= steps):
        levels.append(level)
        level *= reduction_factor
    return levels


def _number(document: Mapping[str, Any], section: str, key: str, default: int) -> int | None:
    """The value at ``section.key`` when it is a whole number above 0, else None: it is reported elsewhere."""
    fields = document.get(section, {})
    value = fields.get(key, default) if isinstance(fields, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value == int(value) and value > 0 else None


def _check_start_points(document: Mapping[str, Any]) -> list[Problem]:
    points, space = document.get("start_from"), _searched(document)
    entries = document.get("search")
    named = list(entries) if isinstance(entries, dict) else []
    problems = []
    for index, point in enumerate(points if isinstance(points, list) else ()):
        for name, value in point.items() if isinstance(point, dict) else ():
            where = f"start_from.{index}.{name}"
            if name not in named:
                problems.append(Problem(where, f"is not searched{suggestion(str(name), named)}"))
            elif name in space and not space[name].for_optuna()._contains(_internal(space[name], value)):
                problems.append(Problem(where, f"got {value!r}; outside of search.{name}: {space[name]}"))
    return problems


def _check_compare(document: Mapping[str, Any]) -> list[Problem]:
    compare = document.get("compare")
    problems = []
    for method, values in compare.items() if isinstance(compare, dict) else ():
        for name, value in values.items() if isinstance(values, dict) else ():
            where = f"compare.{method}.{name}"
            try:
                TrainConfig().with_values({name: value})
            except KeyError:
                problems.append(Problem(where, f"no such parameter{suggestion(str(name), field_names())}"))
            except ValidationError as error:
                problems.append(Problem(where, problems_of(error, {})[0].what))
    return problems


def _internal(distribution: Distribution, value: Any) -> float:
    """The value as Optuna holds it, or NaN, which no distribution contains."""
    try:
        return distribution.for_optuna().to_internal_repr(value)
    except (ValueError, TypeError):
        return math.nan


_CHECKS = (
    _check_names,
    _check_ranges,
    _check_conditions,
    _check_objectives,
    _check_budget,
    _check_start_points,
    _check_compare,
)
