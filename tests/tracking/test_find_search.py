"""The search that `best`, `--warm-start` and `--best-of` take when several have the same name."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eig_tune.cli.app import app
from eig_tune.errors import ResultError
from eig_tune.home import Home
from eig_tune.tracking import SearchTracker, TrackedSearch, local_uri, open_store, read_search

OBJECTIVES = {"eig_tune.objectives": '{"nmi": "maximize"}'}
ANNAS, BERTS, COMPARISON, LONE = (digit * 32 for digit in "1234")


def write(home: Path, name: str, search_id: str, began: int, user: str, kind: str = "search") -> str:
    """A search of one trial, whose git commit is its id; its run."""
    store = open_store(local_uri(home), name, home)
    tags = {"eig_tune.kind": kind, "eig_tune.search_id": search_id, "git_commit": search_id, "mlflow.user": user}
    run = store.client.create_run(store.experiment_id, start_time=began * 1000, tags={**tags, **OBJECTIVES})
    to = SearchTracker(store, kind, search_id, {}, OBJECTIVES)
    to.start_run("0", "trial 0", {"lambda_1": began}, at=began)
    to.log_metrics("0", 100, {"nmi": 0.5}, at=began)
    to.end_run("0", "FINISHED", {"status": "finished"}, at=began)
    to.close("FINISHED", {})
    assert to.errors == [] and to.parent_id == run.info.run_id
    return str(run.info.run_id)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    write(home, "digits", ANNAS, 1000, "anna")
    write(home, "digits", BERTS, 2000, "be\x1b[2Jrt")
    write(home, "digits", COMPARISON, 9000, "carl", "comparison")
    write(home, "lone", LONE, 3000, "dora")
    write(home, "compared", "6" * 32, 9000, "carl", "comparison")
    return home


def taken(found: TrackedSearch) -> str:
    """The git commit of the search that was found; its trial and its run must be of the same search."""
    (trial,) = found.trials
    assert trial.params["lambda_1"] == found.run.began
    return found.provenance["git_commit"]


def test_newest_of_a_name_is_taken_and_the_others_are_listed(home: Path) -> None:
    found = read_search(local_uri(home), "digits")
    assert taken(found) == BERTS
    assert [other.by for other in found.others] == ["anna"]
    assert re.fullmatch(r"run [0-9a-f]{32}, begun 19\d\d-\d\d-\d\d \d\d:\d\d by be\[2Jrt", str(found.run))
    assert read_search(local_uri(home), "lone").others == ()


def test_homes_own_search_is_taken_before_a_newer_one_of_another_user(home: Path) -> None:
    assert taken(read_search(local_uri(home), "digits", [ANNAS])) == ANNAS
    assert taken(read_search(local_uri(home), None, [ANNAS])) == ANNAS
    assert taken(read_search(local_uri(home), None, ["9" * 32, COMPARISON, ANNAS, BERTS])) == ANNAS, "the first there"


def test_best_names_the_user_of_the_search_it_took_and_lists_the_others(home: Path, tmp_path: Path) -> None:
    arguments = ["best", "--name", "digits", "--home", str(tmp_path), "--tracking-uri", local_uri(home), "--json"]
    newest = CliRunner().invoke(app, arguments)
    berts, others = newest.stderr.splitlines()[:2]
    assert re.match(r"digits: run \w+, begun .* by be\[2Jrt", berts), newest.stderr
    assert re.match(r"its experiment has another search, which --name RUN takes: run \w+, begun .* by anna", others)
    event_log = Home(tmp_path).event_log("digits")
    event_log.parent.mkdir(parents=True)
    event_log.write_text(json.dumps({"event": "search", "header": {"id": ANNAS}, "at": 1.0}) + "\n")
    own = CliRunner().invoke(app, arguments)
    assert " by anna" in own.stderr.splitlines()[0]
    assert json.loads(own.stdout)["search_run"] == re.findall(r"run (\w+),", others)[0]
    assert json.loads(own.stdout)["params"] == {"lambda_1": 1000}


def test_without_a_name_the_newest_of_all_is_taken(home: Path) -> None:
    assert taken(read_search(local_uri(home), None)) == LONE
    assert taken(read_search(local_uri(home), None, ["9" * 32])) == LONE


def test_search_is_named_by_its_run(home: Path) -> None:
    (other,) = read_search(local_uri(home), "digits").others
    assert taken(read_search(local_uri(home), other.run_id)) == ANNAS


def test_search_of_an_earlier_version_is_still_read(tmp_path: Path) -> None:
    run_id = write(tmp_path, "digits", ANNAS, 1000, "anna")
    store = open_store(local_uri(tmp_path), "digits", tmp_path)
    for run in store.runs_of(ANNAS):
        store.client.delete_tag(run.info.run_id, "eig_tune.search_id")
    store.client.delete_tag(run_id, "mlflow.user")
    found = read_search(local_uri(tmp_path), "digits")
    assert taken(found) == ANNAS
    assert re.fullmatch(r"run [0-9a-f]{32}, begun [0-9-]+ \d\d:\d\d", str(found.run))


def test_homes_own_search_is_found_in_a_renamed_experiment(tmp_path: Path) -> None:
    write(tmp_path, "digits", ANNAS, 1000, "anna")
    store = open_store(local_uri(tmp_path), "digits", tmp_path)
    store.client.rename_experiment(store.experiment_id, "renamed")
    assert taken(read_search(local_uri(tmp_path), "digits", [ANNAS])) == ANNAS
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(ResultError, match="the MLflow experiment 'renamed' was deleted; `eig-tune search --resume`"):
        read_search(local_uri(tmp_path), "renamed")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("compared", "the MLflow experiment 'compared' holds no search of eig-tune"),
        ("digitz", "no search 'digitz' in .*; there are: .*digits.*"),
        ("7" * 32, "no search '7777.*; there are: .*lone.*"),
        ("' or 1 = 1", "no search .* in "),
    ],
)
def test_unknown_search_is_one_line(home: Path, name: str, message: str) -> None:
    with pytest.raises(ResultError, match=message) as refused:
        read_search(local_uri(home), name)
    assert "\n" not in str(refused.value)


def test_run_of_a_trial_or_of_a_comparison_is_no_search(home: Path) -> None:
    found = read_search(local_uri(home), "digits")
    (compared,) = [run for run in found.store.runs_of(COMPARISON) if "eig_tune.trial" not in run.data.tags]
    for run_id in (found.trials[0].run_id, compared.info.run_id):
        with pytest.raises(ResultError, match="no search"):
            read_search(local_uri(home), run_id)


@pytest.mark.parametrize("objectives", ["", "{", "[]", "3"])
def test_run_without_objectives_is_one_line(tmp_path: Path, objectives: str) -> None:
    run_id = write(tmp_path, "digits", ANNAS, 1000, "anna")
    client = open_store(local_uri(tmp_path), "digits", tmp_path).client
    client.set_tag(run_id, "eig_tune.objectives", objectives)
    with pytest.raises(ResultError, match=r"its tag eig_tune\.objectives has no objectives"):
        read_search(local_uri(tmp_path), "digits")
