"""Writes a search's page: when its trials have ended, and again with what was confirmed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from eig_tune.config.space import SearchSpec
from eig_tune.data import ImageData
from eig_tune.hpo.candidates import Candidate
from eig_tune.hpo.objectives import losses_of
from eig_tune.hpo.trial import Trial
from eig_tune.reports.animation import ANIMATION, MOST_FRAMES, animation_of
from eig_tune.reports.mlflow_runs import SAMPLES
from eig_tune.reports.page_plots import plots_as_html
from eig_tune.reports.run_texts import SAMPLES_PICTURE
from eig_tune.reports.search_page import SearchPage
from eig_tune.tracking import SearchTracker

_MOST_SAMPLES = 40  # trials whose samples the page has; to fetch one takes MLflow some 20 ms


class PageWriter:
    """Has the tracker's background thread write ``search.html`` among the search's artifacts.

    Drawing takes a second, so the plots are drawn again only where trials have gone on since.

    Args:
        tracker: writes; it has the trials' samples.
        spec: the search.
        data: what it searches on, in words.

    Attributes:
        animated: whether the search has an animation of how its best model's samples emerged.
    """

    def __init__(self, tracker: SearchTracker, spec: SearchSpec, data: str) -> None:
        self._tracker, self._spec, self._data = tracker, spec, data
        self._drawn: tuple[object, list[str]] | None = None
        self._samples: dict[int, bytes] = {}
        self.animated = False

    def write(self, trials: Sequence[Trial], finished: Sequence[Candidate], model: str | None = None) -> None:
        """Write the page; nothing where no trial has reported.

        Args:
            trials: all of the search.
            finished: the finished ones, with what their parameters have reached on other seeds.
            model: the key of the run that has the best model, of which there is an animation then.
        """
        if any(trial.reports for trial in trials):
            self._tracker.log_artifacts(None, lambda folder: self._write(trials, finished, model, folder))

    def _write(self, trials: Sequence[Trial], finished: Sequence[Candidate], model: str | None, folder: Path) -> None:
        animation = None if model is None else animation_of(self._tracker.series(model, SAMPLES, MOST_FRAMES))
        if animation is not None:
            (folder / ANIMATION).write_bytes(animation)
        self.animated = animation is not None
        page = SearchPage(self._tracker.name, self._data, self._spec, trials, finished, self._plots(trials))
        best_first = [*page.front(), *sorted(finished, key=self._losses)]
        samples = self._fetched(list(dict.fromkeys(each.number for each in best_first))[:_MOST_SAMPLES])
        replace(page, samples=samples, animation=animation).write(folder)

    def _plots(self, trials: Sequence[Trial]) -> list[str]:
        state = [(trial.number, trial.outcome, len(trial.reports)) for trial in trials]
        if self._drawn is None or self._drawn[0] != state:
            self._drawn = state, plots_as_html(trials, self._spec)
        return self._drawn[1]

    def _fetched(self, numbers: Sequence[int]) -> dict[int, bytes]:
        for number in numbers:
            if number not in self._samples:
                with TemporaryDirectory() as folder:
                    self._tracker.fetch(str(number), {SAMPLES_PICTURE}, Path(folder))
                    if (file := Path(folder, SAMPLES_PICTURE)).is_file():
                        self._samples[number] = file.read_bytes()
        return {number: self._samples[number] for number in numbers if number in self._samples}

    def _losses(self, candidate: Candidate) -> list[float]:
        metrics = candidate.trial.last.metrics if candidate.trial.last is not None else {}
        return list(losses_of(metrics, self._spec.objectives))


def data_in_words(images: ImageData, method: str) -> str:
    """``digits: 1,022 training images of 10 classes, 16 × 16, grey; elastic-infogan``; no classes without
    labels."""
    classes = f" of {len(images.classes)} classes" if images.labelled else ""
    size = f"{images.image_size} × {images.image_size}, {'grey' if images.channels == 1 else 'colour'}"
    return f"{images.name}: {len(images.training):,} training images{classes}, {size}; {method}"
