"""The interactive plots of a search's page, by plotly: the front, the learning curves, and those that Optuna has.

A point that stands for a trial has the trial's number as plotly's ``customdata``, by which the page finds its samples.
"""

import html
from collections.abc import Sequence
from typing import Any

from eig_tune.config.space import SearchSpec
from eig_tune.evaluation.figures import Style
from eig_tune.hpo.objectives import on_front
from eig_tune.hpo.trial import Trial
from eig_tune.reports.plots import STYLES, curves_by_outcome, drawing, finished_of, optuna_plots

_HEIGHT = "480px"
# plotly's names of matplotlib's dashes and markers
_DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
_MARKERS = {"o": "circle", "s": "square", "v": "triangle-down", "^": "triangle-up", "d": "diamond-tall", "x": "x"}
_FRONT = Style("#c0392b", 1.0, "-", "d")
_OTHERS: dict[str, Any] = {"symbol": "circle-open", "size": 9, "color": "#777777"}


def plots_as_html(trials: Sequence[Trial], spec: SearchSpec) -> list[str]:
    """Each plot for which there are enough trials as a piece of HTML, which needs plotly's script before it."""
    with drawing():
        from optuna import visualization

        drawn = [plot(visualization) for plot in optuna_plots(trials, spec).values()]
        drawn.insert(0, _curves(trials, spec))
        if len(spec.objectives) > 1 and finished_of(trials):
            drawn.insert(0, _front(trials, spec))
        return [plot.to_html(full_html=False, include_plotlyjs=False, default_height=_HEIGHT) for plot in drawn]


def plotly_script() -> str:
    """The whole of plotly, so that the page needs no network."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _front(trials: Sequence[Trial], spec: SearchSpec) -> Any:
    """Finished trials in the plane of the first two objectives, and the Pareto front; of a third one as text."""
    from plotly.graph_objects import Figure

    finished = finished_of(trials)
    metrics = [trial.last.metrics for trial in finished if trial.last is not None]
    best = on_front(metrics, spec.objectives, spec.constraints).tolist()
    first, second = list(spec.objectives)[:2]
    figure = Figure()
    for name, is_front, mode in (("finished trial", False, "markers"), ("Pareto front", True, "lines+markers")):
        shown = [(t, of) for t, of, is_best in zip(finished, metrics, best, strict=True) if is_best == is_front]
        shown.sort(key=lambda pair: pair[1][first])
        marker = _marker(_FRONT, size=11) if is_front else _OTHERS
        figure.add_scatter(
            x=[of[first] for _, of in shown],
            y=[of[second] for _, of in shown],
            customdata=[trial.number for trial, _ in shown],
            text=[_values(trial, of, spec) for trial, of in shown],
            hoverinfo="text",
            mode=mode,
            name=name,
            marker=marker,
            line_color=_FRONT.colour,
        )
    return figure.update_layout(title="Pareto front", xaxis_title=first, yaxis_title=second)


def _values(trial: Trial, metrics: Any, spec: SearchSpec) -> str:
    values = [f"{html.escape(name)} {metrics[name]:.3f}" for name in spec.objectives]
    return "<br>".join([f"trial {trial.number}", *values])


def _curves(trials: Sequence[Trial], spec: SearchSpec) -> Any:
    """Learning curves of all trials, and the rungs at which they were compared."""
    from plotly.subplots import make_subplots

    curves = curves_by_outcome(trials, spec)
    plot = make_subplots(rows=1, cols=len(curves), subplot_titles=list(curves))
    for column, (name, lines) in enumerate(curves.items(), start=1):
        for status, (steps, values) in lines.items():
            style = STYLES[status]
            shown = {"name": status, "legendgroup": status, "showlegend": column == 1 and len(steps) > 0}
            line = {"x": steps, "y": values, "mode": "lines+markers", "opacity": style.opacity}
            look = {"line": {"color": style.colour, "dash": _DASHES[style.dash]}, "marker": _marker(style, size=6)}
            labels, numbers = _labels(trials, name, status)
            plot.add_scatter(**line, **look, **shown, text=labels, customdata=numbers, row=1, col=column)
        for rung in spec.rungs():
            plot.add_vline(rung, line_dash="dot", line_width=1, row=1, col=column)
    return plot.update_layout(title="Learning curves and rungs").update_xaxes(title="step")


def _marker(style: Style, size: int) -> dict[str, Any]:
    return {"symbol": _MARKERS[style.marker], "size": size, "color": style.colour}


def _labels(trials: Sequence[Trial], name: str, status: str) -> tuple[list[str], list[int | None]]:
    """Of each point of :func:`curves_by_outcome` the label, which says at a trial's last point why it got no further,
    and the trial's number."""
    labels: list[str] = []
    numbers: list[int | None] = []
    for trial in trials:
        reports = sum(name in report.metrics for report in trial.reports.values())
        if reports and trial.outcome == status:
            label = f"trial {trial.number}"
            labels += [*[label] * (reports - 1), f"{label}: {html.escape(trial.why)}" if trial.why else label, ""]
            numbers += [*[trial.number] * reports, None]
    return labels, numbers
