"""suggest-k as a whole, without Ray's processes: it is killed, goes on, and takes more seeds; MLflow has the curve."""

from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from mlflow.tracking import MlflowClient
from one_process import KilledError, Life, OneProcess

from eig_tune.config.space import parse_spec
from eig_tune.data import ImageData
from eig_tune.errors import ConfigError
from eig_tune.home import Home
from eig_tune.hpo.event_log import read_state
from eig_tune.reports.outcomes import SuggestionOutcome, suggestion_document
from eig_tune.tracking import local_uri
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.suggest_k import SuggestionPlan, run_suggestion
from eig_tune.workflows.view import View

NAME = "how-many"
SPEC = parse_spec(
    {
        "dataset": {"name": "digits"},
        "model": {"width": 4, "noise_dim": 4},
        "train": {
            **{"steps": 4, "report_every": 2, "batch_size": 8},
            **{"images_per_category": 2, "final_images_per_category": 10},
        },
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "start_from": [{"lambda_1": 0.7}],
    },
    "test",
    searching=False,
)


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch, unlabelled_digits: ImageData) -> pytest.MonkeyPatch:
    monkeypatch.setattr("eig_tune.workflows.suggest_k.prepare_images", lambda *given, **options: unlabelled_digits)
    monkeypatch.setattr("eig_tune.workflows.resources.start_ray", lambda *given: None)
    monkeypatch.setattr("eig_tune.stopping.Stop.listen", lambda self: None)
    monkeypatch.setattr("eig_tune.tracking.writer._GATHERING_SECONDS", 0.02)
    given = SimpleNamespace(per_trial={"cpu": 1}, device="cpu", trials_per_gpu=1)
    monkeypatch.setattr("eig_tune.workflows.resources.Resources.of_cluster", lambda *options: given)
    slots = SimpleNamespace(now=lambda: 1, most=1)
    monkeypatch.setattr("eig_tune.workflows.resources._shared_out", lambda spec, images, given, address: given)
    monkeypatch.setattr("eig_tune.workflows.resources.Slots", lambda *options: slots)
    return monkeypatch


def suggest(
    home: Path, patch: pytest.MonkeyPatch, seeds: int, most: int = 10_000, spec: object = SPEC
) -> SuggestionOutcome:
    """One process, which is killed after so many steps of Ray's loop."""
    left = [most]

    def between() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError

    life = Life()
    Life.install(patch, lambda: life)
    (home / "ray").mkdir(exist_ok=True)
    OneProcess(Random(0), 1, between, home / "ray").install(patch)
    patch.setattr("one_process.OneProcess._dies", lambda self: False)
    options = RunOptions(NAME, local_uri(home), gpus=0, cpus=1, resume=True)
    assert isinstance(spec, type(SPEC))
    try:
        return run_suggestion(spec, SuggestionPlan((2, 3), seeds), options, Home(home), View())
    finally:
        life.kill()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # a killed process
def test_killed_suggestion_goes_on_takes_more_seeds_and_is_in_mlflow(
    tmp_path: Path, patched: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KilledError):
        suggest(tmp_path, patched, seeds=3, most=9)
    begun = read_state(Home(tmp_path).event_log(NAME)).trials
    ended = [number for number, trial in begun.items() if trial.ended]
    assert ended and len(ended) < 6, "it was killed in the middle"

    outcome = suggest(tmp_path, patched, seeds=3)
    assert outcome.complete and not outcome.tracking_errors
    assert [(row.categories, row.seeds, row.failed) for row in outcome.suggestion.rows] == [(2, 3, 0), (3, 3, 0)]
    assert all(outcome.trials[number].reports == begun[number].reports for number in ended), "begun again"
    assert suggestion_document(outcome)["recommended"] in (2, 3)

    outcome = suggest(tmp_path, patched, seeds=4)
    assert len(outcome.trials) == 8 and [row.seeds for row in outcome.suggestion.rows] == [4, 4]
    assert {"agreement.png", "agreement.csv", "table.md"} <= {file.name for file in outcome.folder.iterdir()}
    client = MlflowClient(local_uri(tmp_path))
    (experiment,) = client.search_experiments(filter_string=f"name = '{NAME}'")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if run.data.tags["eig_tune.kind"] == "suggestion")
    assert sum(run.data.tags["eig_tune.kind"] == "trial" for run in runs) == 8
    curve = {point.step: point.value for point in client.get_metric_history(parent.info.run_id, "agreement")}
    assert curve == {row.categories: row.agreement for row in outcome.suggestion.rows}
    assert "agreement.png" in {file.path for file in client.list_artifacts(parent.info.run_id)}
    note = parent.data.tags["mlflow.note.content"]
    assert "Recommended: K = " in note and "nmi" not in note.replace("neighbour_nmi", "")

    with pytest.raises(ConfigError, match=r"train\.steps: was 4, is now 6"):
        suggest(
            tmp_path, patched, 3, spec=SPEC.model_copy(update={"train": SPEC.train.model_copy(update={"steps": 6})})
        )
