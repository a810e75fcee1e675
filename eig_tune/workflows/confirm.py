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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from eig_tune.cluster.tuner import TrialSpec
from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData, ImbalanceSplit
from eig_tune.errors import ConfigError, Problem
from eig_tune.hpo.candidates import SPLIT, Candidate, candidates_of, fresh_seeds
from eig_tune.hpo.confirmations import has_second_seeds, note_compared, note_complete, second_seeds, summaries
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.finalists import Finalists
from eig_tune.hpo.policies import Policy
from eig_tune.hpo.trial import Trial
from eig_tune.hpo.wanted_runs import WantedRuns
from eig_tune.reports.mlflow_runs import MlflowRuns
from eig_tune.training.loop import TrialData
from eig_tune.workflows.fit import misfits
from eig_tune.workflows.made_later import MadeLater
from eig_tune.workflows.notes import note_plan
from eig_tune.workflows.parts import Part
from eig_tune.workflows.prepare import prepare_confirming_classifier
from eig_tune.workflows.session import IMAGES, Session

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Confirmation:
    """How the best of an open search are confirmed, as far as that has not been done yet.

    Attributes:
        session: the open search.
        finalists: its best trials, as far as they are known.
        num_finished: how many trials will finish, about.
        data: the images with the second evaluation classifier, which is trained beside the trials.
    """

    session: Session
    finalists: Finalists
    num_finished: int
    data: MadeLater

    def parts(self) -> tuple[Part, Part]:
        """The runs on a second seed, and those on fresh seeds."""
        spec, finalists, second, fresh = self.session.spec, self.finalists, *_event_logs(self.session)
        second_runs = WantedRuns(spec, second, finalists.second_runs, finalists.search_ended)
        fresh_runs = WantedRuns(spec, fresh, finalists.fresh_runs, finalists.second_seeds_ended)
        num_second = spec.confirm.finalists_of(self.num_finished)
        num_fresh = min(spec.confirm.top, self.num_finished) * spec.confirm.runs
        return (
            Part(
                second_runs,
                second,
                self._spec_of,
                self._mlflow_runs(models=False),
                num_second,
                num_second * spec.train.steps,
                on_complete=self._compare,
            ),
            Part(
                fresh_runs,
                fresh,
                self._spec_of,
                self._mlflow_runs(models=True),
                num_fresh,
                num_fresh * spec.train.steps,
                on_complete=self._note_complete,
                later=self.data if self.session.datasets[IMAGES].images.labelled else None,
            ),
        )

    def search_ended(self) -> None:
        """Note and log how many finalists there are."""
        number, (second, _) = len(self.finalists.numbers()), _event_logs(self.session)
        self._note_plan(second, self.finalists.second_runs())
        self._log(number, f"training the best {number} on a second seed each; the best by both seeds are confirmed")

    def _note_plan(self, event_log: EventLog, runs: Sequence[Mapping[str, Any]]) -> None:
        note_plan(event_log, len(runs), len(runs) * self.session.spec.train.steps)

    def _compare(self) -> None:
        second, fresh = _event_logs(self.session)
        note_compared(second, self.finalists.numbers())
        self._note_plan(fresh, self.finalists.fresh_runs())
        confirm, number = self.session.spec.confirm, len(self.finalists.chosen())
        self._log(number, f"confirming {number} of the best: {fresh_seeds(confirm.runs, len(confirm.splits))} each")

    def _note_complete(self) -> None:
        spec, (_, fresh) = self.session.spec, _event_logs(self.session)
        note_complete(fresh, self.finalists.chosen(), spec.confirm.seeds, imbalances(spec))

    def _log(self, number: int, line: str) -> None:
        if number and not self.session.runtime.stop.asked:
            logger.info("%s", line)

    def _mlflow_runs(self, *, models: bool) -> MlflowRuns:
        session, classes = self.session, self.session.datasets[IMAGES].images.classes
        return MlflowRuns(
            session.tracker,
            session.runtime.storage,
            classes,
            session.spec.method,
            objectives=session.spec.objectives,
            models=models,
            confirming=True,
            kept=session.kept_of_runs,
        )

    def _spec_of(self, run: Trial) -> TrialSpec:
        spec, params = self.session.spec, run.params
        confirmed, split = self.session.event_log.trials[params["trial"]], params.get(SPLIT)
        where = "" if split is None else f"/{split}"
        fresh = hashlib.sha256(f"confirm/{spec.seed}/{confirmed.number}/{params['seed']}{where}".encode()).digest()
        config = spec.trial_config(confirmed.number, confirmed.params)
        config = config.with_params({"seed": int.from_bytes(fresh[:4], "big") % 2**31})
        return TrialSpec(config, IMAGES if split is None else str(split))


@contextmanager
def confirmation(session: Session, policy: Policy, num_finished: int) -> Iterator[Confirmation]:
    """Make ready to confirm the best of an open search; the second evaluation classifier is trained until the end of
    the block, if the space asks for a confirmation.

    Args:
        session: the open search.
        policy: of its trials.
        num_finished: how many of them will finish, about.
    """
    spec, (second, fresh) = session.spec, _event_logs(session)
    finalists = Finalists(
        spec,
        session.event_log,
        lambda: policy.num_trials,
        second,
        has_second_seeds=has_second_seeds(fresh, spec.confirm.finalists),
        splits=imbalances(spec),
    )
    with MadeLater(partial(_data, session), session.runtime.stop.check) as data:
        if spec.confirm.top and session.datasets[IMAGES].images.labelled and not session.runtime.stop.asked:
            data.begin()
        yield Confirmation(session, finalists, num_finished, data)


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


def candidates(session: Session) -> list[Candidate]:
    """Every finished trial of an open search, with what its parameters have reached on other seeds."""
    spec, (second, fresh) = session.spec, _event_logs(session)
    confirmed = summaries(fresh, spec.confirm.seeds, imbalances(spec))
    return candidates_of(session.event_log.trials.values(), confirmed, second_seeds(second))


def _event_logs(session: Session) -> tuple[EventLog, EventLog]:
    """Those of second and of fresh seeds."""
    second, fresh = session.second_seeds, session.confirmations
    assert second is not None and fresh is not None, "a search, not a comparison"
    return second, fresh


def _data(session: Session, check: Callable[[], None]) -> Mapping[str, TrialData]:
    spec = session.spec
    own = prepare_confirming_classifier(spec, session.datasets[IMAGES], session.home, check)
    return {IMAGES: own, **{str(split): _imbalanced(own, split) for split in imbalances(spec) if split is not None}}


def _imbalanced(own: TrialData, split: int) -> TrialData:
    return TrialData(own.images.with_imbalance(ImbalanceSplit(split=split)), own.classifier)
