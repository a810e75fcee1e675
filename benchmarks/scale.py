"""Ten thousand trials that train nothing, through everything else: what a search itself costs, and how that grows.

    python -m benchmarks.scale [--trials 10000]

Sampler, successive halving, event log, study, Ray and MLflow (sqlite) are the real ones. A trial reports metrics made
from its params at once; pictures are left out, since there is no model to draw.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from ray import tune

from benchmarks.machine import description
from eig_tune.config.space import load_spec
from eig_tune.home import writable_home
from eig_tune.hpo.event_log import EventLog
from eig_tune.tracking import local_uri, read_search
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.search import run_search
from eig_tune.workflows.view import View

NAME = "scale"
WINDOW = 200


class InstantTrainable(tune.Trainable):  # type: ignore[misc]
    """Reports at once what a trial with these params might have reached."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._train = new_config["run"]["train"]
        self._random = np.random.default_rng(new_config["run"]["seed"])
        self._step = 0
        return True

    def step(self) -> dict[str, Any]:
        self._step += self._train["report_every"]
        progress = 1 - np.exp(-2 * self._step / self._train["steps"])
        distance = abs(np.log(self._train["lambda_1"])) + abs(np.log(self._train["tau"] / 0.1))
        quality = float(progress * np.exp(-distance / 3) + 0.05 * self._random.random())
        metrics = {"nmi": quality, "prior_rmse": 0.3 - 0.2 * quality * self._random.random()}
        metrics["classes_found"] = float(min(10, round(12 * quality)))
        return {"step": self._step, "measured": metrics, "train_seconds": 0.0, "evaluation_seconds": 0.0}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "step.json").write_text(json.dumps(self._step))

    def load_checkpoint(self, checkpoint: str) -> None:
        self._step = json.loads(Path(checkpoint, "step.json").read_text())


def main() -> None:
    """Run the search and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, default=Path("search_spaces/digits.yaml"))
    parser.add_argument("--trials", type=int, default=10_000)
    arguments = parser.parse_args()
    spec = load_spec(arguments.space, {"trials": arguments.trials, "confirm": {"top": 0}, "train.report_every": 500})
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        home = writable_home(Path(folder))
        uri = local_uri(home.path)
        with (
            patch("eig_tune.cluster.trainable.EigTrainable", InstantTrainable),
            patch("eig_tune.reports.mlflow_runs.draw_trial", lambda *arguments: None),
            patch("eig_tune.training.checkpoint.write_weights", lambda *arguments: None),
        ):
            started = time.monotonic()
            run_search(spec, RunOptions(NAME, uri, gpus=0), home, View())
            seconds = time.monotonic() - started
        with EventLog(home.event_log(NAME)) as event_log:
            trials = list(event_log.trials.values())
        found = read_search(uri, NAME)
    assert len(found.trials) == len(trials) == arguments.trials
    assert any(trial.status == "finished" for trial in trials) and all(trial.status != "failed" for trial in trials)
    newest = [trial.last.metrics["nmi"] if trial.last else None for trial in trials]
    assert all(trial.metrics["nmi"] == newest[trial.number] for trial in found.trials)
    begun = np.array([trial.at for trial in trials])
    print(f"{description()}\n")
    print(
        f"{len(trials):,} trials in {seconds:.0f} s, of which {seconds - begun[-1] + begun[0]:.0f} s before and after"
    )
    for last in (count for count in (1_000, 2_000, 5_000, 10_000) if WINDOW < count <= len(trials)):
        print(f"{1000 * (begun[last - 1] - begun[last - WINDOW]) / (WINDOW - 1):.1f} ms per trial at {last:,}")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB in the driver at most")


if __name__ == "__main__":
    main()
