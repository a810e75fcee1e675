"""The finished trials of a search that are worth a look, each with what it reaches and where its model is."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eig_tune.export.listed import Listed
from eig_tune.hpo.candidates import fresh_seeds
from eig_tune.reports.phrases import with_spread
from eig_tune.tracking import TrackedSearch, TrackedTrial


def print_listed(found: TrackedSearch, listed: Sequence[Listed], console: Console) -> None:
    """One row for each trial: whether it is on the front, mean ± deviation over fresh seeds where it was confirmed and
    what it has found where not, and which MLflow run has the model that is taken home of it."""
    table = Table(title=found.name, title_justify="left", box=None, pad_edge=False)
    judged = list(dict.fromkeys([*found.objectives, *found.constraints]))
    for column in ("trial", "front", *judged, "on", "model of", "MLflow run"):
        right = column == "trial" or column in judged
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for each in listed:
        values = [_value(each.trial, name) for name in judged]
        where = ("–", "–") if each.model is None else (each.model.seed, each.model.run_id)
        front = "yes" if each.front else ""
        table.add_row(str(each.trial.number), front, *values, _judged_on(each.trial), *map(Text, where))
    console.print(table)


def _value(trial: TrackedTrial, name: str) -> str:
    if name in trial.confirmed:
        return with_spread(trial.confirmed[name], trial.confirmed_deviations.get(name))
    return f"{trial.found[name]:.3f}" if name in trial.found else "–"


def _judged_on(trial: TrackedTrial) -> str:
    if trial.confirmed:
        return fresh_seeds(trial.runs, trial.splits)
    own = "2 seeds" if trial.second else "1 seed"
    return f"{own}; confirmed: {trial.confirmation}" if trial.confirmation else own
