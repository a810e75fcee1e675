"""Training one model in this process, without Ray."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from eig_tune.api.model import TrainedModel
from eig_tune.api.running import attended, home_at
from eig_tune.api.space import Space, resolve, with_data
from eig_tune.home import writable_home
from eig_tune.paths import have_a_home
from eig_tune.stopping import Stop
from eig_tune.workflows.view import View

if TYPE_CHECKING:
    import pandas as pd

    from eig_tune.data import DatasetConfig
    from eig_tune.data.arrays import ArrayLike
    from eig_tune.training import TrainConfig
    from eig_tune.training.loop import Progress, TrialData

logger = logging.getLogger(__name__)


class TrainedRun:
    """What a single run has come to.

    Attributes:
        model: the trained model.
    """

    def __init__(self, model: TrainedModel, reports: Sequence[Mapping[str, Any]]) -> None:
        self.model = model
        self._reports = reports

    @cached_property
    def curves(self) -> "pd.DataFrame":
        """One row for each report: every loss and every metric by the step.

        Example:
            >>> run.curves.nmi.plot()
        """
        import pandas as pd

        return pd.DataFrame(list(self._reports)).set_index("step")

    @property
    def metrics(self) -> Mapping[str, float]:
        """Losses and metrics at the last report."""
        return {name: value for name, value in self._reports[-1].items() if name != "step"}

    def __repr__(self) -> str:
        return f"<TrainedRun of {self.model!r}>"


def train(
    space: Space,
    data: "ArrayLike | DatasetConfig | str | None" = None,
    labels: "ArrayLike | None" = None,
    *,
    params: Mapping[str, Any] | None = None,
    steps: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    home: str | Path | None = None,
    on_report: "Callable[[Progress], None] | None" = None,
    view: View | None = None,
    stop: Stop | None = None,
) -> TrainedRun:
    """Train one model in this process, without Ray: for debugging, and for hyperparameters that are known.

    Args:
        space: a loaded space, a YAML file, or a mapping of the same form; its first ``start_from`` point is taken.
        data: as for :func:`eig_tune.search`.
        labels: as for :func:`eig_tune.search`.
        params: hyperparameters and other fields by their flat names, such as ``{"lambda_2": 10.0, "seed": 1}``.
        steps: optimisation steps, in place of ``train.steps``.
        out: a folder for metrics, the newest checkpoint and pictures.
        resume: go on from the checkpoint in ``out``.
        home: folder with the evaluation classifiers; EIG_TUNE_HOME, or ``eig-runs``.
        on_report: called at every report.
        view: as for :func:`eig_tune.search`.
        stop: as for :func:`eig_tune.search`.

    Returns:
        The trained model and its learning curves.

    Raises:
        ConfigError: something in the space or in ``params`` is wrong; every problem is reported.
        DataError: the images cannot be had.
        EigTuneError: ``out`` holds a run that is not to be resumed, or cannot be written.
        KeyboardInterrupt: it was interrupted; ``resume`` goes on from the checkpoint in ``out``, of which there is a
            new one at the first report after 30 s, or from the beginning where there is none yet.

    Example:
        >>> run = eig_tune.train("search_spaces/digits.yaml", params={"lambda_2": 10.0}, steps=500)
        >>> run.metrics["nmi"], run.model.predict(images)
    """
    from eig_tune.config.unused import find_unused_in_run
    from eig_tune.workflows.prepare import prepare_classifier, prepare_images, warn_of_unused
    from eig_tune.workflows.train import check_out, single_config

    overrides = {} if steps is None else {"train": {"steps": steps}}
    spec, arrays = with_data(resolve(space, overrides, searching=False), data, labels)
    config = single_config(spec, params or {})
    have_a_home()
    place, folder = writable_home(home_at(home).path), None if out is None else Path(out)
    if folder is not None:
        check_out(folder, resume)
    with attended(view, None, stop) as (shown, asked_to_stop):
        warn_of_unused(find_unused_in_run(spec, config, params or {}))
        images = prepare_images(spec.of_run(config), place, shown, arrays)
        trial_data = prepare_classifier(spec, images, place, shown, asked_to_stop.check)
        return _run(config, trial_data, folder, on_report)


def _run(
    config: "TrainConfig", data: "TrialData", out: Path | None, on_report: "Callable[[Progress], None] | None"
) -> TrainedRun:
    from eig_tune.training.loop import read_model
    from eig_tune.workflows.train import newest_checkpoint, read_metrics, run_single

    reports, last = list[dict[str, Any]](), None
    for last in run_single(config, data, out):
        logger.info("%s", _in_words(last, config.train.steps))
        reports.append({"step": last.step, **last.metrics()})
        if on_report is not None:
            on_report(last)
    if out is not None:  # what an earlier process has trained is there as well
        checkpoint = newest_checkpoint(out)
        assert checkpoint is not None, "a run ends with a checkpoint"
        return TrainedRun(TrainedModel(*read_model(checkpoint)), read_metrics(out))
    assert last is not None, "a run ends with a report"
    with TemporaryDirectory() as folder:
        last.save(Path(folder))
        return TrainedRun(TrainedModel(*read_model(Path(folder))), reports)


def _in_words(progress: "Progress", steps: int) -> str:
    from eig_tune.evaluation.registry import shown_metrics

    reached = progress.evaluation.metrics
    metrics = " ".join(f"{name}={reached[name]:.3f}" for name in shown_metrics() if name in reached)
    return f"step {progress.step:,}/{steps:,}: {metrics}"
