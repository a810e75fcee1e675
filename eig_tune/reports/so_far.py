"""What a search that still runs has come to so far, on its own run in MLflow: a description with the samples of the
best trial, and the best values as metrics."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from eig_tune.cluster.storage import Storage
from eig_tune.config.space import SearchSpec
from eig_tune.evaluation.record import SAMPLES_FILE
from eig_tune.hpo.candidates import Candidate
from eig_tune.hpo.objectives import missed
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.selection import choose
from eig_tune.hpo.trial import Report, Trial
from eig_tune.reports.markdown import table
from eig_tune.reports.phrases import count_statuses, short, values_in_words
from eig_tune.reports.run_texts import SAMPLES_PICTURE
from eig_tune.tracking import SearchTracker

BEST_SO_FAR = "best_so_far.png"
_EVERY_SECONDS = 60.0  # a picture takes MLflow some 0.1 s, and its UI looks again every half minute at most


class SoFar(Observer):
    """An observer of the engine that renews the search's own run: at once, then once a minute while there is news.

    Args:
        tracker: where to write.
        storage: where checkpoints lie, of which the best trial's has its samples.
        spec: the search.
        every: seconds between two renewals.
    """

    def __init__(
        self, tracker: SearchTracker, storage: Storage, spec: SearchSpec, every: float = _EVERY_SECONDS
    ) -> None:
        self._tracker, self._storage, self._spec, self._every = tracker, storage, spec, every
        self._trials: Mapping[int, Trial] = {}
        self._renewed_at, self._has_news = float("-inf"), True
        self._shown: str | None = None  # the checkpoint of which samples are shown

    def catch_up(self, trials: Mapping[int, Trial]) -> None:
        """Begin with what earlier processes have done; ``trials`` grows as the search goes on."""
        self._trials = trials
        self.heartbeat()

    def trial_reported(self, trial: Trial, report: Report) -> None:
        self._has_news = True

    def trial_checkpointed(self, trial: Trial) -> None:
        self._has_news = True

    def trial_ended(self, trial: Trial) -> None:
        self._has_news = True

    def heartbeat(self) -> None:
        if self._has_news and time.monotonic() - self._renewed_at >= self._every:
            self._renewed_at, self._has_news = time.monotonic(), False
            self._renew()

    def _renew(self) -> None:
        trials = tuple(self._trials.values())
        best = best_so_far(trials, self._spec)
        text = describe_so_far(self._spec, trials, best, self._tracker.table_page)
        samples = None if best is None else self._samples(best)
        if best is not None:
            self._log(trials, best)

        def with_samples() -> str:
            address = None if samples is None else samples()
            return text if address is None else f"{text}\n![samples]({address})\n"

        self._tracker.describe(with_samples)

    def _samples(self, best: Trial) -> Callable[[], str | None] | None:
        """The address of the best trial's samples, to be asked for in the background thread; None while there are none,
        as at the beginning of a process that still has to make the trial's run.

        An ended trial has them among its own artifacts. Those of another one are put among the search's, with an
        address that changes with the picture, so that a browser does not show the one that it has kept.
        """
        if best.ended:
            key = str(best.number)
            tracker = self._tracker
            return lambda: tracker.run_page(key).address(SAMPLES_PICTURE) if tracker.has_run(key) else None
        if best.checkpoint is not None and best.checkpoint != self._shown:
            self._put(best.checkpoint)
        if best.checkpoint is None or best.checkpoint != self._shown:
            return None
        address = f"{self._tracker.run_page().address(BEST_SO_FAR)}&of={best.number}.{best.checkpoint_step}"
        return lambda: address

    def _put(self, checkpoint: str) -> None:
        try:
            # Read at once: the file is deleted when the trial's next checkpoint is whole.
            samples = self._storage.read(checkpoint, SAMPLES_FILE)
        except OSError:
            return  # a missing picture must not end a search
        self._shown = checkpoint

        def write(folder: Path) -> None:
            (folder / BEST_SO_FAR).write_bytes(samples)

        self._tracker.log_artifacts(None, write)

    def _log(self, trials: Sequence[Trial], best: Trial) -> None:
        last = best.last
        assert last is not None, "it has reported"
        judged = dict.fromkeys([*self._spec.objectives, *self._spec.constraints])
        reached = {name: last.metrics[name] for name in judged}
        self._tracker.log_metrics(None, sum(trial.last.step for trial in trials if trial.last), reached, time.time())


def best_so_far(trials: Sequence[Trial], spec: SearchSpec) -> Trial | None:
    """The best trial by the one rule of :mod:`eig_tune.hpo.selection`: of the finished ones; while there is none, of
    those that have come to the highest rung. None where no trial has reported all that is asked of it."""
    names = spec.objectives.keys() | spec.constraints.keys()
    valid = [trial for trial in trials if trial.last and trial.last.is_valid and names <= trial.last.metrics.keys()]
    finished = [trial for trial in valid if trial.status == "finished"]
    rungs = spec.rungs()
    rung_of = {trial.number: trial.rung(rungs) or 0 for trial in valid}
    furthest = [trial for trial in valid if rung_of[trial.number] == max(rung_of.values())]
    candidates = [Candidate(trial) for trial in finished or furthest]
    return choose(candidates, spec.objectives, spec.constraints).trial if candidates else None


def describe_so_far(
    spec: SearchSpec,
    trials: Sequence[Trial],
    best: Trial | None,
    trials_page: str,
) -> str:
    """The description of a search that runs.

    Args:
        spec: the search.
        trials: all trials so far.
        best: the best of them; None while none has reported.
        trials_page: the page that shows them as a table.
    """
    ended = sum(trial.ended for trial in trials)
    expected = max(spec.trials, len(trials))
    states = f": {count_statuses(trials)}" if trials else ""
    confirming = "; the best are being confirmed" if ended == expected and spec.confirm.top else ""
    running = f"**Running: {ended} of {expected} trials have ended**{states}{confirming}."
    parts = [f"{running} [All trials as a table]({trials_page})."]
    if best is not None and best.last is not None:
        names = dict.fromkeys([*spec.objectives, *spec.constraints])
        short_of = ", ".join(missed(best.last.metrics, spec.constraints))
        misses = f", which misses the constraints on {short_of}" if short_of else ""
        where = f"{best.status} at step {best.last.step:,}"
        reached = values_in_words(names, best.last.metrics)
        params = {name: short(value) for name, value in best.params.items()}
        parts += [f"**Best so far: trial {best.number}** ({where}){misses}: **{reached}**.", table(params, [params])]
    return "\n\n".join(parts) + "\n"
