"""Which seed's model is taken home: by a score that needs no labels, the trial's own where there is none."""

import pytest

from eig_tune.config.constraints import NO_CONSTRAINTS, Bound
from eig_tune.hpo.candidates import Candidate, Confirmed
from eig_tune.hpo.model_choice import best_model
from eig_tune.hpo.objectives import Metrics
from eig_tune.hpo.trial import Decision, Report, Trial

GOOD, BETTER = {"label_free_score": 0.7, "nmi": 0.9}, {"label_free_score": 0.8, "nmi": 0.1}


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ({"own": GOOD, "0": BETTER, "1": GOOD}, "0"),
        ({"own": GOOD, "0": GOOD}, "own"),
        ({"own": {"nmi": 0.1}, "0": {"nmi": 0.9}}, "own"),
        ({"own": {"nmi": 0.9}, "0": GOOD}, "0"),
        ({"own": {}}, "own"),
        ({"own": {"label_free_score": 0.0}, "0": {"nmi": 0.9}}, "own"),
    ],
)
def test_model_is_chosen_without_labels(models: dict[str, Metrics], expected: str) -> None:
    """Whatever the confirming classifier says, whose means would not be a user's to expect otherwise."""
    assert best_model(models, NO_CONSTRAINTS) == expected


@pytest.mark.parametrize(
    ("bound", "expected"), [("nmi >= 0.5", "own"), ("nmi >= 0.05", "0"), ("nmi >= 0.95", "0"), ("nmi_real >= 0.1", "0")]
)
def test_model_that_meets_the_constraints_comes_first(bound: str, expected: str) -> None:
    """And the best score is taken where none meets them, or all do."""
    name, operator, value = bound.split()
    assert best_model({"own": GOOD, "0": BETTER}, {name: Bound.parse(f"{operator} {value}")}) == expected


def test_model_of_a_candidate_is_a_run_of_mlflow() -> None:
    trial = Trial(3, {}, 0.0, "finished", reports={9: Report(9, GOOD, 0.0, Decision("finished"))})
    assert Candidate(trial).model(NO_CONSTRAINTS) == "3"
    confirmed = Confirmed(3, 2, 2, 0, {}, {}, models={"3.0": GOOD, "3.1": BETTER})
    assert Candidate(trial, confirmed).model(NO_CONSTRAINTS) == "3.1"
    assert Candidate(trial, confirmed).model({"nmi": Bound.parse(">= 0.5")}) == "3"
