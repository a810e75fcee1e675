"""MLflow's client in a process of its own: answers as the client itself, is started again, and outlives nobody."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from test_tracker import assert_whole, tracker, write_trial

from eig_tune.tracking import Store, open_store
from eig_tune.tracking.client_process import ClientProcess


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("mlflow")
    return open_store(f"sqlite:///{folder}/mlflow.db", "mine", folder)


@pytest.fixture
def client(store: Store) -> Iterator[ClientProcess]:
    started = ClientProcess(store.uri)
    yield started
    started.end()


def pid_of(client: ClientProcess) -> int:
    assert client._process is not None
    return client._process.pid


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def soon(holds: Callable[[], bool], seconds: float = 30.0) -> bool:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_it_starts_with_the_first_call_and_is_as_nice_as_a_trial(store: Store, client: ClientProcess) -> None:
    assert client._process is None
    client.get_experiment(store.experiment_id)
    assert os.getpriority(os.PRIO_PROCESS, pid_of(client)) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 15)


def test_answers_and_errors_are_those_of_the_client(store: Store, client: ClientProcess) -> None:
    made = client.create_run(store.experiment_id, tags={"a": "1"}, run_name="mine").info.run_id
    assert client.get_run(made).to_dictionary() == store.client.get_run(made).to_dictionary()
    pages = client.search_runs([store.experiment_id], max_results=1)
    assert len(pages) == 1 and pages.token == store.client.search_runs([store.experiment_id], max_results=1).token
    with pytest.raises(MlflowException) as its_own:
        store.client.get_run("f" * 32)
    with pytest.raises(MlflowException) as sent:
        client.get_run("f" * 32)
    assert (str(sent.value), sent.value.error_code) == (str(its_own.value), its_own.value.error_code)
    assert client.get_run(made).info.run_id == made, "it goes on after an error"


def test_signals_of_a_terminal_or_a_cluster_do_not_end_it(store: Store, client: ClientProcess) -> None:
    client.get_experiment(store.experiment_id)
    pid = pid_of(client)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert client.get_experiment(store.experiment_id).name == store.name
    assert pid_of(client) == pid
    assert os.getsid(pid) == pid, "what a terminal sends to the command's group does not reach it, from the start"


def test_a_lost_process_is_started_again_and_a_tracker_writes_everything_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eig_tune.tracking.tracker.ClientProcess", ClientProcess)
    monkeypatch.setattr("eig_tune.tracking.writer._GATHERING_SECONDS", 0.2)
    to = tracker(store)
    for number in range(2):
        write_trial(to, number, reports=3)
    assert soon(lambda: "0" in to.ended, seconds=120)
    os.kill(pid_of(to._client), signal.SIGKILL)
    for number in range(2, 4):
        write_trial(to, number, reports=3)
    to.close("FINISHED", {"front": "0"})
    assert to.errors == []
    assert_whole(store, trials=4, reports=3)
    assert to._client._process is None, "it ends with the writer"


HOLDER = """
import sys; sys.path[:] = {path!r}
from eig_tune.tracking.client_process import ClientProcess
class Holder(ClientProcess):
    def _started(self):
        process = super()._started()
        print(process.pid, flush=True)
        return process
client = Holder({uri!r})
client.get_experiment("1")
print("answered", flush=True)
sys.stdin.read()
"""


def holder(uri: str, folder: Path) -> subprocess.Popen[str]:
    """A process that has a client's, begun by `python -c` in a folder where the package is found by its path alone."""
    program = HOLDER.format(path=sys.path, uri=uri)
    begun = [sys.executable, "-c", program]
    return subprocess.Popen(begun, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)


def test_it_ends_when_its_caller_is_killed(store: Store, tmp_path: Path) -> None:
    with holder(store.uri, tmp_path) as caller:
        assert caller.stdout is not None
        pid = int(caller.stdout.readline())
        assert caller.stdout.readline() == "answered\n"
        assert is_running(pid)
        caller.kill()
    assert soon(lambda: not is_running(pid))


def test_it_ends_in_the_middle_of_a_request_when_its_caller_is_killed(tmp_path: Path) -> None:
    """Otherwise it would write while the next process reads what there is."""
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, holder(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path) as caller:
        assert caller.stdout is not None
        pid = int(caller.stdout.readline())
        silent.settimeout(120)
        connection, _ = silent.accept()
        with connection:
            assert is_running(pid)
            caller.kill()
            assert soon(lambda: not is_running(pid), seconds=5), "MLflow would wait for the answer for longer"
