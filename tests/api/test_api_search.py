"""A search from Python, on arrays, with Ray."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eig_tune
from eig_tune import EigTuneError, SearchResult, View
from eig_tune.errors import ConfigError, ResultError
from eig_tune.evaluation.metrics import METRICS
from eig_tune.hpo.observers import Observer
from eig_tune.models import METHODS

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(80, 16, 16), dtype=np.uint8)
SPACE: dict[str, Any] = {
    "model": {"width": 4, "noise_dim": 4, "categories": 5},
    # At rates that tell something about an image within half of the steps; else a trial counts as collapsed.
    "train": {
        **{"steps": 60, "report_every": 20, "batch_size": 16, "images_per_category": 4},
        **{"generator_lr": 1e-3, "discriminator_lr": 5e-4},
    },
    "search": {"lambda_1": {"loguniform": [0.3, 3]}},
    "objectives": {"code_recovery": "maximize", "category_spread": "minimize"},
    "asha": {"grace": 20},
    "trials": 3,
    "confirm": {"top": 0},
}


class Widened(eig_tune.InfoGan):
    """A network of the user's own."""


@pytest.fixture(scope="module", autouse=True)
def own_metric_and_network() -> Iterator[None]:
    spread = eig_tune.Metric("category_spread", lambda observed: float(np.ptp(observed.posterior_K)), "", "minimize")
    eig_tune.register_metric(spread)
    eig_tune.register_method(eig_tune.METHODS["elastic-infogan"].with_model("widened", Widened))
    yield
    del METRICS["category_spread"], METHODS["widened"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def search(home: Path, images: Any = IMAGES, **options: Any) -> SearchResult:
    space = eig_tune.load_space(SPACE, **options.pop("space", {}))
    return eig_tune.search(space, images, home=home, gpus=0, **{"view": View(), **options})


@pytest.fixture(scope="module")
def result(home: Path) -> SearchResult:
    return search(home, name="mine", space={"method": "widened"})


def test_search_on_arrays_is_complete(result: SearchResult) -> None:
    assert result.complete, result.progress
    assert len(result.trials) == 3
    assert result.trials.category_spread.notna().all(), "the user's metric reaches the processes of trials"
    assert result.best("category_spread").metrics["category_spread"] == result.front.category_spread.min()


def test_best_model_predicts_and_its_bundle_does_the_same(result: SearchResult, home: Path) -> None:
    best = result.best()
    assert best.model().record.config.method == "widened"
    exported = eig_tune.load_bundle(best.export(home / "bundle"))
    np.testing.assert_allclose(exported.predict_proba(IMAGES), best.model().predict_proba(IMAGES), atol=1e-6)


def test_no_ray_is_left_running(result: SearchResult) -> None:
    import ray

    assert not ray.is_initialized()
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in os.environ, "a `ray start` would refuse to join a cluster"


def test_resume_takes_the_same_images_only(result: SearchResult, home: Path) -> None:
    with pytest.raises(ResultError, match="there is 'mine' already"):
        search(home, name="mine", space={"method": "widened"})
    with pytest.raises(ConfigError, match="data: was "):
        search(home, IMAGES[::-1], name="mine", resume=True, space={"method": "widened"})
    as_floats = search(home, IMAGES / 255, name="mine", resume=True, space={"method": "widened", "trials": 4})
    assert len(as_floats.trials) == 4
    assert as_floats.trials.loc[:2, "code_recovery"].tolist() == result.trials.code_recovery.tolist()


class Interrupting(View):
    """Sends SIGINT, as Ctrl-C and a notebook do, when the first trial has reported."""

    def trials(self, *arguments: Any) -> Any:
        from contextlib import nullcontext

        class AtFirstReport(Observer):
            def trial_reported(self, trial: Any, report: Any) -> None:
                os.kill(os.getpid(), signal.SIGINT)

        return nullcontext(AtFirstReport())


def test_interrupt_ends_gently_and_the_search_goes_on(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    stopped = search(tmp_path, view=Interrupting())
    assert not stopped.complete
    assert "Not complete" in repr(stopped)
    assert signal.getsignal(signal.SIGINT) is before
    whole = search(tmp_path, resume=True)
    assert whole.complete, whole.progress


def test_search_in_another_thread_touches_no_signal(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    caught = list[BaseException]()

    def run() -> None:
        try:
            search(tmp_path, space={"trials": 1})
        except EigTuneError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(300)
    assert caught == [] and not thread.is_alive()
    assert signal.getsignal(signal.SIGINT) is before
    assert eig_tune.open_search(home=tmp_path).complete
