"""What MLflow costs the process that drives a search, and how soon its UI shows a large one.

    python -m benchmarks.tracking_cost [--seconds 60] [--server] [--pictures] [--trials 1000]

Two trials report once a second, ten metrics each: how long the caller waits, and how much CPU time the process spends,
background thread included, on nothing else, and what the process of MLflow's client spends. Then a search of 1,000
trials is written and opened in Chromium (left out where there is none).
"""

import argparse
import contextlib
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from statistics import median
from uuid import uuid4

import numpy as np
from PIL import Image

from benchmarks.machine import description
from eig_tune.tracking import SearchTracker, local_uri, open_store

TRIALS_AT_ONCE = 2
METRICS = [f"metric_{number}" for number in range(10)]
PICTURE_EVERY = 5  # reports; the MLflow runs get a trial's samples at most every five seconds
NAME = "tracking"


@contextlib.contextmanager
def store_at(folder: Path, server: bool) -> Iterator[str]:
    """A new store: one sqlite file, or a server in front of one."""
    if not server:
        yield local_uri(folder)
        return
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from mlflow_server import MlflowServer

    running = MlflowServer(folder)
    try:
        yield running.uri
    finally:
        running.kill()


def steady(uri: str, folder: Path, seconds: int, pictures: bool) -> None:
    """Print what two trials that report once a second cost."""
    tracker = SearchTracker(open_store(uri, NAME, folder), "search", uuid4().hex, {}, {})
    for key in map(str, range(TRIALS_AT_ONCE)):
        tracker.start_run(key, f"trial {key}", {"lambda_1": 1.0}, time.time())
    drawn, random = _samples_png(), np.random.default_rng(0)
    time.sleep(10)  # what MLflow does once is not a report's cost
    waits, began, cpu = [], time.monotonic(), time.process_time()
    for step in range(1, seconds + 1):
        for key in map(str, range(TRIALS_AT_ONCE)):
            values = dict(zip(METRICS, random.random(len(METRICS)).tolist(), strict=True))
            called = time.perf_counter()
            tracker.log_metrics(key, step, values, time.time())
            if pictures and step % PICTURE_EVERY == 0:
                tracker.log_picture(key, "samples", drawn, step, time.time())
            waits.append(time.perf_counter() - called)
        time.sleep(max(0.0, began + step - time.monotonic()))
    time.sleep(5)  # for what is still being gathered
    spent = time.process_time() - cpu
    print(f"{len(waits)} reports of {len(METRICS)} metrics{' with pictures' if pictures else ''} in {seconds} s:")
    print(f"  the caller waits {1e3 * median(waits):.3f} ms (median; longest {1e3 * max(waits):.2f} ms)")
    print(f"  CPU time {1e3 * spent / len(waits):.2f} ms per report, {spent / seconds:.2%} of a core")
    tracker.close("FINISHED", {})
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"  and {ended.ru_utime + ended.ru_stime:.1f} s in all in the client's process, its start included")


def _samples_png() -> bytes:
    written = BytesIO()
    pixels = np.random.default_rng(0).integers(256, size=(290, 290), dtype=np.uint8)
    Image.fromarray(pixels).save(written, "png")
    return written.getvalue()


def large(uri: str, folder: Path, trials: int) -> None:
    """Print how long the UI takes to show a search of so many trials, and one of its trials."""
    tracker = SearchTracker(open_store(uri, "large", folder), "search", uuid4().hex, {}, {})
    random, began = np.random.default_rng(0), time.time()
    for number in range(trials):
        key = str(number)
        tracker.start_run(key, f"trial {number} · lambda_1=1", {"lambda_1": number, "tau": 0.1}, began + number)
        for step in range(250, 1501, 250):
            values = dict(zip(METRICS, random.random(len(METRICS)).tolist(), strict=True))
            tracker.log_metrics(key, step, values, began + number)
        tracker.end_run(key, "FINISHED", {"status": "finished"}, began + number)
    tracker.close("FINISHED", {})
    print(f"{trials:,} trials written in {time.time() - began:.0f} s")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        print("not opened in the UI: there is no chromium")
        return
    from benchmarks.ui_picture import browser, enter, found, served

    with served(folder) as address, browser() as driver:
        enter(driver, address)
        store = open_store(uri, "large", folder)
        experiment, a_trial = store.experiment_id, store.trial_runs(tracker.parent_id)[0].info.run_id
        for what, page, shown in (
            ("the search", "runs", "[data-testid='expander'], .ag-row button"),
            ("its finished trials", "runs?searchFilter=tags.status%20%3D%20'finished'", ".ag-row"),
            ("a trial's curves", f"runs/{a_trial}/model-metrics", ".js-plotly-plot"),
        ):
            driver.get("about:blank")
            asked = time.monotonic()
            driver.get(f"{address}/#/experiments/{experiment}/{page}")
            found(driver, shown)
            print(f"  {what}: shown after {time.monotonic() - asked:.1f} s")


def main() -> None:
    """Measure both in a folder that is gone afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--server", action="store_true", help="over HTTP, to a server of its own")
    parser.add_argument("--pictures", action="store_true", help="a trial's samples every five reports")
    parser.add_argument("--trials", type=int, default=1000, help="of the search that is opened in the UI; 0 for none")
    arguments = parser.parse_args()
    print(f"{description()}\n")
    with tempfile.TemporaryDirectory() as folder:
        with store_at(Path(folder), arguments.server) as uri:
            steady(uri, Path(folder), arguments.seconds, arguments.pictures)
        if arguments.trials:
            large(local_uri(Path(folder)), Path(folder), arguments.trials)


if __name__ == "__main__":
    main()
