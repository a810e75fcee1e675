"""Plots of a search, as pictures and on one interactive page: Optuna's own where it has them.

Both of Optuna's drawing libraries are slow to load, so they are loaded where something is drawn: in the thread that
writes MLflow.

Shape suffixes: N trials, M objectives.
"""

import html
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
from eig_tune.hpo.objectives import on_front
from eig_tune.hpo.trial import Trial
from eig_tune.reports.optuna_study import study_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna import Study

PAGE = "search.html"
FRONT, RUNGS, PARALLEL = "pareto_front.png", "rungs.png", "parallel_coordinates.png"
_ENOUGH = 2  # finished trials; with fewer there is no history and nothing that could be important
_NOTEBOOK_BACKENDS = ("inline", "ipympl", "nbagg", "widget")
_SIZE, _PAGE_HEIGHT = (6.4, 4.4), "480px"

# Colour and opacity by outcome, drawn in this order, so that the trials that got furthest lie on top.
_STYLES = {
    "stopped": ("#999999", 0.35),
    "failed": ("#333333", 0.5),
    "collapsed": ("#c2408c", 0.5),
    "paused": ("#8fbfb8", 0.5),
    "interrupted": ("#2a9d8f", 0.8),
    "finished": ("#2a6fbb", 0.9),
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
    if len(spec.objectives) > 1 and _finished(trials):
        drawn[FRONT] = partial(_front, trials, spec)
    if any(trial.reports for trial in trials):
        drawn[RUNGS] = lambda: figures.rungs_figure(_curves(trials, spec), spec.rungs(), _STYLES)
    wide = (1.5 * (len(spec.objectives) + len(spec.search)) + 1.5, 4.4)
    for name, plot in _optuna_plots(trials, spec).items():
        drawn[name] = partial(_still, plot, wide if name == PARALLEL else _SIZE)
    return drawn


def write_pictures(trials: Sequence[Trial], spec: SearchSpec, folder: Path) -> None:
    """Write every picture of :func:`pictures` into ``folder``."""
    with _drawing():
        for name, draw in pictures(trials, spec).items():
            figures.save_figure(draw(), folder / name)


def write_page(trials: Sequence[Trial], spec: SearchSpec, title: str, folder: Path) -> None:
    """Write ``search.html``, which loads nothing from other addresses; nothing where no trial has reported."""
    if not any(trial.reports for trial in trials):
        return
    with _drawing():
        from optuna import visualization
        from plotly.offline import get_plotlyjs

        drawn = [plot(visualization) for plot in _optuna_plots(trials, spec).values()]
        drawn.insert(0, _interactive_rungs(trials, spec))
        if 2 <= len(spec.objectives) <= 3 and _finished(trials):
            drawn.insert(0, visualization.plot_pareto_front(study_of(trials, spec, spec.objectives)))
        parts = [plot.to_html(full_html=False, include_plotlyjs=False, default_height=_PAGE_HEIGHT) for plot in drawn]
        head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><script>{get_plotlyjs()}</script>'
    page = f"<!doctype html>\n<html><head>{head}</head><body>{''.join(parts)}</body></html>\n"
    (folder / PAGE).write_text(page, encoding="utf-8")


def _finished(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.status == "finished" and trial.last is not None]


def _front(trials: Sequence[Trial], spec: SearchSpec) -> "Figure":
    finished, names = _finished(trials), list(spec.objectives)
    metrics = [trial.last.metrics for trial in finished if trial.last is not None]
    points_NM = np.array([[of[name] for name in names[:2]] for of in metrics])
    labels = [str(trial.number) for trial in finished]
    return figures.front_figure(points_NM, on_front(metrics, spec.objectives, spec.constraints), labels, names)


def _optuna_plots(trials: Sequence[Trial], spec: SearchSpec) -> dict[str, Callable[[ModuleType], Any]]:
    """File name to the function that draws it with ``optuna.visualization``, or with its counterpart for matplotlib."""
    if len(_finished(trials)) < _ENOUGH:
        return {}
    plots: dict[str, Callable[[ModuleType], Any]] = {}
    for name in spec.objectives:
        plots[history_picture(name)] = partial(_history, trials, spec, name)
        plots[importance_picture(name)] = partial(_importances, trials, spec, name)
    return {**plots, PARALLEL: partial(_parallel_coordinates, trials, spec)}


def _history(trials: Sequence[Trial], spec: SearchSpec, name: str, module: ModuleType) -> Any:
    return module.plot_optimization_history(_alone(trials, spec, name), target_name=name)


def _importances(trials: Sequence[Trial], spec: SearchSpec, name: str, module: ModuleType) -> Any:
    return module.plot_param_importances(_alone(trials, spec, name))


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


def _curves(trials: Sequence[Trial], spec: SearchSpec) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """Objective to outcome to (steps, values) of all trials of that outcome, separated by NaN.

    There is one line for each outcome, because ten thousand lines could not be drawn.
    """
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for name in spec.objectives:
        curves[name] = {status: ([], []) for status in _STYLES}
        for trial in trials:
            if reports := [report for report in trial.reports.values() if name in report.metrics]:
                steps, values = curves[name][trial.outcome]
                steps += [*(report.step for report in reports), np.nan]
                values += [*(report.metrics[name] for report in reports), np.nan]
    return curves


def _interactive_rungs(trials: Sequence[Trial], spec: SearchSpec) -> Any:
    from plotly.subplots import make_subplots

    curves = _curves(trials, spec)
    plot = make_subplots(rows=1, cols=len(curves), subplot_titles=list(curves))
    for column, (name, lines) in enumerate(curves.items(), start=1):
        for status, (steps, values) in lines.items():
            colour, opacity = _STYLES[status]
            shown = {"name": status, "legendgroup": status, "showlegend": column == 1 and len(steps) > 0}
            line = {"x": steps, "y": values, "mode": "lines+markers", "opacity": opacity, "line_color": colour}
            plot.add_scatter(**line, **shown, text=_labels(trials, name, status), row=1, col=column)
        for rung in spec.rungs():
            plot.add_vline(rung, line_dash="dot", line_width=1, row=1, col=column)
    return plot.update_layout(title="Learning curves and rungs").update_xaxes(title="step")


def _labels(trials: Sequence[Trial], name: str, status: str) -> list[str]:
    """The label of each point of :func:`_curves`: its trial, and at the trial's last point why it got no further."""
    labels: list[str] = []
    for trial in trials:
        reports = sum(name in report.metrics for report in trial.reports.values())
        if reports and trial.outcome == status:
            label = f"trial {trial.number}"
            labels += [*[label] * (reports - 1), f"{label}: {html.escape(trial.why)}" if trial.why else label, ""]
    return labels


def draw(picture: str, trials: Sequence[Trial], spec: SearchSpec) -> "Figure | None":
    """One of :func:`pictures` by its file name; None where there are not trials enough."""
    with _drawing():
        drawn = pictures(trials, spec)
        return drawn[picture]() if picture in drawn else None


@contextmanager
def _drawing() -> Iterator[None]:
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
