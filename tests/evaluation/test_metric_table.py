"""The table of metrics, what follows from its rows, and metrics of a user's own."""

import math
import pickle
from collections.abc import Iterator

import pytest
import torch
from ray import cloudpickle

from eig_tune.data import AugmentSettings, ImageData
from eig_tune.errors import EigTuneError
from eig_tune.evaluation.base import LabelledObservations, Metric, Observations
from eig_tune.evaluation.classifier import EvaluationClassifier
from eig_tune.evaluation.evaluator import Evaluator
from eig_tune.evaluation.metrics import METRICS
from eig_tune.evaluation.registry import (
    compared_metrics,
    direction_of,
    directions,
    own_metrics,
    register_metric,
    shown_metrics,
)
from eig_tune.models import METHODS, ModelSettings, NetworkSettings
from eig_tune.models.base import ModelSetup, build_model
from eig_tune.training.loop import TrialData


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Forget afterwards what a test has registered."""
    before = dict(METRICS)
    yield
    METRICS.clear()
    METRICS.update(before)


def largest_share(seen: Observations) -> float:
    return float(seen.posterior_K.max())


def purity(seen: LabelledObservations) -> float:
    return float(seen.real_table_KC.max(axis=1).sum() / seen.real_table_KC.sum())


LARGEST_SHARE = Metric("largest_share", largest_share, "share of the largest category", "minimize", bounds=(0, 1))
PURITY = Metric("purity", purity, "purity of categories", "maximize", needs_labels=True, shown=False, compared=True)


def evaluated(data: ImageData, classifier: EvaluationClassifier | None) -> dict[str, float]:
    networks, generator = NetworkSettings(width=4, noise_dim=4), torch.Generator().manual_seed(0)
    shape = (data.image_size, data.channels)
    model = build_model(ModelSetup(METHODS["elastic-infogan"], networks, ModelSettings(), *shape, None, generator))
    return Evaluator(data, classifier, AugmentSettings(), torch.device("cpu")).evaluate(model, 2).metrics


def test_every_metric_has_the_direction_of_the_design() -> None:
    minimized = {
        "average_entropy",
        "prior_rmse",
        "posterior_rmse",
        "q_entropy",
        "prior_posterior_gap",
        "prior_share_gap",
        "fid_classifier",
    }
    maximized = {
        "nmi", "nmi_real", "classes_found", "rarest_recall", "augment_agreement", "augment_information",
        "q_mutual_information", "code_recovery", "neighbour_nmi", "label_free_score",
    }  # fmt: skip
    assert {name for name, direction in directions().items() if direction == "minimize"} == minimized
    assert {name for name, direction in directions().items() if direction == "maximize"} == maximized
    assert set(METRICS) - set(directions()) == {"prior_entropy"}


def test_labels_are_needed_where_the_design_says_so() -> None:
    labelled = {
        "nmi", "average_entropy", "prior_rmse", "nmi_real", "posterior_rmse", "classes_found", "rarest_recall",
        "fid_classifier",
    }  # fmt: skip
    assert {name for name, metric in METRICS.items() if metric.needs_labels} == labelled


def test_comparison_has_the_paper_s_three_and_the_one_on_real_images() -> None:
    assert list(compared_metrics()) == ["nmi", "average_entropy", "prior_rmse", "nmi_real"]


def test_every_row_says_what_it_is_and_where_it_is_from() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.meaning
        assert metric.source
        assert metric.bounds[0] < metric.bounds[1] <= math.inf


@pytest.mark.parametrize(("name", "suggested"), [("nmj", "nmi"), ("prior_entropy", "q_entropy")])
def test_direction_of_what_has_none_is_an_error(name: str, suggested: str) -> None:
    with pytest.raises(EigTuneError, match=f"{name}: no such metric; did you mean '{suggested}'"):
        direction_of(name)


def test_own_metric_is_computed_beside_the_others(few_digits: ImageData, classifier: EvaluationClassifier) -> None:
    before = evaluated(few_digits, classifier)
    register_metric(LARGEST_SHARE)
    register_metric(PURITY)
    after = evaluated(few_digits, classifier)
    assert {name: value for name, value in after.items() if name in before} == before
    assert after.keys() - before.keys() == {"largest_share", "purity"}
    assert 0.1 <= after["largest_share"] <= 1
    assert 0.1 <= after["purity"] <= 1


def test_own_metric_is_wherever_its_row_says() -> None:
    register_metric(LARGEST_SHARE)
    register_metric(PURITY)
    assert directions()["largest_share"] == direction_of("largest_share") == "minimize"
    assert ("largest_share" in shown_metrics(), "purity" in shown_metrics()) == (True, False)
    assert compared_metrics()["purity"] == "maximize"


def test_own_metric_that_needs_labels_is_left_out_without(unlabelled_digits: ImageData) -> None:
    register_metric(LARGEST_SHARE)
    register_metric(PURITY)
    reached = evaluated(unlabelled_digits, None)
    assert "largest_share" in reached
    assert "purity" not in reached


def test_own_metric_that_fails_is_named(unlabelled_digits: ImageData) -> None:
    register_metric(Metric("broken", lambda seen: 1 / 0, "always fails", "maximize"))
    with pytest.raises(EigTuneError, match="metric broken cannot be computed: ZeroDivisionError"):
        evaluated(unlabelled_digits, None)


def test_own_metric_replaces_its_former_self_and_none_of_eig_tune_s() -> None:
    register_metric(LARGEST_SHARE)
    again = Metric("largest_share", lambda seen: 0.0, "another", "maximize")
    register_metric(again)
    assert own_metrics() == (again,)
    with pytest.raises(EigTuneError, match=r"metric nmi: eig-tune has one of this name"):
        register_metric(Metric("nmi", largest_share, "mine", "maximize"))


def test_row_that_cannot_be_is_refused() -> None:
    with pytest.raises(EigTuneError, match="letters, digits and underscores"):
        Metric("my metric", largest_share, "", "maximize")
    with pytest.raises(EigTuneError, match="got direction 'up'; give maximize, minimize or None"):
        Metric("mine", largest_share, "", "up")  # type: ignore[arg-type]


def test_trial_data_takes_own_metrics_into_another_process(
    few_digits: ImageData, classifier: EvaluationClassifier
) -> None:
    """As Ray's workers get it: pickled by value, into a process that knows the built-in metrics only."""
    register_metric(Metric("by_value", lambda seen: 0.25, "a number", "maximize"))
    pickled = cloudpickle.dumps(TrialData(few_digits, classifier))
    del METRICS["by_value"]
    assert "by_value" not in evaluated(few_digits, classifier)
    pickle.loads(pickled).register()
    assert evaluated(few_digits, classifier)["by_value"] == 0.25


def test_every_value_is_a_float_as_in_mlflow(few_digits: ImageData, classifier: EvaluationClassifier) -> None:
    assert {type(value) for value in evaluated(few_digits, classifier).values()} == {float}
