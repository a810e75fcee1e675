"""How results show themselves in a notebook."""

import html
from typing import TYPE_CHECKING

from eig_tune.reports.curves import PARAM_PREFIX

if TYPE_CHECKING:
    import pandas as pd

    from eig_tune.api.best import BestTrial
    from eig_tune.api.comparing import ComparisonResult
    from eig_tune.api.result import SearchResult
    from eig_tune.api.suggesting import KSuggestion

_MOST_ROWS = 10
_DIGITS = 4


def result_page(result: "SearchResult") -> str:
    """The search's name, what became of its trials, and its Pareto front."""
    front = result.front
    judged = dict.fromkeys([*result.objectives, *result.constraints])
    columns = [*judged, *(name for name in map(str, front) if name.startswith(PARAM_PREFIX))]
    parts = [_paragraph(result.name, result.progress)]
    if len(front):
        more = f", {_MOST_ROWS} of {len(front)} trials" if len(front) > _MOST_ROWS else ""
        parts += [f"<p>Pareto front{more}:</p>", _table(front[columns].head(_MOST_ROWS))]
    return "\n".join(parts)


def best_page(best: "BestTrial") -> str:
    """Which trial it is, its hyperparameters, and what it has reached in the objectives."""
    import pandas as pd

    reached = {name: [best.found[name], best.confirmed.get(name)] for name in best.search.objectives}
    objectives = pd.DataFrame(reached, index=["found", "confirmed"]).dropna()
    params = pd.DataFrame([best.params], index=["params"])
    title = f"trial {best.number} of {best.search.name}"
    warnings = [_paragraph("Warning", sign) for sign in best.warnings]
    return "\n".join([_paragraph(title, f"the best by {best.by}"), *warnings, _table(objectives), _table(params)])


def _paragraph(title: str, text: str) -> str:
    return f"<p><b>{html.escape(title)}</b>: {html.escape(text)}</p>"


def _table(table: "pd.DataFrame") -> str:
    return str(table.to_html(float_format=lambda value: f"{value:.{_DIGITS}g}", border=0))


def comparison_page(comparison: "ComparisonResult") -> str:
    """The table of a comparison."""
    from eig_tune.reports.comparison import p_in_words, rows_of

    rows = rows_of(comparison.outcome.trials, comparison.methods)
    state = "" if comparison.complete else "not complete; compare(…, resume=True) goes on. "
    return "\n".join([_paragraph(comparison.outcome.name, state + p_in_words(rows)), _table(comparison.table)])


def suggestion_page(suggestion: "KSuggestion") -> str:
    """The table of ``suggest_k``, and the K that it recommends."""
    from eig_tune.reports.suggestion import in_words

    state = "" if suggestion.complete else "not complete; suggest_k(…, resume=True) goes on. "
    words = " ".join(in_words(suggestion.outcome.suggestion))
    return "\n".join([_paragraph(suggestion.outcome.name, state + words), _table(suggestion.table)])
