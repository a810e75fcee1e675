"""What a search has come to, looked at from Python."""

import json
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner
from written_search import DISAGREEING, NAME, REACHED, write_search

import eig_tune
from eig_tune import SearchResult
from eig_tune.cli.app import app
from eig_tune.errors import CheckpointError, ResultError
from eig_tune.home import Home


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a search that is complete."""
    return write_search(tmp_path_factory.mktemp("written"))


@pytest.fixture(scope="module")
def result(written: Path) -> SearchResult:
    return eig_tune.open_search(NAME, home=written)


def test_trials_are_a_row_each(result: SearchResult) -> None:
    trials = result.trials
    assert trials.index.tolist() == [0, 1, 2, 3]
    assert trials.status.tolist() == [status for status, _ in REACHED.values()]
    assert trials.step.tolist() == [3000, 3000, 1000, 3000]
    assert trials["param.lambda_2"].tolist() == [5.0, 10.0, 15.0, 20.0]
    assert trials.nmi.tolist() == [reports[-1][0] for _, reports in REACHED.values()]
    assert trials.loc[1, "reason"] == "why 1 ended"
    assert trials.code_recovery.tolist() == [0.5] * 4


def test_curves_are_a_row_for_each_report(result: SearchResult) -> None:
    curves = result.curves
    assert len(curves) == sum(len(reports) for _, reports in REACHED.values())
    of_first = curves[curves.trial == 0]
    assert of_first.step.tolist() == [1000, 2000, 3000]
    assert of_first.nmi.tolist() == [0.1, 0.5, 0.9]
    assert of_first.decision.tolist() == ["running", "running", "finished"]
    assert pd.Timestamp(2001, 9, 9) < of_first["at"].iloc[0] < pd.Timestamp(2001, 9, 10)


def test_front_is_what_no_finished_trial_is_better_than(result: SearchResult) -> None:
    assert result.front.index.tolist() == [0, 1]
    assert result.trials.front.tolist() == [True, True, False, False]


@pytest.mark.parametrize(("by", "number"), [("nmi", 0), ("prior_rmse", 1), ("knee", 0)])
def test_best_is_that_of_the_command_line(result: SearchResult, written: Path, by: str, number: int) -> None:
    best = result.best(by)
    assert (best.number, best.params) == (number, {"lambda_2": 5.0 * (number + 1)})
    assert best.metrics["nmi"] == REACHED[number][1][-1][0]
    shown = CliRunner().invoke(app, ["best", "--name", NAME, "--home", str(written), "--by", by]).stdout
    assert f"trial {number}, the best of 3 finished trials" in shown


def test_best_whose_encoder_disagrees_with_the_prior_is_warned_of(result: SearchResult, written: Path) -> None:
    shown = CliRunner().invoke(app, ["best", "--name", NAME, "--home", str(written), "--by", "nmi", "--json"])
    (warning,) = result.best("nmi").warnings
    assert result.best("nmi").number == DISAGREEING and "puts 40% of the real images into other categories" in warning
    assert f"WARNING {warning}; confirm it before" in shown.stderr
    assert json.loads(shown.stdout)["warnings"] == [warning]
    assert warning in result.best("nmi")._repr_html_()
    assert result.best("prior_rmse").warnings == () and "Warning" not in result.best("prior_rmse")._repr_html_()


def test_constraints_of_a_search_hold_for_front_best_and_table(tmp_path: Path) -> None:
    home = write_search(tmp_path, constraints={"prior_rmse": "<= 0.15"})
    result = eig_tune.open_search(NAME, home=home)
    assert result.constraints == {"prior_rmse": "<= 0.15"}
    assert result.trials.feasible.tolist() == [False, True, False, False]
    assert result.front.index.tolist() == [1]
    assert [result.best(by).number for by in ("knee", "nmi")] == [1, 1] and result.best().missed == {}
    shown = CliRunner().invoke(app, ["best", "--name", NAME, "--home", str(home), "--json"])
    assert "trial 1, the only one of 3 finished trials that meets all constraints" in shown.stderr
    document = json.loads(shown.stdout)
    assert (document["constraints"], document["missed"]) == ({"prior_rmse": "<= 0.15"}, {})


def test_best_of_a_search_in_which_none_meets_the_constraints_says_so(tmp_path: Path) -> None:
    home = write_search(tmp_path, constraints={"prior_rmse": "<= 0.05", "nmi": ">= 0.85"})
    best = eig_tune.open_search(NAME, home=home).best()
    assert best.number == 1, "it misses 0.05 of a range of 0.2, twice; trial 0 misses 0.15 of 0.2"
    assert best.missed == pytest.approx({"prior_rmse": 0.05, "nmi": 0.05})
    shown = CliRunner().invoke(app, ["best", "--name", NAME, "--home", str(home), "--json"])
    assert "all of which none of them meets (prior_rmse is 0.100 and not <= 0.05, nmi is 0.800 and not" in shown.stderr
    assert json.loads(shown.stdout)["missed"] == pytest.approx({"prior_rmse": 0.05, "nmi": 0.05})


def test_best_by_what_is_no_objective_is_refused(result: SearchResult) -> None:
    with pytest.raises(ResultError, match="objectives are nmi, prior_rmse"):
        result.best("nmi_real")


def test_trial_without_a_model_says_so(result: SearchResult, tmp_path: Path) -> None:
    for take in (result.best().model, lambda: result.best().export(tmp_path / "model")):
        with pytest.raises(CheckpointError, match="trial 0 of 'written' has no model in run"):
            take()


def test_figures_are_drawn_and_leave_the_backend_of_a_notebook_as_it_was(result: SearchResult) -> None:
    inline = "module://matplotlib_inline.backend_inline"
    matplotlib.use(inline)
    figures = [
        result.plot_front(),
        result.plot_curves(),
        result.plot_history("prior_rmse"),
        result.plot_parallel_coordinates(),
    ]
    assert all(isinstance(figure, Figure) and figure.axes for figure in figures)
    assert len(figures[1].axes) == 2, "one for each objective"
    assert matplotlib.get_backend() == inline
    matplotlib.use("Agg")
    with pytest.raises(ResultError, match="objective: got 'nim'; this search's are nmi, prior_rmse"):
        result.plot_importance("nim")
    with pytest.raises(ResultError, match=r"too few trials for importances_nmi\.png: 3 finished, 1 stopped"):
        result.plot_importance()


def test_notebook_shows_name_state_and_front(result: SearchResult) -> None:
    page = result._repr_html_()
    assert "<b>written</b>: 3 finished, 1 stopped" in page
    assert page.count("<tr") == 4, "a header of two rows, and the front"
    assert "param.lambda_2" in page
    assert "<b>trial 0 of written</b>: the best by knee" in result.best()._repr_html_()
    assert repr(result.best("nmi")) == "<trial 0 of 'written', best by nmi: found nmi=0.900, prior_rmse=0.200>"


def test_search_that_is_not_complete_says_what_is_missing(tmp_path: Path) -> None:
    result = eig_tune.open_search(home=write_search(tmp_path, running=True))
    assert not result.complete
    assert "Not complete: 3 of 4 trials have ended" in repr(result)
    assert "search(…, name='written', resume=True) goes on" in repr(result)
    assert "Not complete" in result._repr_html_()
    assert result.trials.status.tolist() == ["finished", "finished", "stopped", "interrupted"]


def test_search_of_another_machine_is_the_same(result: SearchResult, written: Path, tmp_path: Path) -> None:
    """Without its home there is MLflow alone."""
    elsewhere = eig_tune.open_search(NAME, home=tmp_path, tracking_uri=f"sqlite:///{written}/mlflow.db")
    pd.testing.assert_frame_equal(elsewhere.trials, result.trials)
    pd.testing.assert_frame_equal(elsewhere.curves, result.curves, check_dtype=False, check_like=True)
    assert elsewhere.plot_curves().axes


def test_event_log_is_read_while_another_process_holds_it(written: Path) -> None:
    from eig_tune.hpo.event_log import EventLog

    with EventLog(Home(written).event_log(NAME)):
        assert len(eig_tune.open_search(NAME, home=written).curves) == 10


def test_no_such_search_is_an_error_at_once(written: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no search 'other'"):
        eig_tune.open_search("other", home=written)
    with pytest.raises(ResultError, match="there is no search here yet"):
        eig_tune.open_search(home=tmp_path)
    assert not list(tmp_path.iterdir())


def test_search_without_a_trial_is_empty_tables(tmp_path: Path) -> None:
    from eig_tune.tracking import OBJECTIVES_TAG, SearchTracker, local_uri, open_store

    store = open_store(local_uri(tmp_path), "empty", tmp_path)
    tags = {OBJECTIVES_TAG: '{"nmi": "maximize"}'}
    SearchTracker(store, "search", "b" * 32, {"trials": 4}, tags).close("KILLED", {})
    result = eig_tune.open_search("empty", home=tmp_path)
    assert (len(result.trials), len(result.curves), len(result.front)) == (0, 0, 0)
    assert "no trial yet. Not complete: 0 of 4 trials have ended" in repr(result)
    with pytest.raises(ResultError, match="no trial of this search has finished yet"):
        result.best()
