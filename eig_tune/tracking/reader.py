"""A search read back from MLflow alone, on any machine."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eig_tune.config.constraints import Bound, Constraints
from eig_tune.errors import ResultError
from eig_tune.hpo.candidates import ADDED, COMPLETE, CONFIRMED, CONFIRMED_DEVIATION, SECOND, mean_of
from eig_tune.hpo.objectives import Metrics
from eig_tune.tracking.client import readable_errors
from eig_tune.tracking.find_search import SearchRun, find_run, search_run
from eig_tune.tracking.store import Store
from eig_tune.tracking.tags import (
    CONFIRMATION_TAG,
    CONSTRAINTS_TAG,
    DATA_TAG,
    ENDED_TAG,
    KEY_TAG,
    OBJECTIVES_TAG,
    SEARCH_TAG,
)

_Value = bool | int | float | str


@dataclass(frozen=True)
class TrackedTrial:
    """One trial as MLflow knows it.

    Attributes:
        params: hyperparameters.
        metrics: the latest value of each.
        confirmation: how far its confirmation has come: ``complete``, or a phrase; empty where there was none.
        complete: MLflow has everything of it.
    """

    number: int
    run_id: str
    status: str
    reason: str
    params: Mapping[str, _Value]
    metrics: Mapping[str, float]
    confirmation: str = ""
    complete: bool = True

    @property
    def own(self) -> dict[str, float]:
        """What it had reached itself, at its last step."""
        return {name: value for name, value in self.metrics.items() if not name.startswith(ADDED)}

    @property
    def second(self) -> dict[str, float]:
        """What its parameters have reached on a second seed; empty while there is none."""
        return _below(self.metrics, SECOND)

    @property
    def found(self) -> Metrics:
        """What it counts as found: what it has reached itself, or the mean of that and the second seed."""
        return mean_of(self.own, self.second)

    @property
    def valid_metrics(self) -> dict[str, float]:
        """What it has reached, and what was confirmed of it if that is complete, by MLflow's names of the metrics."""
        added = (CONFIRMED, CONFIRMED_DEVIATION)
        whole = self.confirmation == COMPLETE
        return {name: value for name, value in self.metrics.items() if whole or not name.startswith(added)}

    @property
    def confirmed(self) -> dict[str, float]:
        """Means over the fresh seeds of its confirmation; empty unless that is complete."""
        return _below(self.metrics, CONFIRMED) if self.confirmation == COMPLETE else {}

    @property
    def confirmed_deviations(self) -> dict[str, float]:
        """Standard deviations over the same seeds; none of a single run, which earlier versions gave 0."""
        return _below(self.metrics, CONFIRMED_DEVIATION) if self.confirmation == COMPLETE and self.runs > 1 else {}

    @property
    def runs(self) -> int:
        """Runs that have confirmed it."""
        return int(self.confirmed.get("seeds", 0))

    @property
    def splits(self) -> int:
        """Imbalances on which they were trained; 0 where that is the search's own one."""
        return int(self.confirmed.get("splits", 0))


def _below(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """The metrics whose names begin with ``prefix``, without it; those that are NaN are out of date."""
    return {
        name.removeprefix(prefix): value
        for name, value in metrics.items()
        if name.startswith(prefix) and not math.isnan(value)
    }


@dataclass(frozen=True)
class TrackedSearch:
    """One search as MLflow knows it.

    Attributes:
        name: its experiment's.
        search_id: by which it is found again, whatever it is called.
        complete: everything of it is done, and MLflow has it.
        num_trials: how many trials there shall be; None if MLflow does not have that yet.
        store: where it was found.
        others: all other searches in its experiment, the newest first.
        provenance: versions, git commit and fingerprint of the data.
    """

    name: str
    search_id: str
    complete: bool
    num_trials: int | None
    objectives: Mapping[str, str]
    constraints: Constraints
    trials: tuple[TrackedTrial, ...]
    store: Store
    run: SearchRun
    others: tuple[SearchRun, ...]
    provenance: Mapping[str, str]

    def finished(self, *, lacking_objectives: bool = False) -> list[TrackedTrial]:
        """Trials that were trained to the full budget: those of which MLflow has all objectives and all that the
        constraints are about, or has not."""
        finished = [trial for trial in self.trials if trial.status == "finished"]
        needed = self.objectives.keys() | self.constraints.keys()
        return [t for t in finished if (needed <= t.metrics.keys()) is not lacking_objectives]


def read_search(uri: str, name: str | None, own: Sequence[str] = ()) -> TrackedSearch:
    """Read the search that :func:`~eig_tune.tracking.find_search.find_run` finds.

    Raises:
        TrackingError: the store cannot be reached.
        ResultError: there is no such search.
    """
    store, parent = find_run(uri, name, own)
    with readable_errors(uri):
        runs, searches = store.trial_runs(parent.info.run_id), store.searches()
    trials = [
        TrackedTrial(
            number=int(run.data.tags[KEY_TAG]),
            run_id=run.info.run_id,
            status=run.data.tags.get("status", "running"),
            reason=run.data.tags.get("stop_reason", ""),
            params={name: _parsed(text) for name, text in run.data.params.items()},
            metrics=dict(run.data.metrics),
            confirmation=run.data.tags.get(CONFIRMATION_TAG, ""),
            complete=ENDED_TAG in run.data.tags,
        )
        for run in runs
    ]
    return TrackedSearch(
        store.name,
        parent.data.tags.get(SEARCH_TAG, ""),
        parent.info.status == "FINISHED",
        int(parent.data.params["trials"]) if "trials" in parent.data.params else None,
        _objectives(parent),
        _constraints(parent),
        tuple(sorted(trials, key=lambda trial: trial.number)),
        store,
        search_run(parent),
        tuple(search_run(run) for run in searches if run.info.run_id != parent.info.run_id),
        _provenance(parent),
    )


def _objectives(parent: Any) -> dict[str, str]:
    try:
        return {str(name): str(direction) for name, direction in json.loads(parent.data.tags[OBJECTIVES_TAG]).items()}
    except (KeyError, ValueError, AttributeError) as error:
        raise ResultError(f"run {parent.info.run_id}: its tag {OBJECTIVES_TAG} has no objectives") from error


def _constraints(parent: Any) -> dict[str, Bound]:
    """None where the tag is missing: searches of earlier versions have none."""
    try:
        written = json.loads(parent.data.tags.get(CONSTRAINTS_TAG, "{}"))
        return {str(name): Bound.parse(text) for name, text in written.items()}
    except (ValueError, AttributeError) as error:
        raise ResultError(f"run {parent.info.run_id}: its tag {CONSTRAINTS_TAG} has no constraints") from error


def _provenance(parent: Any) -> dict[str, str]:
    kept = {name: value for name, value in parent.data.tags.items() if name.startswith("version.")}
    return {
        "git_commit": parent.data.tags.get("git_commit", "unknown"),
        DATA_TAG: parent.data.params.get(DATA_TAG, "unknown"),
        **kept,
    }


def _parsed(text: str) -> _Value:
    """A parameter parsed from MLflow's text, which is what Python prints of it."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
