"""The description of a parent run in MLflow, a search's, a comparison's or that of ``suggest-k``: what it has come to.

Descriptions are Markdown. MLflow's UI shows every newline inside a paragraph, so a paragraph is one line here.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

from eig_tune.config.space import SearchSpec
from eig_tune.evaluation.registry import are_of_labels
from eig_tune.hpo.candidates import Candidate
from eig_tune.hpo.objectives import losses_of, on_front
from eig_tune.hpo.selection import choose
from eig_tune.hpo.trial import Trial
from eig_tune.reports.animation import ANIMATION
from eig_tune.reports.categories import (
    CATEGORIES_JSON,
    CATEGORIES_PICTURE,
    NOT_KNOWN,
    Category,
    empty_in_words,
    has_classes,
    table_of,
)
from eig_tune.reports.comparison import Row, markdown
from eig_tune.reports.disagreement import disagreement_of
from eig_tune.reports.markdown import Artifacts, apart, code, fitted, linked, picture, table
from eig_tune.reports.phrases import (
    chosen_in_words,
    confirmation_in_words,
    constraints_in_words,
    count_outcomes,
    found_and_confirmed,
    front_in_words,
    second_seeds_in_words,
    selection_bias_in_words,
    short,
    values_in_words,
)
from eig_tune.reports.plots import FRONT, RUNGS
from eig_tune.reports.search_page import PAGE
from eig_tune.reports.suggestion import PICTURE, Suggestion
from eig_tune.reports.suggestion import markdown as suggestion_table

_MOST_ROWS = 10  # of a table
_MOST_CHARACTERS = 2000  # about trials that ended early


def describe_search(
    spec: SearchSpec,
    trials: Sequence[Trial],
    finished: Sequence[Candidate],
    pictures: Collection[str],
    artifacts: Artifacts,
    categories: Sequence[Category] = (),
    samples: Collection[str] = (),
    trials_page: str = "",
) -> str:
    """How many trials and what became of them, the best one with its samples and categories, what was confirmed, the
    front, and the pictures.

    Args:
        spec: the space.
        trials: all trials.
        finished: the finished ones, with what their parameters have reached on other seeds.
        pictures: names of pictures among the artifacts.
        artifacts: knows their addresses.
        categories: of the best trial.
        samples: names of pictures of the best trial among the artifacts.
        trials_page: the page that shows all trials as a table.
    """
    steps = sum(trial.last.step for trial in trials if trial.last)
    table_of_trials = f" [All trials as a table]({trials_page})." if trials_page else ""
    ended = f"**{len(trials)} trials: {count_outcomes(trials)}**, {steps:,} steps of training in all."
    parts = [(0, ended + table_of_trials)]
    if finished:
        parts.append((0, _best(spec, finished)))
        parts += [(0, _samples(samples, artifacts))]
    if finished and spec.constraints:
        parts.append((2, _constraints(spec, finished)))
    if categories:
        parts += [(1, _categories(categories, artifacts)), (3, _not_known(categories))]
    if any(trial.second or trial.confirmation for trial in finished):
        parts.append((2, _confirmed(spec, finished)))
    if finished and len(spec.objectives) > 1:
        parts.append((4, _front(spec, [candidate.trial for candidate in finished])))
    if early := [trial for of in ("failed", "collapsed", "stopped") for trial in trials if trial.status == of]:
        parts.append((6, _ended_early(early)))
    return fitted([*parts, (5, _shown(pictures, artifacts))])


def describe_comparison(rows: Sequence[Row], artifacts: Artifacts) -> str:
    """The table and where its pictures are."""
    return f"{apart(markdown(rows))}\n![methods]({artifacts.address('methods.png')})\n"


def describe_suggestion(suggestion: Suggestion, artifacts: Artifacts) -> str:
    """The table, what is recommended, and the curve."""
    return f"{apart(suggestion_table(suggestion))}\n![agreement]({artifacts.address(PICTURE)})\n"


def _best(spec: SearchSpec, finished: Sequence[Candidate]) -> str:
    """The trial that ``eig-tune best`` chooses by default."""
    chosen = choose(finished, spec.objectives, spec.constraints)
    best = chosen.trial
    if confirmed := chosen.confirmed:
        reached_in_words = found_and_confirmed(_judged(spec), chosen.found, confirmed, chosen.confirmed_deviations)
    else:
        reached_in_words = values_in_words(_judged(spec), chosen.found)
    why = chosen_in_words(finished, chosen, spec.objectives, spec.constraints)
    params = {name: short(value) for name, value in best.params.items()}
    problem = disagreement_of(chosen, spec.objectives, spec.constraints)
    warning = f"\n\n**Warning**: {problem}." if problem else ""
    return f"**Trial {best.number}**, {why}: **{reached_in_words}**.{warning}\n\n{table(params, [params])}"


def _samples(names: Collection[str], artifacts: Artifacts) -> str:
    """The best trial's samples, and a link to how they emerged."""
    shown = [picture(name, artifacts) for name in names if name != ANIMATION]
    if ANIMATION in names:
        shown.append(f"[How these samples emerged]({artifacts.page(ANIMATION)})")
    return "\n\n".join(shown)


def _judged(spec: SearchSpec) -> list[str]:
    """What trials are chosen by: the objectives, then what else the constraints are about."""
    return list(dict.fromkeys([*spec.objectives, *spec.constraints]))


def _constraints(spec: SearchSpec, finished: Sequence[Candidate]) -> str:
    lines = constraints_in_words(finished, spec.constraints)
    return "### Constraints\n\n" + "\n".join(f"- {line}" for line in lines)


def _categories(categories: Sequence[Category], artifacts: Artifacts) -> str:
    """The picture of the best trial's categories, then a table of them."""
    rows = table_of(categories)
    more = f"\n\n… and {len(rows) - _MOST_ROWS} more in the trial's {CATEGORIES_JSON}" if len(rows) > _MOST_ROWS else ""
    empty = empty_in_words(categories)
    shown = [picture(CATEGORIES_PICTURE, artifacts), table(rows[0], rows[:_MOST_ROWS]) + more]
    return "\n\n".join(filter(None, ["### Its categories", *shown, empty]))


def _not_known(categories: Sequence[Category]) -> str:
    """What cannot be known without labels; nothing where there are some."""
    if has_classes(categories):
        return ""
    return "What no number here can tell:\n\n" + "\n".join(f"- {sentence}" for sentence in NOT_KNOWN)


def _confirmed(spec: SearchSpec, finished: Sequence[Candidate]) -> str:
    lines = [second_seeds_in_words(_judged(spec), finished)]
    lines += [confirmation_in_words(spec, trial) for trial in finished if trial.confirmation is not None]
    lines.append(selection_bias_in_words(spec.objectives, finished))
    items = "\n".join(f"- {line}" for line in lines if line)
    judged = any(are_of_labels(trial.confirmation.means) for trial in finished if trial.confirmation is not None)
    second = " by a second evaluation classifier" if judged else ""
    return f"### Confirmed on fresh seeds{second}\n\n{items}"


def _front(spec: SearchSpec, finished: Sequence[Trial]) -> str:
    best = on_front([_reached(trial) for trial in finished], spec.objectives, spec.constraints)
    front = [trial for trial, is_best in zip(finished, best, strict=True) if is_best]
    front.sort(key=lambda trial: losses_of(_reached(trial), spec.objectives))
    rows = [
        {
            "trial": str(trial.number),
            **{name: f"{_reached(trial)[name]:.3f}" for name in _judged(spec)},
            **{name: short(value) for name, value in trial.params.items()},
        }
        for trial in front[:_MOST_ROWS]
    ]
    more = f"\n\n… and {len(front) - _MOST_ROWS} more" if len(front) > _MOST_ROWS else ""
    title = front_in_words(map(_reached, front), spec.constraints)
    return f"### {title}\n\n{table(['trial', *_judged(spec), *spec.search], rows)}{more}"


def _ended_early(early: Sequence[Trial]) -> str:
    """Complete reasons, as many as there is room for; in code style, because a message may look like Markdown."""
    lines = [f"- trial {t.number}, {t.status}: {code(t.reason)}" for t in early]
    room = list(accumulate(map(len, lines)))
    shown = [line for line, end in zip(lines, room, strict=True) if end <= _MOST_CHARACTERS][:_MOST_ROWS]
    if len(shown) < len(lines):
        shown.append(f"- … and {len(lines) - len(shown)} more; each has its reason in its tag `stop_reason`")
    return "### Ended early\n\n" + "\n".join(shown)


def _reached(trial: Trial) -> Mapping[str, float]:
    return trial.last.metrics if trial.last is not None else {}


def _shown(pictures: Collection[str], artifacts: Artifacts) -> str:
    """The front and the learning curves as pictures, and links to all pictures."""
    if not pictures:
        return ""
    embedded = [picture(name, artifacts) for name in (FRONT, RUNGS) if name in pictures]
    return "\n\n".join(["### Pictures", *embedded, f"Among the artifacts: {linked((PAGE, *pictures), artifacts)}."])
