"""A search on hosts of their own, through everything that happens to hosts."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from checkpoint_rule import assert_checkpoints_are_where_they_belong
from hosts import BIN, Host, Hosts, Running, skip_unless_possible
from PIL import Image
from searches import NAME, assert_mlflow_has_every_report_once, assert_study_agrees, event_log_file, trials_of
from sklearn.datasets import load_digits

from eig_tune.hpo.engine import CHECKPOINT_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.real_cluster]
GPUS = 4  # of a worker, as far as Ray knows
REPORT_EVERY, GRACE = 20, 60
PACE = 2.0  # seconds that a trial trains to its next report, at least
CUT_SECONDS = 30
FAULTS = Path(__file__).parent / "faults"
# Labels would want an evaluation classifier, whose training would be most of the work.
SPACE = f"""
dataset: {{name: folder, root: IMAGES, image_size: 16, channels: 1, imbalance: none}}
method: elastic-infogan
model: {{width: 8, noise_dim: 8}}
train: {{steps: 180, report_every: {REPORT_EVERY}, batch_size: 32, images_per_category: 10,
        final_images_per_category: 20, generator_lr: 2.0e-3, discriminator_lr: 1.0e-3}}
search:
  lambda_1: {{loguniform: [0.3, 3]}}
  prior_lr: {{loguniform: [1.0e-3, 1.0e-1]}}
objectives: {{neighbour_nmi: maximize, prior_share_gap: minimize}}
asha: {{grace: {GRACE}, reduction_factor: 3}}
trials: 1000
confirm: {{top: 0}}
seed: 0
"""
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "one-token-for-all-hosts-of-a-cluster",
    # A host that is silent is given up after 24 s, not after 65 s.
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
    "EIG_TUNE_PACE": str(PACE),
}


@dataclass(frozen=True)
class Training:
    """A trial that begins to train to its next report, as its process has noted it; ``seed`` is its number."""

    at: float
    seed: int
    step: int
    host: str
    process: int
    devices: str


class Site:
    """A cluster, its shared folder, and the search on it."""

    def __init__(self, hosts: Hosts, shared: Path) -> None:
        self.hosts, self.shared = hosts, shared
        self.home, self.log = shared / "home", shared / "driver.log"
        self.head = hosts.add("head")
        self.head.start_ray()
        self.started = time.time()

    def say(self, what: str) -> None:
        print(f"{time.time() - self.started:5.0f} s  {what}", flush=True)

    def add_worker(self, name: str) -> Host:
        worker = self.hosts.add(name)
        worker.start_ray(self.head, gpus=GPUS)
        return worker

    def search(self, host: Host, *options: str) -> Running:
        """The search, driven from ``host``."""
        given = ["--space", str(self.shared / f"{NAME}.yaml"), "--home", str(self.home), "--name", NAME]
        command = [str(BIN / "eig-tune"), "search", *given, "--address", self.head.ray_address, *options]
        self.driver = host.start(*command, log=self.log)
        return self.driver

    def trainings(self) -> list[Training]:
        """All so far, in the order they began."""
        lines = [line for file in (self.shared / "watch").iterdir() for line in _whole_lines(file)]
        return sorted((Training(**json.loads(line)) for line in lines), key=lambda training: training.at)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """All events of these kinds in the event log."""
        return [
            event for line in _whole_lines(event_log_file(self.home)) if (event := json.loads(line))["event"] in kinds
        ]

    def running(self) -> set[int]:
        """Trials that have been started and neither paused nor ended since."""
        last = {event["trial"]: event["event"] for event in self.events("start", "pause", "end")}
        return {trial for trial, event in last.items() if event == "start"}

    def devices_of(self, host: Host, since: float = 0) -> set[str]:
        """The devices that trials on that host have been given."""
        return {t.devices for t in self.trainings() if t.host == host.name and t.at > since}

    def wait_for(self, what: str, met: Callable[[], bool], seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while not met():
            shown = self.log.read_text()[-3000:]
            assert self.driver.poll() is None, f"the search ended while it was to wait for {what}\n{shown}"
            assert time.monotonic() < end, f"waited in vain for {what}\n{shown}"
            time.sleep(0.3)

    def wait_for_the_end_of(self, host: Host, what: str, since: float) -> None:
        """Wait until a host that was given up has noticed it, and lets go of what its processes hold.

        It asks again only when TCP does, whose pauses have grown with the time it was cut off, to as much again.
        """
        while left := host.running(what):
            assert time.time() - since < 4 * CUT_SECONDS, f"{host.name} still has {left}"
            time.sleep(0.3)
        self.say(f"nothing of {what} on {host.name}, {time.time() - since:.0f} s after it is back at the latest")

    def lose(self, host: Host, fault: Callable[[], None], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Let ``fault`` befall a host: every trial on it goes on elsewhere, less than half a minute before the last
        report after which it has trained on, unless it is paused."""
        fault()
        at = time.time()
        meanwhile()
        last = {t.process: t for t in self.trainings() if t.host == host.name and t.at < at}

        def moved() -> dict[int, float]:
            return {event["trial"]: event["at"] for event in self.events("start") if event["at"] > at}

        def left() -> set[int]:
            return {t.seed for t in last.values()} & self.running() - moved().keys()

        self.wait_for(f"the trials of {host.name} to be started again", lambda: not left())
        detected = {t.seed: moved()[t.seed] - at for t in last.values() if t.seed in moved()}
        assert detected, "the host had no trial to lose"
        self.wait_for("them to train again", lambda: all(self._again(seed, at) for seed in detected))
        again = {seed: found for seed in detected if (found := self._again(seed, at)) is not None}
        lost = {t.seed: t.at - self._begun(again[t.seed].step, t) for t in last.values() if t.seed in again}
        self.say(
            f"{len(lost)} trials of {host.name}: started again after {max(detected.values()):.1f} s, trained again "
            f"after {max(training.at for training in again.values()) - at:.1f} s; seconds from the checkpoint to "
            f"the last report: {', '.join(f'{seconds:.1f}' for seconds in sorted(lost.values()))}"
        )
        assert all(seconds < CHECKPOINT_SECONDS + PACE for seconds in lost.values())  # Ray takes its time to go on
        assert all(training.host != host.name for training in again.values())

    def _begun(self, step: int, last: Training) -> float:
        """When a trial began to train on from a step, in the process in which it was last."""
        own = [t for t in self.trainings() if (t.process, t.seed) == (last.process, last.seed)]
        return min((t.at for t in own if t.step >= step), default=last.at)

    def _again(self, seed: int, since: float) -> Training | None:
        return next((t for t in self.trainings() if t.seed == seed and t.at > since), None)


def _whole_lines(file: Path) -> list[str]:
    """A line whose writer is in the middle of it, or was killed there, has no end."""
    return [line for line in file.read_text().splitlines(True) if line.endswith("\n")] if file.is_file() else []


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    skip_unless_possible()
    shared = tmp_path / "shared"
    images, watch = shared / "images", shared / "watch"
    for folder in (images, watch):
        folder.mkdir(parents=True)
    for number, pixels in enumerate(load_digits().images[:200]):
        Image.fromarray((pixels * 15.9).astype("uint8")).save(images / f"{number}.png")
    (shared / f"{NAME}.yaml").write_text(SPACE.replace("IMAGES", str(images)))
    path = os.pathsep.join(filter(None, [str(FAULTS), os.environ.get("PYTHONPATH")]))
    with Hosts(tmp_path, {**ENVIRONMENT, "PYTHONPATH": path, "EIG_TUNE_WATCH": str(watch)}) as hosts:
        yield Site(hosts, shared)


def test_search_outlives_its_hosts(site: Site) -> None:
    all_devices = {str(number) for number in range(GPUS)}
    one, two = site.add_worker("one"), site.add_worker("two")
    site.say("cluster of three hosts")
    site.search(site.head, "--gpus", "8", "--trials-per-gpu", "1")
    site.wait_for(
        "eight trials, each with a device", lambda: site.devices_of(one) == site.devices_of(two) == all_devices
    )
    site.wait_for("them to run at once", lambda: len(site.running()) == 8)
    site.say("eight trials at once, each with a device of its own")
    time.sleep(1.5 * PACE)  # in mid-report

    site.lose(two, two.kill_processes)  # its trials go on first wherever one ends

    three = site.add_worker("three")
    site.wait_for("a node that joins to be used", lambda: site.devices_of(three) == all_devices)
    site.say("all devices of a node that has joined are in use")

    def come_back() -> None:
        time.sleep(CUT_SECONDS)
        one.set_cable(plugged=True)

    assert len(one.running("Trainable")) == GPUS
    site.lose(one, lambda: one.set_cable(plugged=False), come_back)
    one_is_back = time.time()

    site.driver.kill()
    ended = len(site.events("end"))
    site.say(f"the search's own process is killed, {ended} trials have ended")
    resumed = site.search(three, "--gpus", str(GPUS), "--resume", "--trials", "8")
    assert resumed.wait(timeout=240) == 0, site.log.read_text()[-3000:]
    site.say("resumed on another host, and complete")

    trials = trials_of(site.home)
    said = Counter(trial.status for trial in trials.values())
    site.say(f"{len(trials)} trials: {dict(said)}")
    assert said["finished"] and not said["running"] and not said["failed"]
    ends = {event["trial"]: event["at"] for event in site.events("end")}
    assert len(ends) == len(site.events("end")), "a trial has ended twice"
    assert all(training.at < ends[training.seed] for training in site.trainings()), "an ended trial was trained again"
    events = [json.loads(line) for line in event_log_file(site.home).read_text().splitlines()]
    assert_checkpoints_are_where_they_belong(events, rungs=(GRACE,))
    assert not site.devices_of(one, since=one_is_back), "a node that was given up, and is back, trains for nobody"
    site.wait_for_the_end_of(one, "Trainable", since=one_is_back)
    assert_mlflow_has_every_report_once(site.home, trials)
    assert_study_agrees(site.home, trials)
    assert "raylet" not in site.log.read_text()
    assert "goes on elsewhere from step" in site.log.read_text()
    assert "but PyTorch sees none there" in site.log.read_text(), "Ray has promised GPUs that do not exist"
