"""What a search or a comparison has come to, for tables, scripts and notebooks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eig_tune.config.constraints import NO_CONSTRAINTS, Constraints, written
from eig_tune.config.space import SearchSpec
from eig_tune.hpo.candidates import Candidate, Confirmed
from eig_tune.hpo.objectives import Metrics, missed
from eig_tune.hpo.selection import reached
from eig_tune.hpo.selection_bias import Compared, selection_bias
from eig_tune.hpo.trial import Trial
from eig_tune.reports.categories import Category
from eig_tune.reports.comparison import p_in_words, rows_of
from eig_tune.reports.disagreement import disagreement_of
from eig_tune.reports.suggestion import Suggestion
from eig_tune.tracking import TrackedSearch, TrackedTrial


@dataclass(frozen=True)
class DiskUse:
    """Bytes that a search takes: its checkpoints, and what it has left in the home.

    Attributes:
        storage: where the checkpoints lie.
        checkpoints: those of trials that have not ended, or of which MLflow lacks something: while a search runs one
            for each of them, two while a newer one is being written. Of those that have ended, only the checkpoints
            of a search's best trials stay, and of their second and fresh seeds: as many as the space's
            ``keep_checkpoints`` says. None when the storage did not answer.
        kept: event log, study and curves; pictures and models too if MLflow's store is the home's own.
    """

    storage: str
    checkpoints: int | None
    kept: int


@dataclass(frozen=True)
class SearchOutcome:
    """What a search has come to.

    Attributes:
        name: of the search.
        spec: its space, with the objectives that it has for its images.
        trials: all of them.
        front: finished trials that no other finished one dominates, by what was found.
        finished: finished trials, with what their parameters have reached on other seeds.
        best: the trial that ``eig-tune best`` names; None where none has finished.
        slots: trials that could run at once, at the most: nodes come and go.
        wall_seconds: how long this process has worked on it.
        disk: what it takes.
        tracking_errors: what MLflow did not take.
        stopped: why it has ended before all was trained; nothing when all was.
        link: where a browser finds its trials in MLflow, while a server runs there.
        run_id: of its own run in MLflow, which has its description.
    """

    name: str
    spec: SearchSpec
    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    finished: tuple[Candidate, ...]
    best: Trial | None
    slots: int
    wall_seconds: float
    disk: DiskUse
    tracking_errors: tuple[str, ...]
    stopped: str = ""
    link: str = ""
    run_id: str = ""

    @property
    def confirmed(self) -> tuple[Confirmed, ...]:
        """Every trial that was trained on fresh seeds, complete or not."""
        return tuple(trial.confirmation for trial in self.finished if trial.confirmation is not None)


@dataclass(frozen=True, kw_only=True)
class FixedRunsOutcome:
    """What a list of fixed runs has come to.

    Attributes:
        name: of the comparison, or whatever the runs were made for.
        trials: the runs.
        folder: where table and pictures lie.
        complete: whether every run has ended.
        disk: what it takes.
        tracking_errors: what MLflow did not take.
        stopped: why it has ended before all runs had; nothing when all have.
    """

    name: str
    trials: tuple[Trial, ...]
    folder: Path
    complete: bool
    disk: DiskUse
    tracking_errors: tuple[str, ...]
    stopped: str = ""


@dataclass(frozen=True, kw_only=True)
class ComparisonOutcome(FixedRunsOutcome):
    """What a comparison has come to; its runs are the cells of its table."""


@dataclass(frozen=True, kw_only=True)
class SuggestionOutcome(FixedRunsOutcome):
    """What ``suggest-k`` has come to.

    Attributes:
        suggestion: the agreement of every K, and the K that is recommended, as far as runs have finished.
    """

    suggestion: Suggestion


def search_document(outcome: SearchOutcome) -> dict[str, Any]:
    """The outcome of a search as JSON has it; times in seconds, sizes in bytes.

    Of a search with constraints every trial has by how much it misses each that it does not meet, finished or not.
    """
    limits = outcome.spec.constraints
    return {
        "name": outcome.name,
        "wall_seconds": outcome.wall_seconds,
        "slots": outcome.slots,
        "disk": vars(outcome.disk),
        "steps": sum(trial.last.step for trial in outcome.trials if trial.last),
        "train_seconds": total(outcome.trials, "train_seconds"),
        "evaluation_seconds": total(outcome.trials, "evaluation_seconds"),
        **({"constraints": written(limits)} if limits else {}),
        "trials": [trial_document(trial, limits) for trial in outcome.trials],
        "front": [trial.number for trial in outcome.front],
        "second_seeds": {str(trial.number): dict(trial.second) for trial in outcome.finished if trial.second},
        "confirmed": [
            {
                **{name: value for name, value in vars(confirmed).items() if name != "models"},
                "complete": confirmed.complete,
                **_missed(confirmed.means, limits),
            }
            for confirmed in outcome.confirmed
        ],
        "selection_bias": biases_document(outcome.finished, outcome.spec.objectives),
        "best": None if outcome.best is None else trial_document(outcome.best, limits),
    }


def biases_document(confirmed: Sequence[Compared], objectives: Iterable[str]) -> dict[str, Any]:
    """Found against confirmed, by objective, as JSON has it; empty where nothing is confirmed."""
    biases = {name: selection_bias(confirmed, name) for name in objectives}
    return {
        name: {
            "trials": bias.trials,
            "found": bias.found,
            "confirmed": bias.confirmed,
            "difference": bias.difference,
            "standard_error": bias.error,
            "interval_95": bias.interval,
        }
        for name, bias in biases.items()
        if bias is not None
    }


def comparison_document(outcome: ComparisonOutcome, methods: Sequence[str]) -> dict[str, Any]:
    """The outcome of a comparison as JSON has it."""
    rows = rows_of(outcome.trials, methods)
    return {
        "name": outcome.name,
        "complete": outcome.complete,
        "disk": vars(outcome.disk),
        "methods": [vars(row) for row in rows],
        "test": p_in_words(rows),
        "cells": [trial_document(trial) for trial in outcome.trials],
    }


def suggestion_document(outcome: SuggestionOutcome) -> dict[str, Any]:
    """The outcome of ``suggest-k`` as JSON has it."""
    return {
        "name": outcome.name,
        "complete": outcome.complete,
        "recommended": outcome.suggestion.recommended,
        "certainty": outcome.suggestion.certainty,
        "categories": [vars(row) for row in outcome.suggestion.rows],
        "disk": vars(outcome.disk),
        "trials": [trial_document(trial) for trial in outcome.trials],
    }


def trial_document(trial: Trial, constraints: Constraints = NO_CONSTRAINTS) -> dict[str, Any]:
    """What has become of a trial as JSON has it; ``reason`` is never empty."""
    metrics = dict(trial.last.metrics) if trial.last else {}
    goes_on = f"the search was stopped; --resume goes on from step {trial.checkpoint_step}"
    return {
        "trial": trial.number,
        "status": trial.outcome,
        "reason": goes_on if trial.status == "running" else trial.why,
        "step": trial.last.step if trial.last else 0,
        "params": dict(trial.params),
        "metrics": metrics,
        **_missed(metrics, constraints),
    }


def _missed(metrics: Metrics, constraints: Constraints) -> dict[str, dict[str, float | None]]:
    """By how much each constraint is missed; None by metrics that lack its own, which JSON has no infinity for."""
    by = missed(metrics, constraints)
    return {"missed": {n: v if math.isfinite(v) else None for n, v in by.items()}} if constraints else {}


def best_document(
    chosen: TrackedTrial, found: TrackedSearch, by: str, categories: Sequence[Category]
) -> dict[str, Any]:
    """The chosen trial of a search in MLflow as JSON has it."""
    return {
        "search": found.name,
        "search_run": found.run.run_id,
        "by": by,
        "trial": chosen.number,
        "run_id": chosen.run_id,
        "params": dict(chosen.params),
        "metrics": chosen.own,
        "found": dict(chosen.found),
        "second_seed": chosen.second,
        "confirmed": chosen.confirmed,
        "confirmed_deviations": chosen.confirmed_deviations,
        "confirmation": chosen.confirmation,
        "selection_bias": biases_document(found.finished(), found.objectives),
        "warnings": list(disagreement_of(chosen, found.objectives, found.constraints).signs),
        **({"constraints": written(found.constraints)} if found.constraints else {}),
        **_missed(reached(chosen), found.constraints),
        "categories": [vars(category) for category in categories],
    }


def total(trials: Sequence[Trial], metric: str) -> float:
    """Sum of a reported quantity, such as ``train_seconds``, over all reports of all trials."""
    return sum(report.metrics[metric] for trial in trials for report in trial.reports.values())
