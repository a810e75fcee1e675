"""The order in which batches and jobs are written, and what becomes of those that fail."""

from pathlib import Path

import pytest

from eig_tune.tracking import local_uri, open_store
from eig_tune.tracking.writer import Batch, Job, Writer, gathered


def nothing() -> None:
    pass


def fail() -> None:
    raise OSError("no space left on device\nin a long story")


def test_batches_of_a_run_are_joined_until_an_ordered_job_of_that_run() -> None:
    job = Job("0", nothing)
    jobs: list[Batch | Job] = [
        Batch("0", tags={"a": "1"}), Batch("1", tags={"a": "2"}), Batch("0", metrics=[("nmi", 0.5, 1, 2)]),
        job, Batch("0", params={"tau": 1}), Batch("1", tags={"b": "3"}),
    ]  # fmt: skip
    assert gathered(jobs) == [
        Batch("0", metrics=[("nmi", 0.5, 1, 2)], tags={"a": "1"}), job,
        Batch("0", params={"tau": 1}), Batch("1", tags={"a": "2", "b": "3"}),
    ]  # fmt: skip


def test_what_comes_last_stays_last() -> None:
    """A run that begins and ends within one gathering is one batch; its last tag says that MLflow has everything."""
    began, picture, ended = Job("0", nothing), Job("0", nothing, ordered=False), Job("0", nothing)
    params, reported = Batch("0", params={"tau": 1}), Batch("0", metrics=[("nmi", 0.5, 1, 2)])
    whole = Batch("0", {"tau": 1}, [("nmi", 0.5, 1, 2)], {"ended": "FINISHED"})
    last = Batch("0", tags={"ended": "FINISHED"})
    assert gathered([began, params, picture, reported, picture, last, ended]) == [began, picture, picture, whole, ended]


def test_failed_jobs_are_errors_and_only_those_of_runs_that_exist_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eig_tune.tracking.writer._FIRST_WAIT", 0.01)
    sent: list[Batch] = []
    writer = Writer(open_store(local_uri(tmp_path), "mine", tmp_path), sent.append, lambda key: key == "made")
    writer.start()
    writer.put(Job("unmade", fail), Job("made", fail), Batch("unmade"), Batch("made"), Job("made", nothing, last=True))
    writer.close()
    assert writer.errors == 2 * ["no space left on device"]
    assert writer.incomplete == {"unmade", "made"}
    assert sent == [Batch("made")]


def test_refused_metrics_take_neither_parameters_nor_tags_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eig_tune.tracking.writer._FIRST_WAIT", 0.01)
    sent: list[Batch] = []

    def send(batch: Batch) -> None:
        if batch.metrics:
            fail()
        sent.append(batch)

    writer = Writer(open_store(local_uri(tmp_path), "mine", tmp_path), send, lambda key: True)
    writer.start()
    refused = Batch("0", {"tau": 1}, [("nmi", 0.5, 1, 2)], {"status": "finished"})
    writer.put(refused, Job("0", nothing, last=True))
    writer.close()
    assert sent == [Batch("0", params={"tau": 1}), Batch("0", tags={"status": "finished"})]
    assert writer.errors == ["no space left on device"]
    assert writer.incomplete == {"0"}
