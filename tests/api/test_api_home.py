"""The searches of a home from Python and from a shell: listed, and deleted with all that they have left anywhere."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient
from mlflow_server import MlflowServer
from typer.testing import CliRunner
from written_search import NAME, SEARCH_ID, write_search

import eig_tune
from eig_tune.cli.app import app
from eig_tune.errors import EigTuneError, ResultError, TrackingError
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.tracking import local_uri, open_store
from eig_tune.workflows.delete import plan_deletion
from eig_tune.workflows.identity import begin_or_check
from eig_tune.workflows.notes import note_begin

HOLDER = """
import sys, time
from pathlib import Path
from eig_tune.hpo.event_log import EventLog
with EventLog(Path(sys.argv[1])):
    print("holds", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one search that has run, a checkpoint of it that is still there, and what is nobody's own."""
    home = write_search(tmp_path / "home")
    checkpoint = home / "ray" / NAME / SEARCH_ID / "trial" / "checkpoint_000000"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.safetensors").write_bytes(bytes(1000))
    (home / "classifiers").mkdir()
    return home


@pytest.fixture
def running(home: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", HOLDER, str(Home(home).event_log(NAME))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "holds\n"
        yield process
        process.kill()


def client_of(home: Path) -> Any:
    return MlflowClient(local_uri(home))


def runs_of(home: Path) -> list[Any]:
    client = client_of(home)
    ids = [each.experiment_id for each in client.search_experiments(ViewType.ALL)]
    return list(client.search_runs(ids, f"tags.`eig_tune.search_id` = '{SEARCH_ID}'", ViewType.ALL))


def register(home: Path) -> tuple[str, str]:
    """Make a registered version of the best trial's run; the ids of that run and of the logged model."""
    client = client_of(home)
    run = next(run for run in runs_of(home) if run.data.tags.get("eig_tune.trial") == "0")
    model = client.create_logged_model(run.info.experiment_id, "encoder", run.info.run_id)
    weights = home / "weights"
    weights.write_text("w")
    client.log_model_artifact(model.model_id, str(weights))
    client.create_registered_model("mine")
    client.create_model_version("mine", model.artifact_location, run.info.run_id, model_id=model.model_id)
    client.set_registered_model_alias("mine", "champion", "1")
    return run.info.run_id, model.model_id


def delete(home: Path, *options: str, answers: str | None = None, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["delete", NAME, "--home", str(home), *options], input=answers)
    assert done.exit_code == code, done.exception
    return done.stderr


def test_nothing_of_a_deleted_search_is_left_and_its_name_is_free(home: Path) -> None:
    shown = delete(home, "--yes")
    assert "event log and reports: " in shown and "checkpoints: 1.0 kB in " in shown
    assert "MLflow: 5 runs with " in shown and f"{NAME} is deleted: " in shown
    assert sorted(path.name for path in home.rglob("*")) == ["artifacts", "classifiers", "mlflow.db", "ray", "studies"]
    assert runs_of(home) == [] and client_of(home).get_experiment_by_name(NAME) is None
    assert open_store(local_uri(home), NAME, home).searches() == [], "a new search may have the name"
    with pytest.raises(ResultError, match=f"no search '{NAME}'"):
        eig_tune.delete_search(NAME, home=home)


def test_bytes_that_are_freed_are_those_that_are_gone(home: Path) -> None:
    before = size(home)
    freed = eig_tune.delete_search(NAME, home=home)
    assert freed == before - size(home) > 1000


def size(home: Path) -> int:
    return sum(file.stat().st_size for file in home.rglob("*") if file.is_file() and file.name != "mlflow.db")


def test_registered_versions_are_kept_with_their_runs_unless_they_are_asked_for(home: Path) -> None:
    run, model = register(home)
    shown = delete(home, "--yes")
    assert "registered: the version mine/1 (champion)" in shown
    assert "kept: the version mine/1 (champion), with the runs that they are of" in shown
    client = client_of(home)
    assert client.get_model_version("mine", "1").run_id == run
    assert [each.info.run_id for each in runs_of(home)] == [run]
    assert client.get_logged_model(model).model_id == model
    assert len([*(home / "artifacts").rglob("weights")]) == 1


def test_registered_versions_go_too_when_they_are_asked_for(home: Path) -> None:
    register(home)
    assert "kept" not in delete(home, "--yes", "--registered")
    assert client_of(home).search_registered_models() == [] and runs_of(home) == []
    assert not [*(home / "artifacts").rglob("*")]


def test_nobody_there_to_be_asked_is_an_error_and_deletes_nothing(home: Path) -> None:
    done = CliRunner().invoke(app, ["delete", NAME, "--home", str(home)])
    assert isinstance(done.exception, EigTuneError) and "give --yes" in str(done.exception)
    assert len(runs_of(home)) == 5 and Home(home).event_log(NAME).is_file()


@pytest.mark.parametrize(("answers", "left"), [("n\n", 5), ("y\nn\n", 1), ("y\ny\n", 0)])
def test_what_is_asked_is_what_is_done(home: Path, answers: str, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    register(home)
    monkeypatch.setattr("eig_tune.cli.commands.delete._somebody_is_there", lambda: True)
    done = CliRunner().invoke(app, ["delete", NAME, "--home", str(home)], input=answers)
    assert ("delete the registered versions mine/1 (champion), too?" in done.stderr) is answers.startswith("y")
    assert len(runs_of(home)) == left
    assert Home(home).event_log(NAME).is_file() is (left == 5)


@pytest.mark.parametrize("gone", ["store", "runs", "in the trash", "experiment in the trash"])
def test_search_whose_part_in_mlflow_is_gone_already(home: Path, gone: str) -> None:
    client, runs = client_of(home), runs_of(home)
    experiment = runs[0].info.experiment_id
    if gone == "store":
        (home / "mlflow.db").unlink()
    elif gone == "experiment in the trash":
        client.delete_experiment(experiment)
    else:
        for run in runs:
            client.delete_run(run.info.run_id)
            if gone == "runs":
                client._tracking_client.store._hard_delete_run(run.info.run_id)
    shown = delete(home, "--yes")
    assert ("MLflow: nothing in sqlite" in shown) is (gone in ("store", "runs"))
    assert not [*(home / "studies").iterdir()] and not [*(home / "ray").iterdir()]
    if gone != "store":
        assert runs_of(home) == []


def test_store_that_cannot_be_reached_deletes_nothing_unless_mlflow_is_left_alone(home: Path) -> None:
    with pytest.raises(TrackingError):
        eig_tune.delete_search(NAME, home=home, tracking_uri="http://127.0.0.1:9")
    assert Home(home).event_log(NAME).is_file()
    shown = delete(home, "--yes", "--tracking-uri", "http://127.0.0.1:9", "--keep-mlflow")
    assert "MLflow is left as it is" in shown and not Home(home).study(NAME).exists() and len(runs_of(home)) == 5


def test_running_search_is_refused_and_a_killed_one_deleted(home: Path, running: "subprocess.Popen[str]") -> None:
    with pytest.raises(ResultError, match=f"{NAME} is running, in process {running.pid} on .*: eig-tune stop {NAME}"):
        eig_tune.delete_search(NAME, home=home)
    assert eig_tune.list_searches(home=home).state[NAME] == "running"
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert eig_tune.list_searches(home=home).state[NAME] == "killed"
    assert eig_tune.delete_search(NAME, home=home) > 0


def test_search_that_was_killed_on_another_host_is_deleted(home: Path) -> None:
    Home(home).event_log(NAME).with_suffix(".lock").write_text("process 17 on another-machine")
    assert "killed in process 17 on another-machine" in delete(home, "--yes")
    assert not Home(home).study(NAME).exists()


def test_damaged_event_log_is_deleted_with_all_the_rest(home: Path) -> None:
    with Home(home).event_log(NAME).open("a") as log:
        log.write("7\n")
    assert "damaged" in delete(home, "--yes")
    assert runs_of(home) == [] and not [*(home / "studies").iterdir()] and not [*(home / "ray").iterdir()]


def test_checkpoints_elsewhere_are_deleted_if_they_are_this_homes(home: Path, tmp_path: Path) -> None:
    elsewhere, log = tmp_path / "elsewhere" / NAME / SEARCH_ID, Home(home).event_log(NAME)
    (elsewhere / "trial").mkdir(parents=True)
    with EventLog(log) as event_log:
        begin_or_check(event_log, SEARCH_ID, {}, NAME, Home(home))
        note_begin(event_log, "search", str(elsewhere), "")
    copy = shutil.copytree(home, tmp_path / "copy")
    assert str(plan_deletion(Home(home), NAME, local_uri(home)).storage.uri) == str(elsewhere)
    eig_tune.delete_search(NAME, home=copy)
    assert elsewhere.exists(), "it is a copy, whose original still needs them"
    eig_tune.delete_search(NAME, home=home)
    assert not elsewhere.exists()


def test_copy_of_a_home_leaves_a_store_alone_that_it_shares(home: Path, tmp_path: Path) -> None:
    with EventLog(Home(home).event_log(NAME)) as event_log:
        begin_or_check(event_log, SEARCH_ID, {}, NAME, Home(home))
    copy = shutil.copytree(home, tmp_path / "copy")
    shown = delete(copy, "--yes", "--tracking-uri", local_uri(home))
    assert f"this home is a copy of {home}" in shown
    assert len(runs_of(home)) == 5 and not Home(copy).study(NAME).exists()


def test_list_in_python(home: Path) -> None:
    table = eig_tune.list_searches(home=home)
    columns = ("kind", "state", "ended", "planned")
    assert [table[column][NAME] for column in columns] == ["search", "complete", 4, 4]
    assert table["bytes"][NAME] > 1000
    assert eig_tune.list_searches(home=home / "none").empty
    assert eig_tune.stop_search(NAME, home=home) == "complete", "it does not run"


@pytest.mark.slow
def test_server_puts_the_runs_into_its_trash_and_deletes_their_artifacts(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    server = MlflowServer(tmp_path / "server")
    try:
        home = write_search(tmp_path / "home", uri=server.uri)
        assert len(list((tmp_path / "server").rglob("resolved_space.yaml"))) == 1
        shown = delete(home, "--yes", "--tracking-uri", server.uri)
        assert f"MLflow: 5 runs with their artifacts in {server.uri}" in shown
        assert "MLflow's server keeps the runs in its trash; `mlflow gc`, run there, empties it" in shown
        assert not Home(home).study(NAME).exists() and not [*(tmp_path / "server").rglob("resolved_space.yaml")]
        client = MlflowClient(server.uri)
        (experiment,) = client.search_experiments(filter_string=f"name = '{NAME}'")
        assert client.search_runs([experiment.experiment_id]) == []
        assert open_store(server.uri, NAME, home).searches() == [], "a new search may have the name"
    finally:
        server.kill()
