"""A search is drawn whatever the outcome of its trials; plots for which there are too few trials are left out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eig_tune.config.constraints import Bound
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.trial import Decision, Report, Trial
from eig_tune.reports import plots
from eig_tune.reports.optuna_study import study_of
from eig_tune.reports.page_plots import plots_as_html

TWO = {"nmi": "maximize", "prior_rmse": "minimize"}
NUMBERS: Mapping[str, Any] = {"lambda_1": {"loguniform": [0.3, 3]}, "tau": {"uniform": [0.1, 1]}}
CONDITIONAL = {
    **NUMBERS,
    "distance": {"choice": ["l2", "nt_xent"]},
    "nt_xent_temperature": {"loguniform": [0.1, 1], "when": {"distance": "nt_xent"}},
    "straight_through": {"choice": [True, False]},
    "batch_size": {"randint": [16, 64]},
}


def spec(objectives: Mapping[str, str] = TWO, search: Mapping[str, Any] = NUMBERS) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 1500, "report_every": 250},
        "asha": {"grace": 500},
        "search": search,
        "objectives": objectives,
    }
    return parse_spec(document, "test")


def trial(of: SearchSpec, number: int, status: str) -> Trial:
    """A trial with params from all over the space; a failed one has not reported."""
    quantile = (number * 0.37) % 1
    params = {name: distribution.at(quantile) for name, distribution in of.search.items()}
    if params.get("distance") != "nt_xent":
        params.pop("nt_xent_temperature", None)
    end = {"failed": 0, "finished": 1500}.get(status, 500)
    reports = {
        step: Report(step, dict.fromkeys(of.objectives, quantile * step / 1500), float(step))
        for step in range(250, end + 1, 250)
    }
    return Trial(number, params, 0.0, status, "", reports)  # type: ignore[arg-type]


def trials(of: SearchSpec, *statuses: str) -> list[Trial]:
    return [trial(of, number, status) for number, status in enumerate(statuses)]


def test_numbers_of_the_study_are_those_of_the_search() -> None:
    of = spec(search=CONDITIONAL)
    some = trials(of, "stopped", "running", "finished", "failed", "finished", "collapsed")
    study = study_of(some, of, of.objectives)
    assert [(t.number, t.state.name) for t in study.trials] == [
        (0, "PRUNED"), (1, "RUNNING"), (2, "COMPLETE"), (3, "FAIL"), (4, "COMPLETE"), (5, "FAIL")
    ]  # fmt: skip
    assert [t.params for t in study.trials] == [dict(t.params) for t in some]


@pytest.mark.parametrize(
    ("objectives", "statuses", "names"),
    [
        (TWO, (), set()),
        (TWO, ("failed",), set()),
        (TWO, ("running", "stopped"), {"rungs"}),
        (TWO, ("finished", "stopped"), {"pareto_front", "rungs"}),
        ({"nmi": "maximize"}, ("finished", "failed"), {"rungs"}),
        (
            {"nmi": "maximize"},
            ("finished", "stopped", "finished"),
            {"rungs", "history_nmi", "parallel_coordinates"},
        ),
        (
            {"nmi": "maximize"},
            ("finished",) * 20,
            {"rungs", "history_nmi", "importances_nmi", "parallel_coordinates"},
        ),
    ],
)
def test_plots_that_need_more_trials_are_left_out(
    objectives: Mapping[str, str], statuses: tuple[str, ...], names: set[str]
) -> None:
    of = spec(objectives)
    assert set(plots.pictures(trials(of, *statuses), of)) == {f"{name}.png" for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("search", [NUMBERS, CONDITIONAL, {"lambda_1": {"loguniform": [0.3, 3]}}], ids=len)
@pytest.mark.parametrize("objectives", [{"nmi": "maximize"}, TWO, {**TWO, "nmi_real": "maximize"}], ids=len)
def test_everything_is_drawn(objectives: Mapping[str, str], search: Mapping[str, Any], tmp_path: Path) -> None:
    of = spec(objectives, search)
    some = trials(of, "finished", "stopped", "failed", "collapsed", "finished", "running", "finished")
    some += [trial(of, number, "finished") for number in range(7, 25)]
    plots.write_pictures(some, of, tmp_path)
    for name in plots.pictures(some, of):
        with Image.open(tmp_path / name) as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100, f"{name} is empty"
    assert len(plots_as_html(some, of)) == (len(objectives) > 1) + 1 + 2 * len(objectives) + 1


@pytest.mark.slow
@pytest.mark.parametrize("statuses", [(), ("failed",), ("running",), ("finished",), ("stopped", "finished")], ids=str)
def test_few_trials_are_no_error(statuses: tuple[str, ...], tmp_path: Path) -> None:
    of = spec()
    some = trials(of, *statuses)
    plots.write_pictures(some, of, tmp_path)
    assert {file.name for file in tmp_path.glob("*.png")} == set(plots.pictures(some, of))
    assert len(plots_as_html(some, of)) == 1 + len(plots.pictures(some, of)) - any(t.reports for t in some)


@pytest.mark.slow
def test_trials_that_are_all_alike_are_no_error(tmp_path: Path) -> None:
    of = spec()
    alike = [trial(of, 0, "finished") for _ in range(3)]
    plots.write_pictures(alike, of, tmp_path)
    plots_as_html(alike, of)


@pytest.mark.slow
@pytest.mark.parametrize("bound", [">= 0.3", ">= 0.99"], ids=["one meets it", "none meets it"])
@pytest.mark.parametrize("objectives", [{"nmi": "maximize"}, TWO], ids=len)
def test_search_with_constraints_is_drawn_and_optuna_prints_nothing(
    objectives: Mapping[str, str], bound: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    of = spec(objectives).model_copy(update={"constraints": {"nmi": Bound.parse(bound)}})
    some = trials(of, "finished", "stopped", "failed", "collapsed", "finished", "running", "finished")
    plots.write_pictures(some, of, tmp_path)
    for name in plots.pictures(some, of):
        with Image.open(tmp_path / name) as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100, f"{name} is empty"
    plots_as_html(some, of)
    assert capfd.readouterr().err == ""


def test_outcomes_differ_where_colours_cannot_be_seen() -> None:
    looks = [(style.dash, style.marker) for style in plots.STYLES.values()]
    assert len(set(looks)) == len({marker for _, marker in looks}) == len(plots.STYLES)


@pytest.mark.slow
def test_importance_is_that_of_reaching_high_values_of_a_maximised_objective(tmp_path: Path) -> None:
    """λ1 alone makes the few good NMI; what τ does shows in the many bad ones. Taken as one of two objectives, NMI
    would be one to be minimised."""
    from optuna import visualization

    of = spec()
    rng = np.random.default_rng(0)
    some = []
    for number in range(60):
        params = {"lambda_1": float(rng.uniform(0.3, 3)), "tau": float(rng.uniform(0.1, 1))}
        quality = 0.5 + params["lambda_1"] if params["lambda_1"] > 2.5 else 0.1 * params["tau"]
        report = Report(1500, {"nmi": quality, "prior_rmse": 0.1}, 0.0, Decision("finished"))
        some.append(Trial(number, params, 0.0, "finished", reports={1500: report}))
    drawn = plots.optuna_plots(some, of)[plots.importance_picture("nmi")](visualization)
    importance = dict(zip(drawn.data[0].y, drawn.data[0].x, strict=True))
    assert importance["lambda_1"] > 0.9
    assert drawn.layout.title.text == "Importance of each hyperparameter for nmi"
