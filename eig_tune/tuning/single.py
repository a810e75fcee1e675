"""One run in this process, without Ray: the way to debug."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from eig_tune.errors import ConfigError, EigTuneError, Problem
from eig_tune.schema import problems_of, suggestion
from eig_tune.training import Progress, TrainConfig, TrialData, fit
from eig_tune.training.config import field_names
from eig_tune.tuning.journal import draw_trial
from eig_tune.tuning.space import SearchSpec

CHECKPOINT_FOLDER = "checkpoint"
METRICS_FILE = "metrics.jsonl"


def single_config(spec: SearchSpec, values: Mapping[str, Any]) -> TrainConfig:
    """The run that a space describes: its first ``start_from`` point, then ``values``.

    Raises:
        ConfigError: a name is unknown or a value out of range; every problem is reported.
    """
    known = [*field_names(), "seed"]
    problems = [
        Problem(f"--set {name}", f"no such parameter{suggestion(name, known)}") for name in values if name not in known
    ]
    if problems:
        raise ConfigError("eig-tune train", problems)
    start = spec.start_from[0] if spec.start_from else {}
    try:
        return spec.base_config().with_values({**start, **values})
    except ValidationError as error:
        raise ConfigError("eig-tune train", problems_of(error, {})) from error


def run_single(config: TrainConfig, data: TrialData, out: Path | None, resume: bool) -> Iterator[Progress]:
    """Train, passing on every report; ``out`` gets metrics, the newest checkpoint, and pictures at the end.

    Raises:
        EigTuneError: ``out`` is in use by an earlier run that is not to be resumed.
    """
    checkpoint = _checkpoint_to_resume(out, resume)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    for progress in fit(config, data, checkpoint):
        if out is not None:
            _record(progress, out)
        yield progress
    if out is not None:
        draw_trial(out / CHECKPOINT_FOLDER, data.images.classes, out)


def _checkpoint_to_resume(out: Path | None, resume: bool) -> Path | None:
    if out is None or not (out / CHECKPOINT_FOLDER).is_dir():
        return None
    if not resume:
        raise EigTuneError(f"--out: {out} holds a run already; go on with it by --resume, or give a new folder")
    return out / CHECKPOINT_FOLDER


def _record(progress: Progress, out: Path) -> None:
    """One line of metrics, and a checkpoint that replaces the older one only when it is whole."""
    partial, whole, old = out / ".checkpoint.partial", out / CHECKPOINT_FOLDER, out / ".checkpoint.old"
    shutil.rmtree(partial, ignore_errors=True)
    progress.save(partial)
    with (out / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": progress.step, **progress.metrics()}) + "\n")
    if whole.exists():
        whole.rename(old)
    partial.rename(whole)
    shutil.rmtree(old, ignore_errors=True)
