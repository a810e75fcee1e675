"""What a search is for, by what its images have and by what it began with."""

from pathlib import Path
from typing import Any

import pytest
from logged import logged

from eig_tune.config.space import parse_spec
from eig_tune.data import ImageData
from eig_tune.errors import ConfigError
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.tracking import local_uri
from eig_tune.workflows.fit import check_fit
from eig_tune.workflows.identity import as_begun
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.prepare import with_objectives
from eig_tune.workflows.search import run_search
from eig_tune.workflows.view import View

NO_OBJECTIVES: dict[str, Any] = {"dataset": {"name": "arrays"}, "search": {"lambda_1": {"uniform": [0.1, 1]}}}


def objectives_line(images: ImageData | None, **sections: Any) -> str:
    with logged() as log:
        with_objectives(parse_spec({**NO_OBJECTIVES, **sections}, "space.yaml"), images)
    return " ".join(log.text.split())


def test_objectives_are_told_and_why(digits: ImageData, unlabelled_digits: ImageData) -> None:
    chosen = "objectives: maximize nmi, minimize prior_rmse"
    assert objectives_line(digits) == f"{chosen} (by default, as these images have labels)"
    assert objectives_line(unlabelled_digits) == (
        "objectives: maximize label_free_score, maximize augment_information "
        "(by default, as these images have no labels)"
    )
    assert objectives_line(digits, objectives={"nmi": "maximize"}) == "objectives: maximize nmi"
    assert objectives_line(None) == (
        "objectives: by default, maximize nmi, minimize prior_rmse where the images have labels, "
        "or maximize label_free_score, maximize augment_information where the images have no labels"
    )


def test_images_without_labels_need_no_objectives_and_get_no_labelled_ones(unlabelled_digits: ImageData) -> None:
    check_fit(parse_spec({**NO_OBJECTIVES, "train": {"batch_size": 8}}, "space.yaml"), unlabelled_digits)
    named = parse_spec({**NO_OBJECTIVES, "objectives": {"nmi": "maximize", "code_recovery": "maximize"}}, "space.yaml")
    with pytest.raises(ConfigError) as caught:
        check_fit(named, unlabelled_digits)
    assert "objectives: nmi cannot be computed, as these images have no labels" in str(caught.value)
    assert "leave `objectives` out for maximize label_free_score, maximize augment_information" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"objectives": {"code_recovery": "maximize"}}, "objectives"),
        ({"search": {"categories": {"choice": [2, 10]}}}, "search.categories"),
    ],
)
def test_search_that_would_end_at_a_bad_model_is_refused_unless_it_has_begun(
    unlabelled_digits: ImageData, change: dict[str, Any], where: str
) -> None:
    spec = parse_spec({**NO_OBJECTIVES, **change}, "space.yaml")
    with pytest.raises(ConfigError) as caught:
        check_fit(spec, unlabelled_digits)
    assert [problem.where for problem in caught.value.problems] == [where]
    with logged() as log:
        check_fit(spec, unlabelled_digits, goes_on=True)
    assert log.text.startswith(f"WARNING {where}: ")
    assert "The search goes on as it has begun" in " ".join(log.text.split())
    check_fit(spec.of_run(spec.fixed_config(spec.method, 0, {})), unlabelled_digits)


@pytest.mark.parametrize(
    ("noted", "kept"),
    [({"code_recovery": "maximize"}, True), ({"nmj": "maximize"}, False), (["nmi"], False), (None, False)],
)
def test_search_that_goes_on_keeps_the_objectives_that_it_began_with(tmp_path: Path, noted: Any, kept: bool) -> None:
    """Those that are named in its space now are another search's, and refused later."""
    home = Home(tmp_path)
    spec, named = (parse_spec({**NO_OBJECTIVES, **of}, "test") for of in ({}, {"objectives": {"nmi": "maximize"}}))
    assert as_begun(spec, home, "mine") is spec
    with EventLog(home.event_log("mine")) as event_log:
        event_log.begin({"id": "1" * 32, "spec": {"objectives": noted, "model": {"network": "auto"}}})
    assert as_begun(spec, home, "mine").objectives == (noted if kept else spec.objectives)
    assert as_begun(named, home, "mine") is named


class OpenedError(Exception):
    """The search has come as far as to its session."""


@pytest.mark.parametrize("resume", [False, True])
def test_search_of_an_earlier_version_goes_on_with_what_would_be_refused_now(
    tmp_path: Path, resume: bool, unlabelled_digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_session(*arguments: Any) -> None:
        raise OpenedError

    monkeypatch.setattr("eig_tune.workflows.search.open_session", open_session)
    monkeypatch.setattr("eig_tune.workflows.prepare.load_images", lambda *arguments: unlabelled_digits)
    home, objectives = Home(tmp_path), {"code_recovery": "maximize"}
    with EventLog(home.event_log("mine")) as event_log:
        event_log.begin({"id": "1" * 32, "spec": {"objectives": objectives}})
    spec = parse_spec({**NO_OBJECTIVES, "objectives": objectives}, "test")
    options = RunOptions("mine", local_uri(tmp_path), resume=resume)
    with logged() as log, pytest.raises(OpenedError if resume else ConfigError):
        run_search(spec, options, home, View())
    assert ("WARNING objectives: code_recovery alone" in log.text) == resume
