"""One run in this process, without Ray: the way to debug."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eig_tune import strict_json
from eig_tune.config.checks import check_params
from eig_tune.config.space import SearchSpec
from eig_tune.errors import ConfigError, EigTuneError
from eig_tune.home import bring_to_disk, try_to_write
from eig_tune.hpo.engine import CHECKPOINT_SECONDS
from eig_tune.models.networks import AUTO
from eig_tune.reports.mlflow_runs import draw_trial
from eig_tune.training import TrainConfig
from eig_tune.training.checkpoint import read_run
from eig_tune.training.loop import Progress, TrialData, fit

METRICS_FILE = "metrics.jsonl"


def single_config(spec: SearchSpec, settings: Mapping[str, Any]) -> TrainConfig:
    """The run that a space describes: its first ``start_from`` point, then ``settings``.

    Raises:
        ConfigError: a name is unknown or a value out of range; every problem is reported.
    """
    params, problems = check_params(settings, "--set ", ("method", "seed"))
    if problems:
        raise ConfigError("eig-tune train", problems)
    return spec.fixed_config(str(params.get("method", spec.method)), int(params.get("seed", spec.seed)), params)


def check_out(out: Path, resume: bool) -> None:
    """See that ``out`` can take a run, before anything is trained.

    Raises:
        EigTuneError: it holds an earlier run that is not to be resumed, or it cannot be written.
    """
    if (out / METRICS_FILE).is_file() and not resume:
        raise EigTuneError(f"--out: {out} holds a run already; go on with it by --resume, or give a new folder")
    try:
        try_to_write(out.absolute())
    except OSError as error:
        raise EigTuneError(f"--out: {out} cannot be written ({error.strerror}); give a new folder") from error


def run_single(config: TrainConfig, data: TrialData, out: Path | None) -> Iterator[Progress]:
    """Train in this process and yield every report.

    The folder ``out`` gets metrics of every report, a checkpoint at the end and else when the one before is
    :data:`CHECKPOINT_SECONDS` old, and pictures at the end. If it has the checkpoint of an earlier run already, that
    run goes on. Without a folder nothing is kept.
    """
    if out is None:
        yield from fit(config, data)
        return
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = newest_checkpoint(out)
    _forget_metrics_after(out, -1 if checkpoint is None else _step_of(checkpoint))
    if checkpoint is not None and config.model.network == AUTO:  # which an earlier version had not: it goes on as begun
        config = config.with_params({"network": read_run(checkpoint).config.model.network})
    kept = time.monotonic()
    for progress in fit(config, data, checkpoint):
        _record(progress, out)
        if progress.step >= config.train.steps or time.monotonic() - kept >= CHECKPOINT_SECONDS:
            _keep(progress, out)
            kept = time.monotonic()
        yield progress
    if (checkpoint := newest_checkpoint(out)) is not None:
        draw_trial(checkpoint, data.images.classes, out)


def newest_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint of the run in ``out``."""
    return max(out.glob("checkpoint-*"), key=_step_of, default=None)


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """Step, losses and metrics of each report of the run in ``out``."""
    return [json.loads(line) for line in (out / METRICS_FILE).read_text(encoding="utf-8").splitlines()]


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _record(progress: Progress, out: Path) -> None:
    with (out / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write(strict_json.dumps({"step": progress.step, **progress.metrics()}) + "\n")


def _keep(progress: Progress, out: Path) -> None:
    """Write a checkpoint, which takes its name when it is whole and on the disk. Only then older ones are deleted."""
    partial, whole = out / ".partial", out / f"checkpoint-{progress.step}"
    shutil.rmtree(partial, ignore_errors=True)
    progress.save(partial)
    bring_to_disk(partial)
    partial.rename(whole)
    bring_to_disk(whole)
    for older in out.glob("checkpoint-*"):
        if older != whole:
            shutil.rmtree(older)


def _forget_metrics_after(out: Path, step: int) -> None:
    """Drop metrics of steps after the checkpoint, and a line that a kill has torn: the run will write them again."""
    file = out / METRICS_FILE
    if not file.is_file():
        return
    lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    file.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))
