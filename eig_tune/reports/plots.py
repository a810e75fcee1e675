"""Plots of a search as pictures: Optuna's own where it has them.

Both of Optuna's drawing libraries are slow to load, so they are loaded where something is drawn: in the thread that
writes MLflow.

Shape suffixes: N trials, M objectives.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from eig_tune.config.space import SearchSpec
from eig_tune.evaluation import figures
from eig_tune.evaluation.figures import Style
from eig_tune.hpo.objectives import on_front
from eig_tune.hpo.trial import Trial
from eig_tune.reports.optuna_study import study_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna import Study

FRONT, RUNGS, PARALLEL = "pareto_front.png", "rungs.png", "parallel_coordinates.png"
_ENOUGH = 2  # finished trials; with fewer there is no history
ENOUGH_FOR_IMPORTANCE = 20  # with fewer, fANOVA's trees tell hardly more than chance
_NOTEBOOK_BACKENDS = ("inline", "ipympl", "nbagg", "widget")
_SIZE = (6.4, 4.4)
Curves = dict[str, dict[str, tuple[list[float], list[float]]]]  # objective to outcome to steps and values

# By outcome, drawn in this order, so that the trials that got furthest lie on top.
STYLES = {
    "stopped": Style("#999999", 0.5, ":", "x"),
    "failed": Style("#333333", 0.5, "-.", "s"),
    "collapsed": Style("#c2408c", 0.5, "--", "v"),
    "paused": Style("#4a8f86", 0.6, ":", "d"),
    "interrupted": Style("#2a9d8f", 0.8, "--", "^"),
    "finished": Style("#2a6fbb", 0.9, "-", "o"),
}


def history_picture(objective: str) -> str:
    """File name of the picture of an objective's best value so far."""
    return f"history_{objective}.png"


def importance_picture(objective: str) -> str:
    """File name of the picture of how much each hyperparameter matters for an objective."""
    return f"importances_{objective}.png"


def pictures(trials: Sequence[Trial], spec: SearchSpec) -> dict[str, "Callable[[], Figure]"]:
    """File name to the function that draws it, of every picture for which there are enough trials."""
    drawn: dict[str, Callable[[], Figure]] = {}
    if len(spec.objectives) > 1 and finished_of(trials):
        drawn[FRONT] = partial(_front, trials, spec)
    if any(trial.reports for trial in trials):
        drawn[RUNGS] = lambda: figures.rungs_figure(curves_by_outcome(trials, spec), spec.rungs(), STYLES)
    wide = (1.5 * (len(spec.objectives) + len(spec.search)) + 1.5, 4.4)
    for name, plot in optuna_plots(trials, spec).items():
        drawn[name] = partial(_still, plot, wide if name == PARALLEL else _SIZE)
    return drawn


def write_pictures(trials: Sequence[Trial], spec: SearchSpec, folder: Path) -> None:
    """Write every picture of :func:`pictures` into ``folder``."""
    with drawing():
        for name, draw in pictures(trials, spec).items():
            figures.save_figure(draw(), folder / name)


def finished_of(trials: Sequence[Trial]) -> list[Trial]:
    """Trials that were trained to the full budget."""
    return [trial for trial in trials if trial.status == "finished" and trial.last is not None]


def _front(trials: Sequence[Trial], spec: SearchSpec) -> "Figure":
    finished, names = finished_of(trials), list(spec.objectives)
    metrics = [trial.last.metrics for trial in finished if trial.last is not None]
    points_NM = np.array([[of[name] for name in names[:2]] for of in metrics])
    labels = [str(trial.number) for trial in finished]
    return figures.front_figure(points_NM, on_front(metrics, spec.objectives, spec.constraints), labels, names)


def optuna_plots(trials: Sequence[Trial], spec: SearchSpec) -> dict[str, Callable[[ModuleType], Any]]:
    """File name to the function that draws it with ``optuna.visualization``, or with its counterpart for matplotlib."""
    finished = len(finished_of(trials))
    if finished < _ENOUGH:
        return {}
    plots: dict[str, Callable[[ModuleType], Any]] = {}
    for name in spec.objectives:
        plots[history_picture(name)] = partial(_history, trials, spec, name)
        if finished >= ENOUGH_FOR_IMPORTANCE:
            plots[importance_picture(name)] = partial(_importances, trials, spec, name)
    return {**plots, PARALLEL: partial(_parallel_coordinates, trials, spec)}


def _history(trials: Sequence[Trial], spec: SearchSpec, name: str, module: ModuleType) -> Any:
    return module.plot_optimization_history(_alone(trials, spec, name), target_name=name)


def _importances(trials: Sequence[Trial], spec: SearchSpec, name: str, module: ModuleType) -> Any:
    plot = module.plot_param_importances(_alone(trials, spec, name))
    title = f"Importance of each hyperparameter for {name}"
    if hasattr(plot, "set_title"):  # matplotlib's
        plot.set_title(title)
    else:  # plotly's
        plot.update_layout(title=title)
    return plot


def _parallel_coordinates(trials: Sequence[Trial], spec: SearchSpec, module: ModuleType) -> Any:
    return module.plot_parallel_coordinate(
        study_of(trials, spec, spec.objectives), target_name=next(iter(spec.objectives))
    )


def _alone(trials: Sequence[Trial], spec: SearchSpec, name: str) -> "Study":
    """The search as a study of the one objective ``name``.

    For an objective among several, Optuna draws no best value so far and assumes that it is minimised.
    """
    return study_of(trials, spec, {name: spec.objectives[name]})


def _still(plot: Callable[[ModuleType], Any], size: tuple[float, float]) -> "Figure":
    from matplotlib import pyplot, rc_context
    from optuna.visualization import matplotlib

    # Optuna changes the style globally, so the change is reverted.
    with rc_context({"figure.constrained_layout.use": True, "figure.figsize": size}):
        figure: Figure = plot(matplotlib).figure
    pyplot.close(figure)  # removes it from pyplot's list of open figures; it can still be saved
    return figure


def curves_by_outcome(trials: Sequence[Trial], spec: SearchSpec) -> Curves:
    """Objective to outcome to (steps, values) of all trials of that outcome, separated by NaN.

    There is one line for each outcome, because ten thousand lines could not be drawn.
    """
    curves: Curves = {}
    for name in spec.objectives:
        curves[name] = {status: ([], []) for status in STYLES}
        for trial in trials:
            if reports := [report for report in trial.reports.values() if name in report.metrics]:
                steps, values = curves[name][trial.outcome]
                steps += [*(report.step for report in reports), np.nan]
                values += [*(report.metrics[name] for report in reports), np.nan]
    return curves


def draw(picture: str, trials: Sequence[Trial], spec: SearchSpec) -> "Figure | None":
    """One of :func:`pictures` by its file name; None where there are not trials enough."""
    with drawing():
        drawn = pictures(trials, spec)
        return drawn[picture]() if picture in drawn else None


@contextmanager
def drawing() -> Iterator[None]:
    """Draw without a window, and without Optuna's warnings that its plots are experimental and its trials few.

    The backend of a notebook, in which figures appear below the cell, is set again afterwards.
    """
    import matplotlib

    before = matplotlib.get_backend(auto_select=False) or ""
    in_notebook = any(name in before for name in _NOTEBOOK_BACKENDS)
    if in_notebook:
        from matplotlib import pyplot

        # It enables figures in the notebook only when it is loaded as the one that is used.
        pyplot.switch_backend(before)
    matplotlib.use("Agg")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if in_notebook:
            matplotlib.use(before)
