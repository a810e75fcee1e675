"""Searches of a home as JSON has them."""

from typing import Any

from eig_tune.hpo.candidates import Candidate
from eig_tune.hpo.trial import Trial
from eig_tune.workflows.overview import Overview


def overview_document(search: Overview) -> dict[str, Any]:
    """One search as a line of a list has it; times in seconds since the epoch, sizes in bytes."""
    ended = sum(trial.ended for trial in search.trials)
    return {
        "name": search.name,
        "kind": search.kind,
        "state": search.standing,
        "why": search.damage or search.why,
        "process": search.lock.owner,
        "host": search.host,
        "id": search.search_id,
        "num_trials": {"ended": ended, "begun": len(search.trials), "planned": search.planned},
        "best": None if search.best is None else _best_document(search.best),
        "newest_at": search.newest_at,
        "bytes": search.size(),
    }


def status_document(search: Overview) -> dict[str, Any]:
    """One search with all its trials."""
    return {
        **overview_document(search),
        "objectives": dict(search.objectives),
        "seconds_left": search.seconds_left(),
        "waiting": [dict(params) for params in search.waiting.values()],
        "trials": [_trial_document(trial, search) for trial in search.trials],
        "confirming": search.confirming,
        "storage": search.storage,
        "store": search.store,
    }


def _trial_document(trial: Trial, search: Overview) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "status": trial.status if search.standing == "running" else trial.outcome,
        "why": trial.why,
        "params": dict(trial.params),
        "rung": trial.rung(search.rungs),
        "step": trial.last.step if trial.last else 0,
        "metrics": dict(trial.last.metrics) if trial.last else {},
        "host": trial.host,
        "begun_at": trial.at,
        "ended_at": trial.ended_at,
    }


def _best_document(best: Candidate) -> dict[str, Any]:
    confirmed = dict(best.confirmed)
    return {"trial": best.number, "params": dict(best.trial.params), "found": dict(best.found), "confirmed": confirmed}
