"""What the event logs of a search's second and fresh seeds say: what was reached, and which of it counts."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from eig_tune.hpo.candidates import SPLIT, Confirmed
from eig_tune.hpo.objectives import Metrics, mean_and_deviation
from eig_tune.hpo.state import SearchState
from eig_tune.hpo.trial import Trial

# Names of notes in the event logs.
_FINALISTS = "finalists"  # with how many the confirmation has begun; versions without a second seed note nothing
_COMPARED = "compared"  # trials whose second seed counts: those of their round have all ended
_ASKED = "asked"  # the seeds of each trial's newest confirmation that came to its end
_ON = "on"  # the imbalances of that confirmation; None is the search's own images
_SPARE = "spare"  # trials whose fresh seeds were begun early and not needed, and which therefore do not count


def has_second_seeds(event_log: SearchState, finalists: int) -> bool:
    """Whether finalists are trained on a second seed; a confirmation that an earlier version has begun, without second
    seeds, goes on without them.

    Args:
        event_log: that of the confirmations.
        finalists: how many there shall be, which is noted.
    """
    if not event_log.trials and event_log.notes.get(_FINALISTS) is None:
        event_log.note({_FINALISTS: finalists})
    return _FINALISTS in event_log.notes


def note_compared(event_log: SearchState, chosen: Sequence[int]) -> None:
    """Note that the second seeds of all these trials have ended, so that they can be compared by them."""
    compared = sorted({*event_log.notes.get(_COMPARED, ()), *chosen})
    if compared != event_log.notes.get(_COMPARED, []):
        event_log.note({_COMPARED: compared})


def second_seeds(event_log: SearchState, also: Collection[int] = ()) -> dict[int, Metrics]:
    """What finalists have reached on a second seed, by trial.

    Args:
        event_log: that of the second seeds.
        also: finalists that count besides those whose round has come to its end.
    """
    compared = {*event_log.notes.get(_COMPARED, ()), *also}
    ended = {run.params["trial"]: run for run in event_log.trials.values() if run.params["trial"] in compared}
    return {number: run.last.metrics for number, run in ended.items() if run.status == "finished" and run.last}


def note_complete(
    event_log: SearchState, chosen: Sequence[int], seeds: int, on: Sequence[int | None] = (None,)
) -> None:
    """Note that every run of a confirmation has ended, so that one that is extended later and then interrupted leaves
    its trials confirmed.

    Args:
        event_log: that of the confirmations.
        chosen: numbers of the trials that were confirmed.
        seeds: on how many fresh seeds.
        on: on which imbalances, as of :func:`imbalances`.
    """
    before = event_log.notes.get(_ASKED, {})
    asked = {**before, **{str(number): seeds for number in chosen}}
    notes = {_ASKED: asked, _ON: list(on)}
    spare = sorted({run.params["trial"] for run in event_log.trials.values()} - {int(number) for number in asked})
    if spare != event_log.notes.get(_SPARE, []):
        notes[_SPARE] = spare
    if chosen and (_SPARE in notes or notes != {_ASKED: before, _ON: event_log.notes.get(_ON, [None])}):
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
    spare = event_log.notes.get(_SPARE, ())
    for run in event_log.trials.values():
        if run.params["trial"] not in spare and run.status != "stopped":  # as those are that were begun early in vain
            runs[run.params["trial"]] += [run] if run.params.get(SPLIT) in on else []
    return [_summary(number, of, asked.get(str(number), seeds), on) for number, of in runs.items()]


def _summary(number: int, runs: Iterable[Trial], seeds: int, on: Sequence[int | None]) -> Confirmed:
    ended = [run for run in runs if run.ended]
    reached = [run.last.metrics for run in ended if run.status == "finished" and run.last is not None]
    in_all = [name for name in (reached[0] if reached else {}) if all(name in metrics for metrics in reached)]
    spread = {name: mean_and_deviation([metrics[name] for metrics in reached]) for name in in_all}
    means = {name: mean for name, (mean, _) in spread.items()}
    deviations = {name: deviation for name, (_, deviation) in spread.items() if not math.isnan(deviation)}
    splits = 0 if list(on) == [None] else len(on)
    asked, failed = seeds * len(on), len(ended) - len(reached)
    models = {
        f"{number}.{run.params['seed']}": run.last.metrics
        for run in ended
        if run.status == "finished" and run.last is not None and SPLIT not in run.params
    }
    return Confirmed(number, len(reached), asked, failed, means, deviations, splits, models)
