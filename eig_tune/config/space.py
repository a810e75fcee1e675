"""The YAML file of a search, parsed, checked as a whole, and resolved."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from eig_tune.config.asha import AshaSettings, check_budget, rungs
from eig_tune.config.checks import check_points, check_rows, check_search, check_that_params_exist, fixed_fields
from eig_tune.config.constraints import WrittenBound, check_constraints
from eig_tune.config.distributions import Distribution
from eig_tune.config.document import read_document
from eig_tune.config.objectives import default_objectives
from eig_tune.data import AugmentSettings, DatasetConfig, ImbalanceSplit
from eig_tune.errors import ConfigError, Problem
from eig_tune.evaluation.base import Direction
from eig_tune.evaluation.metrics import METRICS
from eig_tune.evaluation.registry import directions
from eig_tune.models import NetworkSettings
from eig_tune.schema import MOST, Section, problems_of, suggestion
from eig_tune.training import TrainConfig, TrainSettings
from eig_tune.training.config import MethodName, ParamValue

SamplerKind = Literal["tpe", "nsga2", "random", "quasi-random"]


class ConfirmSettings(Section):
    """Confirmation after the search: the best are trained again and, with labels, evaluated by a second classifier."""

    finalists: int = Field(
        default=8,
        ge=0,
        le=100,
        description="how many of the best trials are trained on a second seed first, `top` of them at least; the best "
        "by the means of both seeds are confirmed; 0 confirms the best by their one seed",
    )
    top: int = Field(default=3, ge=0, le=100, description="how many trials are confirmed; 0 is no confirmation")
    seeds: int = Field(default=3, ge=1, le=100, description="fresh seeds on which each of them is trained")
    splits: tuple[Annotated[int, Field(ge=0, le=MOST, strict=True)], ...] = Field(
        default=(),
        max_length=100,
        description="numbers of imbalances, as in `dataset.imbalance.split`: the fresh seeds are trained on each of "
        "them, so that settings are chosen that hold beyond one imbalance; by default on the search's own images",
    )

    @field_validator("splits")
    @classmethod
    def _each_split_once(cls, splits: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(splits)) < len(splits):
            raise ValueError("must name each split once")
        return splits

    def finalists_of(self, finished: int) -> int:
        """How many of so many finished trials are trained on a second seed; 0 where that would decide nothing."""
        number = min(max(self.finalists, self.top), finished)
        return number if self.finalists and self.top and number > self.top else 0

    @property
    def runs(self) -> int:
        """How many runs confirm one trial."""
        return self.seeds * max(1, len(self.splits))


class SearchSpec(Section):
    """The space of one search: data, method, settings, what is searched and how."""

    dataset: DatasetConfig = Field(description="the images")
    method: MethodName = Field(default="elastic-infogan", description="the system that is trained")
    model: NetworkSettings = Field(default=NetworkSettings(), description="shape of the networks")
    train: TrainSettings = Field(default=TrainSettings(), description="weights, rates and budget of a run")
    augment: AugmentSettings = Field(default=AugmentSettings(), description="the transformations δ of real images")
    search: dict[str, Distribution] = Field(
        min_length=1,
        description="the searched parameters, each with its distribution: `method`, or a field of `model`, `train` or "
        "`augment`",
    )
    start_from: tuple[dict[str, ParamValue], ...] = Field(
        default=(), description="params of the first trials; a point may leave parameters to the sampler"
    )
    objectives: dict[str, Direction] = Field(
        default=default_objectives(labelled=True),
        min_length=1,
        max_length=3,
        description="one to three metrics to optimise, each with its direction; where the images have no labels the "
        f"default is `{{{', '.join(f'{name}: {way}' for name, way in default_objectives(labelled=False).items())}}}`",
    )
    constraints: dict[str, WrittenBound] = Field(
        default={},
        description="metrics with a bound that a trial must meet at its end, such as `{nmi_real: '>= 0.8'}`; trials "
        "that meet all of them are preferred to all others",
    )
    asha: AshaSettings = Field(default=AshaSettings(), description="early stopping")
    sampler: SamplerKind = Field(
        default="tpe",
        description="how new trials are proposed: `tpe` learns from the results so far, `nsga2` crosses the best of "
        "them, `random` and `quasi-random` learn nothing",
    )
    confirm: ConfirmSettings = Field(default=ConfirmSettings(), description="confirmation after the search")
    compare: dict[MethodName, dict[str, ParamValue]] = Field(
        default={}, description="fields that `eig-tune compare` sets for one method alone, by method"
    )
    trials: int = Field(default=64, ge=1, le=MOST, description="number of trials")
    keep_checkpoints: int = Field(
        default=4,
        ge=0,
        le=MOST,
        description="of how many of the best finished trials, and of their second and fresh seeds, the checkpoints are "
        "kept, so that they train on when the search goes on with more steps",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of the search; each trial has one of its own")

    def base_config(self) -> TrainConfig:
        """The run that every trial starts from, before its params are set."""
        return TrainConfig(method=self.method, model=self.model, train=self.train, augment=self.augment, seed=self.seed)

    def trial_config(self, number: int, params: Mapping[str, ParamValue]) -> TrainConfig:
        """The run of trial ``number``; every trial has a seed of its own."""
        return self.base_config().with_params({**params, "seed": self.seed * 100_003 % 2**31 + number})

    def fixed_config(self, method: str, seed: int, params: Mapping[str, ParamValue]) -> TrainConfig:
        """A run outside of a search: the first ``start_from`` point, then what ``compare`` says, then ``params``."""
        start = self.start_from[0] if self.start_from else {}
        settled = {**start, **self.compare.get(method, {}), **params, "method": method, "seed": seed}
        return self.base_config().with_params(settled)

    def of_run(self, config: TrainConfig) -> "SearchSpec":
        """The space that has this one run and searches for nothing, for checks that look at a whole space."""
        run = {name: getattr(config, name) for name in ("method", "model", "train", "augment")}
        return self.model_copy(update={"search": {}, "objectives": {}, **run})

    def for_images(self, *, labelled: bool) -> "SearchSpec":
        """The space with the objectives that it has for images with or without labels, if it names none."""
        if self.names_objectives:
            return self
        return self.model_copy(update={"objectives": default_objectives(labelled=labelled)})

    @property
    def names_objectives(self) -> bool:
        """Whether its objectives were named, and not left to what the images have."""
        return "objectives" in self.model_fields_set

    def rungs(self) -> list[int]:
        """Steps at which trials are compared and most of them stopped, below the full budget."""
        return rungs(self.asha.grace, self.asha.reduction_factor, self.train.steps)

    def point(self, params: Mapping[str, Any]) -> dict[str, ParamValue] | None:
        """The params as trials of this space have them, or None if no trial can have all of them."""
        (point,), problems = check_points([dict(params)], self.search, self.search)
        problems = problems or check_that_params_exist(point, self.search, self.base_config().flat(), "")
        return None if problems else point

    def needing_labels(self) -> list[str]:
        """The objectives that can only be computed with true labels."""
        return [name for name in self.objectives if METRICS[name].needs_labels]


_SECTIONS: dict[str, type[Section]] = {
    "": SearchSpec,
    "dataset": DatasetConfig,
    "model": NetworkSettings,
    "train": TrainSettings,
    "augment": AugmentSettings,
    "asha": AshaSettings,
    "confirm": ConfirmSettings,
}
# Stands in for `search` where every entry is wrong and reported, so that the other sections are still checked.
_ANY_SPACE = {"lambda_1": Distribution(uniform=(0.0, 1.0))}


def load_spec(
    source: Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None, searching: bool = True
) -> SearchSpec:
    """Read the space of a search.

    Args:
        source: its YAML file, or what such a file holds.
        overrides: new values by dotted keys, such as ``train.steps``.
        searching: as for :func:`parse_spec`.

    Raises:
        ConfigError: the file cannot be read, or something in it is wrong; every problem is reported.
    """
    document = read_document(source) if isinstance(source, Path) else copy.deepcopy(dict(source))
    for key, value in (overrides or {}).items():
        _set(document, key.split("."), value)
    return parse_spec(document, str(source) if isinstance(source, Path) else "the space", searching)


def parse_spec(document: Mapping[str, Any], source: str, searching: bool = True) -> SearchSpec:
    """Validate a whole document; :class:`ConfigError` lists every problem at once.

    Args:
        searching: whether trials will be stopped early, so that ``asha`` must fit the budget of a trial.
    """
    checked, problems = _checked(document)
    spec = None
    try:
        spec = SearchSpec.model_validate(checked)
    except ValidationError as error:
        problems += problems_of(error, _SECTIONS)
    checks = [*_check_objectives(document), *check_budget(document, searching), *(_check_splits(spec) if spec else ())]
    problems += [p for p in checks if p.where not in {q.where for q in problems}]
    if problems or spec is None:
        raise ConfigError(source, problems)
    return spec


def _checked(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The document with the three sections of flat names checked, and what is wrong in these."""
    fixed = fixed_fields(document)
    searched, rows = document.get("search"), document.get("compare")
    space, problems = check_search(searched, fixed)
    checked = dict(document)
    if isinstance(searched, dict) and searched:
        checked["search"] = space or _ANY_SPACE
    if "start_from" in document:
        points, wrong = check_points(document["start_from"], space, searched if isinstance(searched, dict) else {})
        if not problems and not wrong:
            wrong = [
                problem
                for index, point in enumerate(points)
                for problem in check_that_params_exist(point, space, fixed, f"start_from.{index}")
            ]
        checked["start_from"], problems = points, problems + wrong
    if isinstance(rows, dict):
        checked["compare"], wrong = check_rows(rows)
        problems += wrong
    if isinstance(document.get("constraints"), dict):
        checked["constraints"], wrong = check_constraints(document["constraints"])
        problems += wrong
    return checked, problems


def _set(document: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        document = document.setdefault(key, {})
        if not isinstance(document, dict):
            return
    document[path[-1]] = value


def _check_splits(spec: SearchSpec) -> list[Problem]:
    if not spec.confirm.splits or isinstance(spec.dataset.imbalance, ImbalanceSplit):
        return []
    where = "confirm.splits"
    return [Problem(where, "needs images with labels and dataset.imbalance: {split: 0}, as one of several imbalances")]


def _check_objectives(document: Mapping[str, Any]) -> list[Problem]:
    objectives = document.get("objectives")
    if not isinstance(objectives, dict):
        return []
    known = directions()
    return [
        Problem(f"objectives.{name}", f"no such metric{suggestion(str(name), known)}")
        for name in objectives
        if name not in known
    ] + [
        Problem(f"objectives.{name}", f"got {direction!r}; {name} is better when you {known[name]} it")
        for name, direction in objectives.items()
        if name in known and direction in ("maximize", "minimize") and direction != known[name]
    ]
