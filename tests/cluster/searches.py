"""Real searches as processes of their own, so small that a dozen trials take seconds, and what they leave."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from classifiers import give_classifier
from mlflow.tracking import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.trial import Trial

EIG_TUNE = Path(sys.executable).with_name("eig-tune")
NAME = "tiny"
SPACE = """
dataset: {name: digits, imbalance: {split: 0}}
method: elastic-infogan
model: {width: 8, noise_dim: 8}
train: {steps: 180, report_every: 20, batch_size: 32, images_per_category: 10, final_images_per_category: 20,
        generator_lr: 2.0e-3, discriminator_lr: 1.0e-3}
search:
  lambda_1: {loguniform: [0.3, 3]}
  prior_lr: {loguniform: [1.0e-3, 1.0e-1]}
  %s
objectives: {neighbour_nmi: maximize, prior_share_gap: minimize}
asha: {grace: 20, reduction_factor: 3}
trials: 12
confirm: {top: %d, seeds: 1}
seed: 0
"""


def write_space(folder: Path, further: str = "", confirmed: int = 0) -> Path:
    """The space; ``further`` is one more searched parameter, ``confirmed`` how many trials a fresh seed confirms."""
    file = folder / f"{NAME}.yaml"
    file.write_text(SPACE % (further, confirmed))
    return file


def start(
    space: Path, home: Path, *options: str, environment: Mapping[str, str] | None = None, group: bool = False
) -> "subprocess.Popen[str]":
    """A search, begun or resumed, whose output goes to ``home``.log; on request in a process group of its own."""
    give_classifier(home)
    command = [str(EIG_TUNE), "search", "--space", str(space), "--home", str(home), "--gpus", "0", "--resume", *options]
    with home.with_suffix(".log").open("a") as log:
        inherited = {**os.environ, **(environment or {})}
        return subprocess.Popen(command, stdout=log, stderr=log, text=True, env=inherited, start_new_session=group)


def wait_for_events(home: Path, count: int, process: "subprocess.Popen[str]", timeout: float = 120) -> bool:
    """Wait until the event log has ``count`` lines; False when the search ended before.

    Which trials are stopped depends on their order, so that of N trials of ``SPACE`` only 5 N + 11 lines are certain.
    """
    file, end = event_log_file(home), time.monotonic() + timeout
    while process.poll() is None:
        if file.is_file() and file.read_bytes().count(b"\n") >= count:
            return True
        assert time.monotonic() < end, f"the search got stuck: {home.with_suffix('.log').read_text()[-2000:]}"
        time.sleep(0.02)
    return False


def event_log_file(home: Path) -> Path:
    return home / "studies" / NAME / "events.jsonl"


def log_of(home: Path) -> str:
    """What the searches in a home have printed."""
    return home.with_suffix(".log").read_text()


def events(home: Path) -> int:
    return event_log_file(home).read_bytes().count(b"\n") if event_log_file(home).is_file() else 0


def kill(process: "subprocess.Popen[str]") -> None:
    """SIGKILL the driver; Ray's processes find out by themselves."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def fill(disk: Path) -> Path:
    """Leave no room on a disk; the file that takes it all."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def trial_processes(driver: int) -> list[int]:
    """The processes in which trials of a search train."""
    return [pid for pid, command in _processes() if "Trainable" in command and driver in _ancestors(pid)]


def descendants(ancestor: int) -> list[int]:
    """Every process that another one has started, and they in turn."""
    return [pid for pid, _ in _processes() if ancestor in _ancestors(pid)]


def processes_naming(text: str) -> list[str]:
    """The command lines of this machine's processes that have the text in them."""
    return [command for _, command in _processes() if text in command]


def _processes() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            yield int(folder.name), (folder / "cmdline").read_bytes().decode(errors="replace")


def _ancestors(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        while pid > 1:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            found.append(pid)
    return found


def trials_of(home: Path) -> dict[int, Trial]:
    with EventLog(event_log_file(home)) as event_log:
        return event_log.trials


def shown(trials: Mapping[int, Trial]) -> dict[int, Any]:
    """What a trial was and came to, without when, where and by whom; seconds differ from run to run."""
    return {
        number: (
            dict(trial.params),
            trial.status,
            trial.reason,
            {
                step: (report.decision, {n: v for n, v in report.metrics.items() if not n.endswith("_seconds")})
                for step, report in trial.reports.items()
            },
        )
        for number, trial in trials.items()
    }


def steps_run(home: Path) -> Iterator[tuple[int, int]]:
    """Trial and step of every report, as often as it is in the event log."""
    for line in event_log_file(home).read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "report":
            yield event["trial"], event["step"]


def assert_mlflow_has_every_report_once(home: Path, trials: Mapping[int, Trial], uri: str | None = None) -> None:
    client = MlflowClient(uri or f"sqlite:///{home}/mlflow.db")
    runs = runs_of_kind(client, "trial")
    assert Counter(int(run.data.tags["eig_tune.trial"]) for run in runs) == Counter(trials.keys())
    for run in runs:
        trial = trials[int(run.data.tags["eig_tune.trial"])]
        if trial.ended:
            assert (run.data.tags["status"], run.data.tags["stop_reason"]) == (trial.status, trial.reason)
        assert_metrics_agree(client, run, trial)


def runs_of_kind(client: MlflowClient, kind: str) -> list[Any]:
    """All runs of that kind in the search's experiment."""
    experiment = client.get_experiment_by_name(NAME)
    found = client.search_runs([experiment.experiment_id], f"tags.`eig_tune.kind` = '{kind}'", max_results=1000)
    assert len(found) < 1000
    return list(found)


def assert_metrics_agree(client: MlflowClient, run: Any, trial: Trial) -> None:
    """MLflow has each reported number once, at its step, to the last digit."""
    reported: dict[str, list[tuple[int, float]]] = {}
    for step, report in sorted(trial.reports.items()):
        for metric, value in report.metrics.items():
            reported.setdefault(metric, []).append((step, value))
    for metric, points in reported.items():
        history = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric)]
        assert repr(sorted(history)) == repr(points), (run.data.tags["eig_tune.trial"], metric)  # NaN is not NaN


def assert_study_agrees(home: Path, trials: Mapping[int, Trial]) -> None:
    storage = JournalStorage(JournalFileBackend(str(home / "studies" / NAME / "optuna.log")))
    study = optuna.load_study(study_name=NAME, storage=storage)
    states = {"finished": "COMPLETE", "stopped": "PRUNED", "collapsed": "FAIL", "failed": "FAIL"}
    said = {t.user_attrs["trial"]: (t.state.name, t.user_attrs["stop_reason"], dict(t.params)) for t in study.trials}
    assert said == {n: (states[t.status], t.reason, dict(t.params)) for n, t in trials.items()}
    assert len(study.trials) == len(trials)
