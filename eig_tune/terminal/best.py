"""The best trial of a search, and what its model's categories are."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eig_tune.evaluation.registry import are_of_labels, shown_metrics
from eig_tune.hpo.candidates import fresh_seeds
from eig_tune.hpo.objectives import losses_of
from eig_tune.hpo.selection import NUMBER
from eig_tune.reports.categories import (
    COLUMNS,
    NOT_KNOWN,
    Category,
    empty_in_words,
    has_classes,
    table_of,
    what_was_checked,
)
from eig_tune.reports.disagreement import disagreement_of
from eig_tune.reports.groups import GROUP_COLUMNS, Groups, group_rows, reached_in_words
from eig_tune.reports.phrases import chosen_in_words, found_and_confirmed, selection_bias_in_words, short
from eig_tune.terminal.parts import print_warning, two_columns
from eig_tune.tracking import TrackedSearch, TrackedTrial

_MOST_OTHERS = 3


def print_found(found: TrackedSearch, console: Console) -> None:
    """Which search was found, and that its experiment has others if it has."""
    console.print(f"{found.name}: {found.run}", soft_wrap=True)
    if found.others:
        count = "another search" if len(found.others) == 1 else f"{len(found.others)} other searches"
        named = "; ".join(map(str, found.others[:_MOST_OTHERS]))
        more = "; …" if len(found.others) > _MOST_OTHERS else ""
        line = f"its experiment has {count}, which --name RUN takes: {named}{more}"
        console.print(line, soft_wrap=True)


def print_best(chosen: TrackedTrial, found: TrackedSearch, by: str, console: Console) -> None:
    """The chosen trial, why it was chosen, its parameters and metrics."""
    why = "as asked for"
    if by != NUMBER:
        why = chosen_in_words(found.finished(), chosen, found.objectives, found.constraints, by)
    console.print(f"{found.name}: trial {chosen.number}, {why}", soft_wrap=True)
    for trial in found.finished(lacking_objectives=True):
        line = (
            f"trial {trial.number} is left out: MLflow has not all of its metrics; `eig-tune search --resume` adds them"
        )
        console.print(line, soft_wrap=True)
    for trial in found.finished():
        if trial.confirmation and not trial.confirmed:
            line = f"trial {trial.number} does not count as confirmed: {trial.confirmation}"
            console.print(line, soft_wrap=True)
    if (better := better_unconfirmed(found, chosen, by)) is not None:
        line = f"trial {better.number} has found {by} {better.found[by]:.3f}, but was not confirmed; --trial takes it"
        console.print(line, soft_wrap=True)
    judged = dict.fromkeys([*found.objectives, *found.constraints])
    if chosen.confirmed:
        console.print(
            f"found among {len(found.finished())} finished trials{' on 2 seeds' if chosen.second else ''}, tried again "
            f"on {fresh_seeds(chosen.runs, chosen.splits)}{_another_classifier(chosen.confirmed)}: "
            + found_and_confirmed(judged, chosen.found, chosen.confirmed, chosen.confirmed_deviations),
            highlight=False,
            soft_wrap=True,
        )
        bias = selection_bias_in_words(found.objectives, found.finished())
        console.print(bias, soft_wrap=True)
    console.print(two_columns("parameter", {name: short(v) for name, v in chosen.params.items()}))
    names = dict.fromkeys([*shown_metrics(), *judged])  # an objective may be a metric of the user's own
    shown = {name: f"{chosen.own[name]:.4f}" for name in names if name in chosen.own}
    console.print(two_columns("metric", shown))
    print_warning(disagreement_of(chosen, found.objectives, found.constraints), console)


def better_unconfirmed(found: TrackedSearch, chosen: TrackedTrial, by: str) -> TrackedTrial | None:
    """The trial that has found more in the objective ``by`` than the chosen, confirmed one has itself, and was not
    chosen from because it was not confirmed; None where there is none."""
    if by not in found.objectives or not chosen.confirmed:
        return None
    direction = {by: found.objectives[by]}
    others = [trial for trial in found.finished() if not trial.confirmed]
    best = min(others, key=lambda trial: losses_of(trial.found, direction), default=None)
    return best if best and losses_of(best.found, direction) < losses_of(chosen.found, direction) else None


def _another_classifier(metrics: Mapping[str, float]) -> str:
    return " with another evaluation classifier" if are_of_labels(metrics) else ""


def print_categories(categories: Sequence[Category], metrics: Mapping[str, float], console: Console) -> None:
    """What each category of a model is, what was checked of it and what cannot be."""
    if not categories:
        return
    rows = table_of(categories)
    table = Table(title="categories", title_justify="left", box=None, pad_edge=False)
    for column in rows[0]:
        table.add_column(column, justify="left" if column in ("shows", "looks like") else "right")
    for row in rows:
        table.add_row(*map(Text, row.values()))
    console.print(table)
    lines = [COLUMNS, *filter(None, [empty_in_words(categories)]), *what_was_checked(metrics)]
    if not has_classes(categories):
        lines += ["What no number here can tell:", *(f"- {sentence}" for sentence in NOT_KNOWN)]
    for line in lines:
        console.print(line, soft_wrap=True)


def print_groups(groups: Groups, console: Console) -> None:
    """The groups of a bundle with their shares, and what they reach where there are labels."""
    table = Table(box=None, pad_edge=False)
    for column in GROUP_COLUMNS:
        table.add_column(column, justify="left" if column == "categories" else "right")
    for row in group_rows(groups):
        table.add_row(*row)
    console.print(table)
    if groups.metrics:
        console.print(f"as groups: {reached_in_words(groups)}", soft_wrap=True)
