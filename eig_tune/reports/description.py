"""What a search or a comparison has come to: the note on its run in MLflow, and the words that the terminal shares.

Notes are Markdown. MLflow's UI shows every newline inside a paragraph, so a paragraph is one line here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Protocol, get_args

from eig_tune.config.space import SearchSpec
from eig_tune.hpo.objectives import losses_of, on_front
from eig_tune.hpo.selection import KNEE, Confirmed, choose, eligible, judged, selection_bias
from eig_tune.hpo.trial import Status, Trial
from eig_tune.reports.comparison import Row, markdown
from eig_tune.reports.plots import FRONT, PAGE, RUNGS

_KNEE_IN_WORDS = "the knee of the front (nearest to the best of every objective)"
_MOST_ROWS = 10  # of the front: MLflow keeps 8,000 characters of a note
_MOST_CHARACTERS = 2000  # about trials that ended early


class Artifacts(Protocol):
    """Where the UI has the artifacts of the run that the note is on: a file itself, and the page that shows it."""

    def address(self, artifact: str) -> str: ...

    def page(self, artifact: str) -> str: ...


def search_note(
    spec: SearchSpec,
    trials: Sequence[Trial],
    confirmed: Sequence[Confirmed],
    pictures: Collection[str],
    artifacts: Artifacts,
) -> str:
    """How many trials and what became of them, the best one, what was confirmed, the front, and the pictures."""
    steps = sum(trial.last.step for trial in trials if trial.last)
    parts = [f"**{len(trials)} trials: {counted(trials)}**, {steps:,} steps of training in all."]
    finished = [trial for trial in trials if trial.status == "finished"]
    if finished:
        parts.append(_best(spec, trials, confirmed))
    if confirmed:
        parts.append(_confirmed(spec, trials, confirmed))
    if finished and len(spec.objectives) > 1:
        parts.append(_front(spec, finished))
    if early := [trial for of in ("failed", "collapsed", "stopped") for trial in trials if trial.status == of]:
        parts.append(_ended_early(early))
    return "\n\n".join([*parts, *_shown(pictures, artifacts)]) + "\n"


def comparison_note(rows: Sequence[Row], artifacts: Artifacts) -> str:
    """The table and where its pictures are."""
    return f"{_apart(markdown(rows))}\n![methods]({artifacts.address('methods.png')})\n"


def counted(trials: Iterable[Trial]) -> str:
    """``4 finished, 10 stopped, 2 collapsed``, of a search that runs no more."""
    statuses = [trial.outcome for trial in trials]
    told = ("interrupted", *get_args(Status))
    return ", ".join(f"{statuses.count(status)} {status}" for status in told if status in statuses)


def found_and_confirmed(
    objectives: Iterable[str], found: Mapping[str, float], means: Mapping[str, float], deviations: Mapping[str, float]
) -> str:
    """``nmi found 0.950, confirmed 0.931 ± 0.012; …``"""
    return "; ".join(
        f"{name} found {found[name]:.3f}, confirmed {means[name]:.3f} ± {deviations[name]:.3f}"
        for name in objectives
        if name in found and name in means
    )


def optimism_in_words(objectives: Iterable[str], confirmed: Sequence[Confirmed], trials: Mapping[int, Trial]) -> str:
    """How much better each objective was found than confirmed, over the complete confirmations; empty without any."""
    complete = [reached for reached in confirmed if reached.complete]
    if not complete:
        return ""
    told = ", ".join(f"{name} {selection_bias(complete, trials, name):+.3f}" for name in objectives)
    return f"optimism of the search (found − confirmed): {told}"


def confirmation_in_words(spec: SearchSpec, reached: Confirmed, trials: Mapping[int, Trial]) -> str:
    """What one trial has reached on fresh seeds, and why that does not count where it does not."""
    told = found_and_confirmed(spec.objectives, _reached(trials[reached.trial]), reached.means, reached.deviations)
    if reached.complete:
        return f"trial {reached.trial}, {reached.seeds} fresh seeds: {told}"
    return "; ".join(filter(None, [f"trial {reached.trial}, {reached}, so it does not count as confirmed", told]))


def criterion(objectives: Mapping[str, str], by: str = KNEE) -> str:
    """What a choice goes by; of a single objective's values the knee is the best."""
    if by != KNEE:
        return by
    return _KNEE_IN_WORDS if len(objectives) > 1 else next(iter(objectives))


def chosen_in_words(spec: SearchSpec, trials: Sequence[Trial], confirmed: Sequence[Confirmed]) -> str:
    """``the best of 3 confirmed trials by the knee of the front …``"""
    pool = eligible(judged(trials, confirmed))
    kind = "confirmed" if any(trial.confirmed for trial in pool) else "finished"
    return (
        f"the best of {len(pool)} {kind} trials by {criterion(spec.objectives)}"
        if len(pool) > 1
        else f"the only {kind} trial"
    )


def short(value: Any) -> str:
    """A value in four digits at most."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _best(spec: SearchSpec, trials: Sequence[Trial], confirmed: Sequence[Confirmed]) -> str:
    """The trial that ``eig-tune best`` chooses unless it is told otherwise."""
    chosen = choose(judged(trials, confirmed), spec.objectives)
    best, reached = chosen.trial, chosen.confirmation
    if reached is not None and reached.complete:
        told = found_and_confirmed(spec.objectives, chosen.found, reached.means, reached.deviations)
    else:
        told = ", ".join(f"{name} {chosen.found[name]:.3f}" for name in spec.objectives)
    why = chosen_in_words(spec, trials, confirmed)
    values = {name: short(value) for name, value in best.params.items()}
    return f"**Trial {best.number}**, {why}: **{told}**.\n\n{_table(values, [values])}"


def _confirmed(spec: SearchSpec, trials: Sequence[Trial], confirmed: Sequence[Confirmed]) -> str:
    by_number = {trial.number: trial for trial in trials}
    lines = [confirmation_in_words(spec, reached, by_number) for reached in confirmed]
    told = filter(None, [*lines, optimism_in_words(spec.objectives, confirmed, by_number)])
    return "### Confirmed on fresh seeds by a second evaluation classifier\n\n" + "\n".join(
        f"- {line}" for line in told
    )


def _front(spec: SearchSpec, finished: Sequence[Trial]) -> str:
    best = on_front([_reached(trial) for trial in finished], spec.objectives)
    front = [trial for trial, is_best in zip(finished, best, strict=True) if is_best]
    front.sort(key=lambda trial: losses_of(_reached(trial), spec.objectives))
    rows = [
        {
            "trial": str(trial.number),
            **{name: f"{_reached(trial)[name]:.3f}" for name in spec.objectives},
            **{name: short(value) for name, value in trial.params.items()},
        }
        for trial in front[:_MOST_ROWS]
    ]
    more = f"\n\n… and {len(front) - _MOST_ROWS} more" if len(front) > _MOST_ROWS else ""
    return f"### Pareto front\n\n{_table(['trial', *spec.objectives, *spec.search], rows)}{more}"


def _ended_early(early: Sequence[Trial]) -> str:
    """Whole reasons, as many as there is room for; in code style, since a message may look like Markdown."""
    lines = [f"- trial {t.number}, {t.status}: `{t.reason.replace('`', chr(39))}`" for t in early]
    room = list(accumulate(map(len, lines)))
    shown = [line for line, end in zip(lines, room, strict=True) if end <= _MOST_CHARACTERS][:_MOST_ROWS]
    if len(shown) < len(lines):
        shown.append(f"- … and {len(lines) - len(shown)} more; each has its reason in its tag `stop_reason`")
    return "### Ended early\n\n" + "\n".join(shown)


def _reached(trial: Trial) -> Mapping[str, float]:
    return trial.last.metrics if trial.last is not None else {}


def _table(columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> str:
    names = list(columns)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return _apart("\n".join(lines + ["| " + " | ".join(row.get(name, "–") for name in names) + " |" for row in rows]))


def _apart(table: str) -> str:
    """The UI sets the columns of a table side by side without a gap."""
    return table.replace(" |", "&emsp;|")


def _shown(pictures: Collection[str], artifacts: Artifacts) -> list[str]:
    """The two pictures that say most, and links to all."""
    if not pictures:
        return []
    embedded = [f"![{name}]({artifacts.address(name)})" for name in (FRONT, RUNGS) if name in pictures]
    links = [f"[{name}]({artifacts.page(name)})" for name in (PAGE, *pictures)]
    return ["### Pictures", *embedded, f"Among the artifacts: {', '.join(links)}."]
