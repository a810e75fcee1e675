"""Going on with a search whose space is another one now: what may differ, what is made of what there is, what is said.

Refused is what would put numbers beside each other that cannot be compared: other images, another model or training,
fewer steps. Everything else is carried over. Each step can be repeated: what a killed process has not done, the next
one does.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from eig_tune import strict_json
from eig_tune.config.distributions import Distribution
from eig_tune.config.objectives import objectives_in_words
from eig_tune.config.space import SearchSpec
from eig_tune.hpo.candidates import CONFIRMED, SECOND, SECOND_SEED
from eig_tune.hpo.carried import (
    as_searched_now,
    ended_before,
    finished_before,
    reopen_finished,
    reports_without,
)
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import Trial
from eig_tune.tracking import CONFIRMATION_TAG, OBJECTIVES_TAG
from eig_tune.workflows.confirm import candidates
from eig_tune.workflows.identity import TRIAL_SEED
from eig_tune.workflows.session import Session

logger = logging.getLogger(__name__)

_CARRIED = ("spec.search", "spec.objectives", "spec.sampler", "spec.seed", "spec.start_from")


def why_not_carried_over(state: SearchState, path: str, was: Any, is_now: Any) -> str | None:
    """Why a search cannot go on with this difference; empty where that is plain, None where it can.

    Args:
        state: of the search.
        path: the key of its traits.
        was: what its value was.
        is_now: what it is now.
    """
    if path == "spec.train.steps":
        return None if is_now > was else "more steps are possible, and fewer would leave out what was reached"
    if path.startswith("spec.objectives.") and is_now is not None:
        lacking = reports_without(state, path.rpartition(".")[2])
        return f"{lacking} reports do not have it" if lacking else None
    return None if path.startswith(_CARRIED) else ""


def has_objectives(before: Mapping[str, Any], spec: SearchSpec) -> bool:
    """Whether a search goes on with the objectives that it had.

    Args:
        before: the header that it had; empty where it begins.
        spec: its space as it is now.
    """
    noted = before.get("spec")
    return isinstance(noted, Mapping) and (not spec.names_objectives or noted.get("objectives") == spec.objectives)


def go_on(session: Session, spec: SearchSpec, before: Mapping[str, Any]) -> Session:
    """Carry over what an open search has, and say what becomes of it.

    Args:
        session: the open search.
        spec: its space as it is now.
        before: the header that it had.

    Returns:
        The session, with the seed from which its trials' own seeds follow.
    """
    for line in _changes_in_words(before.get("spec"), spec, session.event_log):
        logger.info("%s", line)
    _train_on(session, spec.train.steps)
    _forget_what_is_out_of_date(session, spec.train.steps)
    session.tracker.set_tags(None, {OBJECTIVES_TAG: strict_json.dumps(spec.objectives)})
    seed = int(session.event_log.header.get(TRIAL_SEED, spec.seed))
    return replace(session, spec=spec.model_copy(update={"seed": seed}))


def _changes_in_words(noted: Any, spec: SearchSpec, state: SearchState) -> Iterator[str]:
    """One line for each difference to the space that the search had."""
    if not isinstance(noted, Mapping) or not state.trials:
        return
    was, now = noted.get("objectives", spec.objectives), spec.objectives
    if was != now:
        stopped = sum(trial.status == "stopped" for trial in state.trials.values())
        yield (
            f"objectives were {objectives_in_words(was)}, are now {objectives_in_words(now)}: the {len(state.trials)} "
            f"trials so far are ranked anew by what they have reported; the {stopped} that were stopped stay so"
        )
    yield from _ranges_in_words(noted.get("search"), spec, state)
    for name, what in (("sampler", "it proposes all further trials"), ("seed", "it holds for all further proposals")):
        if noted.get(name, getattr(spec, name)) != getattr(spec, name):
            yield f"{name} was {noted[name]}, is now {getattr(spec, name)}: {what}"
    if noted.get("start_from", []) != [dict(point) for point in spec.start_from]:
        yield (
            f"start_from is another one: of its points, those beyond the {len(state.trials)} trials so far are tried; "
            "`eig-tune add` adds others"
        )


def _ranges_in_words(noted: Any, spec: SearchSpec, state: SearchState) -> Iterator[str]:
    was = {name: _in_words(entry) for name, entry in noted.items()} if isinstance(noted, Mapping) else {}
    now = {name: str(distribution) for name, distribution in spec.search.items()}
    if not was or was == now:
        return
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) != now.get(name):
            yield f"search.{name} was {was.get(name, 'not there')}, is now {now.get(name, 'not there')}"
    fixed = spec.base_config().flat()
    outside = sum(as_searched_now(trial.params, spec.search, fixed) is None for trial in state.trials.values())
    yield (
        f"of {len(state.trials)} trials so far {outside} lie outside of what is searched now: they stay among the "
        "results, and the sampler learns from the others"
    )


def _in_words(entry: Any) -> str:
    try:
        return str(Distribution.model_validate(entry))
    except ValueError:  # of another version
        return str(entry)


def _train_on(session: Session, steps: int) -> None:
    """Reopen what has finished with fewer steps, of the search, of second and of fresh seeds."""
    logs = [log for log in (session.event_log, session.second_seeds, session.confirmations) if log is not None]
    kept = [trial.checkpoint for log in logs for trial in finished_before(log, steps) if trial.checkpoint is not None]
    present = session.runtime.storage.present(kept) if kept else ()
    reopened, *_ = [reopen_finished(log, steps, present) for log in logs]
    if not reopened:
        return
    anew = sum(trial.checkpoint is None for trial in reopened)
    logger.info(
        "train.steps was %s, is now %s: the %d trials that had finished wait at their rungs, and the best of them train"
        " on, as do their second and fresh seeds%s; `best` chooses again when the first has got to its end",
        f"{max(trial.last.step for trial in reopened if trial.last):,}",
        f"{steps:,}",
        len(reopened),
        f" (from step 0: the checkpoints of {anew} were not kept; see `keep_checkpoints`)" if anew else "",
    )


def _forget_what_is_out_of_date(session: Session, steps: int) -> None:
    """Take back in MLflow what was said of trials that have finished with fewer steps, as long as it is not renewed."""
    trials = [trial for trial in session.event_log.trials.values() if ended_before(trial, steps)]
    if not trials:
        return
    renewed = {each.number: each.as_metrics() for each in candidates(session)}
    for trial in trials:
        known = renewed.get(trial.number, {})
        stale = [name for name in _names_from_other_seeds(session, trial) if name not in known]
        if trial.status != "finished":
            session.tracker.set_tags(str(trial.number), {"front": "false", "best": "false"})
        if stale and trial.last is not None:
            values, tags = dict.fromkeys(stale, float("nan")), {CONFIRMATION_TAG: ""}
            session.tracker.replace_metrics(str(trial.number), trial.last.step, session.event_log.now(), values, tags)


def _names_from_other_seeds(session: Session, trial: Trial) -> list[str]:
    """The metrics that a trial's run in MLflow may have of its second and its fresh seeds."""
    logs = [log for log in (session.second_seeds, session.confirmations) if log is not None]
    runs = [run for log in logs for run in log.trials.values() if run.params["trial"] == trial.number and run.last]
    return list(
        dict.fromkeys(
            f"{SECOND if run.params['seed'] == SECOND_SEED else CONFIRMED}{name}"
            for run in runs
            if run.last is not None
            for name in run.last.metrics
        )
    )
