"""The one skeleton that a search, its confirmations, a comparison and a suggestion of K share: many trials, run to
their end or as far as they get, so that another process can go on.

The order, and why it is this one:

1. The caller reads the images. Whether the space fits them, and whether a search that is to go on is still the same
   search, depends on them and on nothing that has to be made.
2. Identity (``find_search``): an event log of that name is this search's, or the command ends. Nothing was made yet.
3. Resources (``prepare_resources``): the store of MLflow before the evaluation classifier, which takes minutes where
   the store takes a second to refuse; Ray starts meanwhile, and nothing of a search is in it yet.
4. The event log is opened, which locks it, and its header names the search: from here on there is something to resume.
   A signal now asks for a gentle end instead of raising.
5. Checkpoints are looked for where they lie now, in case a home or storage was moved, before a trial goes on from one.
6. MLflow's runs of earlier processes are adopted, so that none is doubled.
7. ``Session.run``: whatever an earlier process had logged but not yet written elsewhere is written (``catch_up``), then
   Ray runs trials. The other way round, new events would be written before the older ones. A search, the second seeds
   of its finalists and its confirmations are parts of one run of Ray, so that a slot which one part leaves idle is the
   next one's, and the processes of trials go from part to part. Whatever ends Ray's run, trials that trained until then
   are tagged as interrupted.
8. ``Session.close``: MLflow's writer gets time to write everything; then its runs end.

Checkpoints are deleted by one rule: a trial that may go on keeps its newest one, and one that has ended keeps it until
MLflow has everything of the trial. While trials run, each replaces its own (``cluster.adapters``), and ended ones lose
theirs as MLflow's writer gets to them (``MlflowRuns``). What killed processes have left is deleted
(``Session.clean_up``) when a session begins to run, because room is needed, and after the writer's end.
"""

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from eig_tune.cluster.moved_checkpoints import find_checkpoints
from eig_tune.cluster.storage import Storage
from eig_tune.cluster.tuner import Runtime, run_trials
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData
from eig_tune.home import Home
from eig_tune.hpo.candidates import candidates_of
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.finalists import best_numbers
from eig_tune.hpo.stages import Stages
from eig_tune.hpo.trial import Trial
from eig_tune.reports.mlflow_runs import needed_checkpoints
from eig_tune.reports.outcomes import DiskUse, FixedRunsOutcome
from eig_tune.reports.provenance import write_spec
from eig_tune.tracking import RunsTable, SearchTracker, is_server, masked
from eig_tune.training.loop import TrialData
from eig_tune.workflows.identity import WhyNot, begin_or_check, find_search, nothing_is_carried_over
from eig_tune.workflows.notes import note_begin, note_end, note_plan
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.parts import Part, Together
from eig_tune.workflows.resources import prepare_resources
from eig_tune.workflows.trial_log import TrialLog
from eig_tune.workflows.view import View

logger = logging.getLogger(__name__)

IMAGES = "images"  # the name of a search's only data set


@dataclass(frozen=True)
class SessionHeader:
    """What the event log and the MLflow run of a search, comparison or suggestion begin with.

    Attributes:
        kind: what it is.
        traits: all that makes its trials what they are; a resumed one must have the same.
        params: makes the parameters of its run in MLflow from the prepared data sets.
        tags: tags of that run.
        objectives: metric to direction, as the table of its trials in MLflow shows them.
        varied: names of the params in which its trials differ.
        why_not: why a resumed one cannot go on with a difference; None where it can.
    """

    kind: Literal["search", "comparison", "suggestion"]
    traits: Mapping[str, Any]
    params: Callable[[Mapping[str, TrialData]], Mapping[str, Any]]
    tags: Mapping[str, str]
    objectives: Mapping[str, str]
    varied: Sequence[str]
    why_not: WhyNot = nothing_is_carried_over

    def table(self, search_id: str, spec: SearchSpec, *, labelled: bool) -> RunsTable:
        """The table of its trials in MLflow."""
        confirmed = self.kind == "search" and spec.confirm.top > 0
        return RunsTable(search_id, self.objectives, self.varied, labelled, confirmed)


@dataclass(frozen=True)
class Session:
    """A search, comparison or suggestion that is open in this process, and in no other.

    Attributes:
        spec: its space.
        name: of it, in the home and in MLflow.
        home: where everything of a home lies.
        view: shows progress.
        datasets: images with their evaluation classifier, by name.
        runtime: with what trials run.
        event_log: of its trials.
        second_seeds: the event log of the second seeds of a search's finalists; None for what is not a search.
        confirmations: and of its confirmations.
        tracker: writes its MLflow runs.
    """

    spec: SearchSpec
    name: str
    home: Home
    view: View
    datasets: Mapping[str, TrialData]
    runtime: Runtime
    event_log: EventLog
    second_seeds: EventLog | None
    confirmations: EventLog | None
    tracker: SearchTracker

    def run(self, parts: Sequence[Part]) -> list[Engine]:
        """Catch up, then run the trials of all parts, until there are none left or the end is asked for.

        Args:
            parts: in their order; a later one gets the slots that an earlier one leaves idle.

        Returns:
            The engine of each part.

        Raises:
            StorageError: the disk is full, or the storage gone; the search can be resumed when that is mended.
        """
        objectives = parts[0].policy.objectives
        for part in parts:
            note_plan(part.event_log, part.num_trials, part.steps)
        together = Together([part.event_log.trials for part in parts])
        num_trials, steps = sum(part.num_trials for part in parts), sum(part.steps for part in parts)
        with self.view.trials(together, num_trials, steps, objectives) as shown:
            observers = (TrialLog(objectives), shown)
            engines = [Engine(p.policy, p.event_log, (*p.reports, p.mlflow_runs, *observers)) for p in parts]
            for part in parts:
                for report in part.reports:
                    report.catch_up(part.event_log.trials)
            self.clean_up()
            for part in parts:
                part.mlflow_runs.catch_up(part.event_log.trials)
            stages = Stages([part.stage(engine) for part, engine in zip(parts, engines, strict=True)])
            try:
                if not stages.complete():
                    run_trials(stages, self.datasets, self.runtime)
            finally:
                for part in parts:
                    part.mlflow_runs.mark_interrupted(part.event_log.trials.values())
        return engines

    def close(self, complete: bool, tags: Mapping[str, str]) -> DiskUse:
        """End the session's run in MLflow, with these tags, when the writer has written everything or its time is over.

        Returns:
            What is left on the disk.
        """
        note_end(self.event_log, complete, "" if complete else self.runtime.stop.reason)
        self.tracker.close("FINISHED" if complete else "KILLED", tags, lambda: self.runtime.stop.patience)
        return self.clean_up()

    def end(self, engine: Engine, folder: Path) -> FixedRunsOutcome:
        """Close a session of fixed runs, whose results lie in ``folder``; what it has come to."""
        disk = self.close(engine.complete, {})
        return FixedRunsOutcome(
            name=self.name,
            trials=tuple(self.event_log.trials.values()),
            folder=folder,
            complete=engine.complete,
            disk=disk,
            tracking_errors=tuple(self.tracker.errors),
            stopped="" if engine.complete else self.runtime.stop.reason,
        )

    def kept_of(self, trials: Iterable[Trial]) -> set[int]:
        """The numbers of those finished trials of a search whose checkpoints are kept, for it to go on with more steps:
        the best."""
        return set(best_numbers(self.spec, candidates_of(trials), self.spec.keep_checkpoints))

    def kept_of_runs(self, runs: Iterable[Trial]) -> set[int]:
        """The same of runs that confirm trials: those of the best trials."""
        return _confirming(runs, self.kept_of(self.event_log.trials.values()))

    def clean_up(self) -> DiskUse:
        """Delete every checkpoint that is not needed any more, those of processes that were killed too."""
        trials, ended = self.event_log.trials.values(), self.tracker.ended
        kept = set[int]() if self.second_seeds is None else self.kept_of(trials)
        needed = needed_checkpoints(trials, ended, kept)
        for event_log in (self.second_seeds, self.confirmations):
            if event_log is not None:
                runs = event_log.trials.values()
                needed |= needed_checkpoints(runs, ended, _confirming(runs, kept), confirming=True)
        storage = self.runtime.storage
        try:
            storage.clear(needed)
            checkpoints: int | None = storage.size()
        except OSError:
            checkpoints = None
        all_else = sum(Storage(str(f)).size() for f in (self.home.study(self.name), self.home.artifacts(self.name)))
        return DiskUse(storage.uri, checkpoints, all_else)


def _confirming(runs: Iterable[Trial], trials: Container[int]) -> set[int]:
    """The numbers of the finished runs that confirm one of these trials."""
    return {run.number for run in runs if run.status == "finished" and run.params["trial"] in trials}


@contextmanager
def open_session(
    header: SessionHeader,
    spec: SearchSpec,
    options: RunOptions,
    home: Home,
    images: Mapping[str, ImageData],
    view: View,
) -> Iterator[Session]:
    """Open a search, comparison or suggestion: begin it, or go on with it. See the top of this file for the order.

    Args:
        header: what its event log and its MLflow run begin with.
        spec: its space.
        options: where and with what trials run.
        home: where everything of a home lies.
        images: by name; they differ in their training images only.
        view: shows progress.

    Raises:
        EigTuneError: it cannot begin; nothing half-made is left behind.
    """
    search_id = find_search(home, options, header.traits, header.why_not)
    prepared = prepare_resources(search_id, spec, options, images, home, view)
    storage = prepared.runtime.storage
    with prepared.runtime.stop.gently(), ExitStack() as opened:
        event_log = opened.enter_context(EventLog(home.event_log(options.name), storage.uri))
        begin_or_check(event_log, search_id, header.traits, repr(options.name), home, header.why_not)
        opened.enter_context(options.stop.heeding(home.stop_request(options.name)))
        note_begin(event_log, header.kind, storage.uri, masked(prepared.store.uri))
        find_checkpoints(event_log, storage)
        second_seeds, confirmations = (
            [
                opened.enter_context(_further_event_log(file, search_id, home, storage))
                for file in (home.second_seed_event_log(options.name), home.confirmation_event_log(options.name))
            ]
            if header.kind == "search"
            else (None, None)
        )
        params = header.params(prepared.datasets)
        tracker = opened.enter_context(SearchTracker(prepared.store, header.kind, search_id, params, header.tags))
        if tracker.is_new and event_log.trials:
            where = masked(prepared.store.uri)
            logger.info("MLflow: %s did not have this search; everything in its event log is written there", where)
        tracker.show_table(header.table(search_id, spec, labelled=any(of.labelled for of in images.values())))
        served = "" if is_server(prepared.store.uri) else " (while `eig-tune ui` runs)"
        logger.info("MLflow: %s%s", tracker.link, served)
        tracker.log_artifacts(None, partial(write_spec, spec))
        yield Session(
            spec,
            options.name,
            home,
            view,
            prepared.datasets,
            prepared.runtime,
            event_log,
            second_seeds,
            confirmations,
            tracker,
        )


@contextmanager
def _further_event_log(file: Path, search_id: str, home: Home, storage: Storage) -> Iterator[EventLog]:
    """That of runs of a search which are no trials."""
    with EventLog(file, storage.uri) as event_log:
        begin_or_check(event_log, search_id, {}, str(file), home)
        find_checkpoints(event_log, storage)
        yield event_log
