"""Confirming a search's best, in two rounds, so that what is chosen and what it is said to reach are not luck.

The best of many noisy trials is partly the luckiest: what a trial reaches again on other seeds is what a user of its
parameters may expect, and the difference is the selection bias of the search (:mod:`eig_tune.hpo.selection_bias`).

1. The finalists, more trials than will be confirmed, are trained on a second seed each, and evaluated as the search's
   trials were. The best by the means of both seeds go on. (Screening before the final comparison, as Boesel, Nelson &
   Kim 2003, *Using Ranking and Selection to "Clean Up" after Simulation Optimization*, Operations Research 51(5).)
2. They are trained on fresh seeds, and evaluated by a classifier that the search never saw. The confirmed means are
   over these alone: no seed by which a trial was chosen is among them.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from eig_tune.cluster.tuner import TrialSpec
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData, ImbalanceSplit
from eig_tune.errors import ConfigError, Problem
from eig_tune.hpo.candidates import SECOND_SEED, SPLIT, Candidate, Confirmed, candidates_of, fresh_seeds
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.objectives import Metrics, mean_and_deviation
from eig_tune.hpo.policies import FixedRuns
from eig_tune.hpo.selection import to_confirm
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import Trial
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.training.loop import TrialData
from eig_tune.workflows.prepare import misfits, prepare_confirming_classifier
from eig_tune.workflows.session import IMAGES, Session

logger = logging.getLogger(__name__)

# Names of notes in the event logs.
_FINALISTS = "finalists"  # with how many the confirmation has begun; versions without a second seed note nothing
_COMPARED = "compared"  # trials whose second seed counts: those of their round have all ended
_ASKED = "asked"  # the seeds of each trial's newest confirmation that came to its end
_ON = "on"  # the imbalances of that confirmation; None is the search's own images


def confirm(session: Session, search: Engine) -> bool:
    """Train every finalist on a second seed and the best of them on every fresh one, as far as that has not been done
    yet; nothing when the space asks for none.

    Args:
        session: an open search.
        search: its engine; every trial has ended.

    Returns:
        Whether all that shall be trained has been.
    """
    return _train_second_seeds(session, search) and _train_fresh_seeds(session, search)


def check_splits(spec: SearchSpec, images: ImageData) -> None:
    """See that the search fits its images with each imbalance on which its best will be confirmed.

    Raises:
        ConfigError: it does not.
        DataError: there are too few images of a class.
    """
    wrong = [
        Problem(problem.where, f"{problem.what} on split {split} of confirm.splits")
        for split in imbalances(spec)
        if split is not None
        for problem in misfits(spec, images.with_imbalance(ImbalanceSplit(split=split)))
    ]
    if wrong:
        raise ConfigError("the search does not fit the images on which it shall be confirmed", wrong)


def imbalances(spec: SearchSpec) -> list[int | None]:
    """On which fresh seeds are trained: numbers of imbalances, of which None is the search's own images."""
    own = spec.dataset.imbalance
    own_split = own.split if isinstance(own, ImbalanceSplit) else None
    return [None if split == own_split else split for split in spec.confirm.splits] or [None]


def _train_second_seeds(session: Session, search: Engine) -> bool:
    spec, event_log = session.spec, _opened(session.second_seeds)
    finished = candidates_of(search.finished())
    number = spec.confirm.finalists_of(len(finished)) if _has_second_seeds(session) else 0
    chosen = [trial.number for trial in to_confirm(finished, spec.objectives, spec.constraints, number)]
    if chosen and not session.runtime.stop.asked:
        logger.info("training the best %d on a second seed each; the best by both seeds are confirmed", len(chosen))
    engine = _run(session, search, event_log, [{"trial": number, "seed": SECOND_SEED} for number in chosen])
    if engine.complete:
        note_compared(event_log, chosen)
    return engine.complete


def _has_second_seeds(session: Session) -> bool:
    """A confirmation that an earlier version has begun, without second seeds, goes on without them."""
    event_log = _opened(session.confirmations)
    if not event_log.trials and event_log.notes.get(_FINALISTS) is None:
        event_log.note({_FINALISTS: session.spec.confirm.finalists})
    return _FINALISTS in event_log.notes


def _train_fresh_seeds(session: Session, search: Engine) -> bool:
    spec, event_log = session.spec, _opened(session.confirmations)
    candidates = candidates_of(search.finished(), second=second_seeds(_opened(session.second_seeds)))
    best = to_confirm(candidates, spec.objectives, spec.constraints, spec.confirm.top)
    chosen = [trial.number for trial in best]
    on = imbalances(spec)
    runs = [_params(number, seed, split) for seed in range(spec.confirm.seeds) for split in on for number in chosen]
    if runs and not session.runtime.stop.asked:
        each = fresh_seeds(spec.confirm.runs, len(spec.confirm.splits))
        logger.info("confirming %d of the best: %s each", len(chosen), each)
    data = session.datasets[IMAGES]

    def datasets() -> Mapping[str, TrialData]:
        check = session.runtime.stop.check
        own = prepare_confirming_classifier(spec, data, session.home, session.view, check)
        return {IMAGES: own, **{str(split): _imbalanced(own, split) for split in on if split is not None}}

    engine = _run(session, search, event_log, runs, datasets, models=True)
    if engine.complete:
        note_complete(event_log, chosen, spec.confirm.seeds, on)
    return engine.complete


def _params(trial: int, seed: int, split: int | None) -> dict[str, Any]:
    return {"trial": trial, "seed": seed, **({} if split is None else {SPLIT: split})}


def _imbalanced(own: TrialData, split: int) -> TrialData:
    return TrialData(own.images.with_imbalance(ImbalanceSplit(split=split)), own.classifier)


def _run(
    session: Session,
    search: Engine,
    event_log: EventLog,
    runs: Sequence[Mapping[str, Any]],
    datasets: Callable[[], Mapping[str, TrialData]] | None = None,
    *,
    models: bool = False,
) -> Engine:
    """Train those runs that are not in the event log yet, and those in it that have not ended."""
    spec = session.spec
    known = [trial.params for trial in event_log.trials.values()]
    policy = FixedRuns(runs, lambda params: spec.train.steps, spec.objectives, known, spec.constraints)
    classes = session.datasets[IMAGES].images.classes
    return session.run(
        policy,
        event_log,
        lambda trial: _trial_spec(spec, search, trial.params),
        policy.num_trials * spec.train.steps,
        MlflowRuns(session.tracker, session.runtime.storage, classes, spec.method, models=models, confirming=True),
        datasets=datasets,
    )


def _opened(event_log: EventLog | None) -> EventLog:
    assert event_log is not None, "a search, not a comparison"
    return event_log


def _trial_spec(spec: SearchSpec, search: Engine, params: Mapping[str, Any]) -> TrialSpec:
    confirmed, split = search.state.trials[params["trial"]], params.get(SPLIT)
    where = "" if split is None else f"/{split}"
    fresh = hashlib.sha256(f"confirm/{spec.seed}/{confirmed.number}/{params['seed']}{where}".encode()).digest()
    run = spec.trial_config(confirmed.number, confirmed.params)
    run = run.with_params({"seed": int.from_bytes(fresh[:4], "big") % 2**31})
    return TrialSpec(run, IMAGES if split is None else str(split))


def candidates(session: Session, search: Engine) -> list[Candidate]:
    """Every finished trial of an open search, with what its parameters have reached on other seeds."""
    spec, second = session.spec, second_seeds(_opened(session.second_seeds))
    confirmed = summaries(_opened(session.confirmations), spec.confirm.seeds, imbalances(spec))
    return candidates_of(search.finished(), confirmed, second)


def note_compared(event_log: EventLog, chosen: Sequence[int]) -> None:
    """Note that the second seeds of all these trials have ended, so that they can be compared by them."""
    compared = sorted({*event_log.notes.get(_COMPARED, ()), *chosen})
    if compared != event_log.notes.get(_COMPARED, []):
        event_log.note({_COMPARED: compared})


def second_seeds(event_log: SearchState) -> dict[int, Metrics]:
    """What finalists have reached on a second seed, by trial; of finalists whose round has come to its end."""
    compared = set(event_log.notes.get(_COMPARED, ()))
    ended = {run.params["trial"]: run for run in event_log.trials.values() if run.params["trial"] in compared}
    return {number: run.last.metrics for number, run in ended.items() if run.status == "finished" and run.last}


def note_complete(event_log: EventLog, chosen: Sequence[int], seeds: int, on: Sequence[int | None] = (None,)) -> None:
    """Note that every run of a confirmation has ended, so that one that is extended later and then interrupted leaves
    its trials confirmed.

    Args:
        event_log: that of the confirmations.
        chosen: numbers of the trials that were confirmed.
        seeds: on how many fresh seeds.
        on: on which imbalances, as of :func:`imbalances`.
    """
    before = event_log.notes.get(_ASKED, {})
    notes = {_ASKED: {**before, **{str(number): seeds for number in chosen}}, _ON: list(on)}
    if chosen and notes != {_ASKED: before, _ON: event_log.notes.get(_ON, [None])}:
        event_log.note(notes)


def summaries(event_log: SearchState, seeds: int, on: Sequence[int | None] = (None,)) -> list[Confirmed]:
    """Every trial of a confirmation's event log, with mean and standard deviation over its finished runs.

    Args:
        event_log: that of the confirmations.
        seeds: what is asked of a trial of which no confirmation has come to its end yet.
        on: the imbalances, if no confirmation has come to its end yet. Runs on others do not count.
    """
    asked, on = event_log.notes.get(_ASKED, {}), event_log.notes.get(_ON, [None] if _ASKED in event_log.notes else on)
    runs = defaultdict[int, list[Trial]](list)
    for run in event_log.trials.values():
        runs[run.params["trial"]] += [run] if run.params.get(SPLIT) in on else []
    return [_summary(number, of, asked.get(str(number), seeds), on) for number, of in runs.items()]


def _summary(number: int, runs: Iterable[Trial], seeds: int, on: Sequence[int | None]) -> Confirmed:
    ended = [run for run in runs if run.ended]
    reached = [run.last.metrics for run in ended if run.status == "finished" and run.last is not None]
    in_all = [name for name in (reached[0] if reached else {}) if all(name in metrics for metrics in reached)]
    spread = {name: mean_and_deviation([metrics[name] for metrics in reached]) for name in in_all}
    means = {name: mean for name, (mean, _) in spread.items()}
    deviations = {name: deviation for name, (_, deviation) in spread.items()}
    splits = 0 if list(on) == [None] else len(on)
    asked, failed = seeds * len(on), len(ended) - len(reached)
    models = {
        f"{number}.{run.params['seed']}": run.last.metrics
        for run in ended
        if run.status == "finished" and run.last is not None and SPLIT not in run.params
    }
    return Confirmed(number, len(reached), asked, failed, means, deviations, splits, models)
