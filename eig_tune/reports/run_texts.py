"""What a single run is called in MLflow, and its description there."""

from collections.abc import Iterable

from eig_tune.hpo.candidates import Candidate, run_in_words
from eig_tune.hpo.trial import Trial
from eig_tune.reports.markdown import Artifacts, code, picture
from eig_tune.reports.phrases import values_in_words

SAMPLES_PICTURE = "samples.png"


def name_of(trial: Trial, *, confirming: bool = False) -> str:
    """``trial 17 · lambda_2=12.4 tau=0.11``, or ``confirmation of trial 3 · seed 0``."""
    return run_in_words(trial.params) if confirming else trial.name


def result_name(trial: Trial, objectives: Iterable[str], *, confirming: bool = False) -> str:
    """What an ended run is called: ``nmi 0.912, prior_rmse 0.031 · trial 17 · lambda_2=12.4``, and where it was not
    trained to its end ``nmi 0.312 · stopped at 500 · trial 3 · …``."""
    status = ""
    if trial.status != "finished":
        status = f"{trial.status} at {trial.last.step}" if trial.last else trial.status
    values = values_in_words(objectives, trial.last.metrics) if trial.last else ""
    return " · ".join(filter(None, [values, status, name_of(trial, confirming=confirming)]))


def confirmed_name(candidate: Candidate, objectives: Iterable[str]) -> str:
    """What a confirmed trial is called: ``nmi 0.905 ± 0.012 confirmed · trial 17 · …``."""
    values = values_in_words(objectives, candidate.confirmed, candidate.confirmed_deviations)
    return f"{values} confirmed · {candidate.trial.name}"


def describe_start(trial: Trial, search: str, *, confirming: bool = False) -> str:
    """The description of a run that has just begun.

    Args:
        trial: the run.
        search: the page of the search's own run.
        confirming: it is a second or fresh seed.
    """
    return f"**{name_of(trial, confirming=confirming)}** of [this search]({search}) has not ended yet.\n"


def describe_end(
    trial: Trial, objectives: Iterable[str], search: str, artifacts: Artifacts, *, confirming: bool = False
) -> str:
    """The description of an ended run: how it has ended and why, what it has reached, and its samples.

    Args:
        trial: the run.
        objectives: what it is judged by.
        search: the page of the search's own run.
        artifacts: knows the addresses of its pictures.
        confirming: it is a second or fresh seed.
    """
    step = f" at step {trial.last.step:,}" if trial.last else ""
    values = values_in_words(objectives, trial.last.metrics) if trial.last else ""
    reached = f": **{values}**" if values else ""
    parts = [f"**{name_of(trial, confirming=confirming)}** of [this search]({search}) {trial.status}{step}{reached}."]
    if trial.reason:
        parts.append(code(trial.reason))
    if trial.checkpoint is not None:
        parts += [picture(SAMPLES_PICTURE, artifacts), "Generated images, a row for each category."]
    return "\n\n".join(parts) + "\n"
