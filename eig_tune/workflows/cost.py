"""What a search costs on this machine: a trial's steps and evaluations, and the training of classifiers, measured."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData
from eig_tune.evaluation.classifier import Role, train_classifier
from eig_tune.home import Home
from eig_tune.hpo.plan import Plan
from eig_tune.training.speed import Measured, measure_trial

_WARM_UP_STEPS, _TIMED_STEPS = 3, 12  # of a classifier


@dataclass(frozen=True)
class Cost:
    """What was measured of a space on this machine.

    Attributes:
        trial: one trial, alone.
        classifier: seconds in which the evaluation classifier is trained before the first trial; 0 if it is there, or
            the images have no labels.
        second_classifier: seconds in which that of the confirmation is trained, beside the trials on the CPU.
        labelled: whether there are classifiers at all.
        takes_a_slot: whether trials train on the CPU, of which the second classifier takes a share.
    """

    trial: Measured
    classifier: float
    second_classifier: float
    labelled: bool
    takes_a_slot: bool

    def seconds(self, spec: SearchSpec, plan: Plan) -> float:
        """How long a search takes from its first classifier to the last of its confirmations."""
        runs = plan.reaching[spec.train.steps] + plan.confirming_steps // spec.train.steps
        longer = runs * max(0.0, self.trial.last_evaluation_seconds - self.trial.evaluation_seconds) / plan.total_steps
        step = 1 / self.trial.steps_per_second + self.trial.evaluation_seconds / spec.train.report_every + longer
        beside = self.second_classifier / plan.slots if self.takes_a_slot and plan.confirming_steps else 0.0
        return self.classifier + plan.duration * step + beside


def measure_cost(spec: SearchSpec, images: ImageData, home: Home) -> Cost:
    """Train one trial and each classifier for some steps; nothing is kept.

    Args:
        spec: the space; where the number of categories is searched, the trial has the largest.
        images: those of the space.
        home: where classifiers that were trained before are.
    """
    searched = spec.search.get("categories")
    largest = {} if searched is None else {"categories": max(searched.extremes())}
    trial = measure_trial(spec.base_config().with_params(largest), images)
    on_cpu = not torch.cuda.is_available()
    if not images.labelled:
        return Cost(trial, 0.0, 0.0, False, on_cpu)
    confirms = spec.confirm.top > 0
    # As ``workflows.prepare`` trains them: the first while Ray starts, the second beside the trials.
    first = _seconds_to_train(images, home, "selection", max(1, torch.get_num_threads() // 2), None)
    second = _seconds_to_train(images, home, "confirmation", 1, torch.device("cpu")) if confirms else 0.0
    return Cost(trial, first, second, True, on_cpu)


class _EnoughError(Exception):
    """A classifier was trained for long enough to know the speed."""


def _seconds_to_train(images: ImageData, home: Home, role: Role, threads: int, device: torch.device | None) -> float:
    """0 for a classifier that was trained before."""
    times: list[float] = []
    steps = 0

    def timed(done: int, of: int) -> None:
        nonlocal steps
        times.append(time.perf_counter())
        steps = of
        if done == _WARM_UP_STEPS + _TIMED_STEPS:
            raise _EnoughError

    _until_enough(
        lambda: train_classifier(images, home.classifiers, role=role, threads=threads, device=device, on_progress=timed)
    )
    return (times[-1] - times[_WARM_UP_STEPS - 1]) / _TIMED_STEPS * steps if times else 0.0


def _until_enough(train: Callable[[], object]) -> None:
    try:
        train()
    except _EnoughError:
        return
