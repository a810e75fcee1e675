"""The page ``search.html``: what a search was, what it has come to and how it looks, in one file that needs no network.

Its texts are those of the terminal and of MLflow; its plots answer to the mouse, and show the samples of the trial that
is pointed at.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image

from eig_tune import strict_json
from eig_tune.config.space import SearchSpec
from eig_tune.hpo.candidates import Candidate
from eig_tune.hpo.objectives import front_of, losses_of
from eig_tune.hpo.selection import choose
from eig_tune.hpo.trial import Trial
from eig_tune.reports import page_template
from eig_tune.reports.disagreement import disagreement_of
from eig_tune.reports.page_plots import plotly_script
from eig_tune.reports.phrases import (
    chosen_in_words,
    confirmation_in_words,
    constraints_in_words,
    count_outcomes,
    found_and_confirmed,
    second_seeds_in_words,
    selection_bias_in_words,
    short,
    values_in_words,
    with_spread,
)
from eig_tune.reports.plots import ENOUGH_FOR_IMPORTANCE

PAGE = "search.html"
MOST_GRIDS = 12
_MOST_ROWS = 2000
_THUMBNAIL = 300  # pixels of the longer side


@dataclass(frozen=True)
class SearchPage:
    """What the page shows.

    Attributes:
        name: of the search.
        data: what it was searched on, in words.
        spec: the space.
        trials: all of them.
        finished: the finished ones, with what their parameters have reached on other seeds.
        plots: each as HTML, which needs plotly's script.
        samples: PNG files of the samples of trials, by number.
        animation: a GIF of how the best trial's samples emerged; None where there are none.
    """

    name: str
    data: str
    spec: SearchSpec
    trials: Sequence[Trial]
    finished: Sequence[Candidate] = ()
    plots: Sequence[str] = ()
    samples: Mapping[int, bytes] = field(default_factory=dict)
    animation: bytes | None = None

    def write(self, folder: Path) -> None:
        """Write ``search.html`` into ``folder``."""
        (folder / PAGE).write_text(self.html(), encoding="utf-8")

    def html(self) -> str:
        """The page."""
        thumbnails = {number: _thumbnail(png) for number, png in self.samples.items()}
        parts = [
            f'<p class="quiet">{escape(self.data)}</p>',
            *self._result(),
            *self._animation(),
            *self._grids(),
            "<h2>Plots</h2>",
            *self.plots,
            *self._withheld(),
            *self._table(),
        ]
        return page_template.page(self.name, parts, strict_json.dumps(thumbnails), plotly_script())

    @property
    def judged(self) -> list[str]:
        """What trials are chosen by: the objectives, then what else the constraints are about."""
        return list(dict.fromkeys([*self.spec.objectives, *self.spec.constraints]))

    def front(self) -> list[Candidate]:
        """The Pareto front as it was found, the best in the first objective first."""
        front = front_of(self.finished, _reached, self.spec.objectives, self.spec.constraints)
        return sorted(front, key=lambda each: losses_of(_reached(each), self.spec.objectives))

    def _result(self) -> Iterable[str]:
        steps = sum(trial.last.step for trial in self.trials if trial.last)
        counts = count_outcomes(self.trials) or "none"
        yield f"<h2>Result</h2><p><b>{len(self.trials)} trials: {escape(counts)}</b>, {steps:,} steps of training.</p>"
        if not self.finished:
            yield "<p>No trial has finished.</p>"
            return
        spec, best = self.spec, choose(self.finished, self.spec.objectives, self.spec.constraints)
        why = chosen_in_words(self.finished, best, spec.objectives, spec.constraints)
        values = values_in_words(self.judged, best.found)
        if best.confirmed:
            values = found_and_confirmed(self.judged, best.found, best.confirmed, best.confirmed_deviations)
        params = ", ".join(f"{name} {short(value)}" for name, value in best.trial.params.items())
        yield f"<p><b>Trial {best.number}</b>, {escape(why)}: <b>{escape(values)}</b>.<br>{escape(params)}</p>"
        if problem := disagreement_of(best, spec.objectives, spec.constraints):
            yield f'<p class="warning"><b>Warning</b>: {escape(str(problem))}.</p>'
        lines = constraints_in_words(self.finished, spec.constraints)
        lines.append(second_seeds_in_words(self.judged, self.finished))
        lines += [confirmation_in_words(spec, each) for each in self.finished if each.confirmation is not None]
        lines.append(selection_bias_in_words(spec.objectives, self.finished))
        if shown := [f"<li>{escape(line)}</li>" for line in lines if line]:
            yield f"<ul>{''.join(shown)}</ul>"

    def _animation(self) -> Iterable[str]:
        if self.animation is not None:
            yield "<h2>How the best model came to be</h2>"
            yield f'<figure><img alt="samples over training" src="{_address(self.animation, "gif")}">'
            yield "<figcaption>Generated images at each step; a row for each category.</figcaption></figure>"

    def _grids(self) -> Iterable[str]:
        shown = [each for each in self.front() if each.number in self.samples][:MOST_GRIDS]
        if shown:
            several = len(self.spec.objectives) > 1
            yield f"<h2>{'Samples of the Pareto front' if several else 'Samples of the best trial'}</h2>"
            yield '<p class="quiet">A row for each category, with its number and learned share.</p><div>'
            yield from (self._grid(each) for each in shown)
            yield "</div>"

    def _grid(self, each: Candidate) -> str:
        reached = each.confirmed or each.found
        values = values_in_words(self.judged, reached, each.confirmed_deviations)
        caption = f"trial {each.number}: {values}{' (confirmed)' if each.confirmed else ''}"
        image = f'<img alt="samples of trial {each.number}" src="{_address(self.samples[each.number], "png")}">'
        return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"

    def _withheld(self) -> Iterable[str]:
        if len(self.finished) < ENOUGH_FOR_IMPORTANCE:
            have = f"{len(self.finished)} finished trial{'' if len(self.finished) == 1 else 's'}"
            yield (
                f'<p class="quiet">How much each hyperparameter matters is shown from {ENOUGH_FOR_IMPORTANCE} finished '
                f"trials on; {have} would tell hardly more than chance.</p>"
            )

    def _table(self) -> Iterable[str]:
        """Every trial: the front first, then the finished ones, then the others by number."""
        front = [each.number for each in self.front()]
        candidates = {each.number: each for each in self.finished}
        confirmed = any(each.confirmed for each in self.finished)
        columns = ["trial", "status", "step", *self.judged]
        columns += [f"confirmed {name}" for name in self.spec.objectives] if confirmed else []
        heads = "".join(f"<th>{escape(name)}</th>" for name in [*columns, *self.spec.search])
        rows = sorted(self.trials, key=lambda trial: self._place(trial, front))
        more = f"; the first {_MOST_ROWS:,} of {len(rows):,}" if len(rows) > _MOST_ROWS else ""
        yield f"<h2>Trials</h2><p class=quiet>Those of the front in bold{more}. A click on a heading sorts.</p>"
        yield f'<div class="scroll"><table><thead><tr>{heads}<th class="text">why it ended</th></tr></thead><tbody>'
        for trial in rows[:_MOST_ROWS]:
            cells = [str(trial.number), trial.outcome, str(trial.last.step if trial.last else 0)]
            metrics = trial.last.metrics if trial.last else {}
            cells += [f"{metrics[name]:.3f}" if name in metrics else "–" for name in self.judged]
            if confirmed:
                cells += _confirmed(candidates.get(trial.number), self.spec.objectives)
            cells += [short(trial.params.get(name, "–")) for name in self.spec.search]
            row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            kind = ' class="front"' if trial.number in front else ""
            yield f'<tr{kind} data-trial="{trial.number}">{row}<td class="text">{escape(trial.why)}</td></tr>'
        yield "</tbody></table></div>"

    def _place(self, trial: Trial, front: Sequence[int]) -> tuple[int, tuple[float, ...]]:
        if trial.number in front:
            return 0, (front.index(trial.number),)
        if trial.status == "finished" and trial.last is not None:
            return 1, tuple(losses_of(trial.last.metrics, self.spec.objectives))
        return 2, (trial.number,)


def _confirmed(candidate: Candidate | None, objectives: Iterable[str]) -> list[str]:
    means = {} if candidate is None else candidate.confirmed
    deviations = {} if candidate is None else candidate.confirmed_deviations
    return [with_spread(means[name], deviations.get(name)) if name in means else "–" for name in objectives]


def _reached(candidate: Candidate) -> Mapping[str, float]:
    return candidate.trial.last.metrics if candidate.trial.last is not None else {}


def _thumbnail(png: bytes) -> str:
    """A picture made small, as the address of itself."""
    with Image.open(BytesIO(png)) as opened:
        picture = opened.copy()
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return _address(buffer.getvalue(), "png")


def _address(picture: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
