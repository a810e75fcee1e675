"""What a search costs: trials, evaluations, both classifiers, and the confirmation."""

from pathlib import Path

import pytest

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.data import ImageData
from eig_tune.evaluation.classifier import train_classifier
from eig_tune.home import Home
from eig_tune.hpo.plan import make_plan
from eig_tune.training.speed import Measured
from eig_tune.workflows.cost import Cost, measure_cost

TRIAL = Measured(10.0, "infogan", 1000, 1000, evaluation_seconds=2.0, last_evaluation_seconds=5.0)


def spec(**changes: object) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "model": {"width": 4, "noise_dim": 4},
        "train": {
            "steps": 100,
            "report_every": 50,
            "batch_size": 8,
            "images_per_category": 2,
            "final_images_per_category": 2,
        },
        "search": {"lambda_1": {"uniform": [0.1, 1]}},
        "asha": {"grace": 100},
        "confirm": {"top": 0},
        "trials": 4,
        **changes,
    }
    return parse_spec(document, "test")


def test_time_is_that_of_steps_evaluations_and_the_first_classifier() -> None:
    space, cost = spec(), Cost(TRIAL, 30.0, 40.0, labelled=True, takes_a_slot=True)
    one_trial = 100 / 10 + 2.0 + 5.0  # steps, the first evaluation, the last one
    assert cost.seconds(space, make_plan(space, 1)) == pytest.approx(30 + 4 * one_trial)
    assert cost.seconds(space, make_plan(space, 2)) == pytest.approx(30 + 2 * one_trial)


def test_second_classifier_takes_its_share_of_the_processors_where_something_is_confirmed() -> None:
    space = spec(confirm={"finalists": 0, "top": 1, "seeds": 2})
    on_cpu, on_gpu = (Cost(TRIAL, 0.0, 40.0, labelled=True, takes_a_slot=takes) for takes in (True, False))
    plan, one_run = make_plan(space, 2), 100 / 10 + 2.0 + 5.0
    assert on_gpu.seconds(space, plan) >= (4 + 2) / 2 * one_run, "two fresh seeds of the best of four trials"
    assert on_cpu.seconds(space, plan) == pytest.approx(on_gpu.seconds(space, plan) + 40 / 2)
    without = spec()
    assert on_cpu.seconds(without, make_plan(without, 2)) == on_gpu.seconds(without, make_plan(without, 2))


def test_classifiers_are_measured_until_they_were_trained(few_digits: ImageData, tmp_path: Path) -> None:
    home, space = Home(tmp_path), spec(confirm={"top": 1})
    before = measure_cost(space, few_digits, home)
    assert before.labelled and before.classifier > 0 and before.second_classifier > 0
    assert not list(tmp_path.rglob("*.safetensors")), "nothing is kept of what was measured"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eig_tune.evaluation.classifier._SMALLEST_STEPS", 5)
        patch.setattr("eig_tune.evaluation.classifier._LARGEST_STEPS", 5)
        train_classifier(few_digits, home.classifiers)
    after = measure_cost(spec(), few_digits, home)
    assert after.classifier == 0, "it is there"
    assert after.second_classifier == 0, "nothing is confirmed"


def test_without_labels_there_are_no_classifiers(unlabelled_digits: ImageData, tmp_path: Path) -> None:
    cost = measure_cost(spec(), unlabelled_digits, Home(tmp_path))
    assert not cost.labelled and cost.classifier == cost.second_classifier == 0
    assert cost.trial.steps_per_second > 0


def test_trial_is_measured_with_the_most_categories(few_digits: ImageData, tmp_path: Path) -> None:
    searched = spec(search={"categories": {"choice": [3, 30]}}, objectives={"nmi": "maximize"})
    few, many = (measure_cost(space, few_digits, Home(tmp_path)).trial.weights for space in (spec(), searched))
    assert many > few
