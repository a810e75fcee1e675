"""What a person may write: it is type-checked as strictly as eig-tune itself, and its first part is run."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

import eig_tune


class Narrow(eig_tune.InfoGan):
    """Networks of one's own."""


def space() -> eig_tune.SearchSpec:
    return eig_tune.load_space({"search": {"lambda_2": {"loguniform": [1, 30]}}}, trials=8, train={"steps": 3000})


def search(images: NDArray[np.float32], labels: NDArray[np.int64], home: Path) -> eig_tune.SearchResult:
    try:
        return eig_tune.search(space(), images, labels, home=home, gpus=0, time_budget="1h", view=eig_tune.View())
    except eig_tune.EigTuneError as error:
        raise SystemExit(str(error)) from error


def look(result: eig_tune.SearchResult) -> tuple[pd.DataFrame, Figure]:
    best = result.best(by="nmi")
    weight: float = best.metrics["nmi"]
    model: eig_tune.TrainedModel = best.model()
    categories: NDArray[np.int64] = model.predict(torch.zeros(3, 1, 16, 16))
    probabilities: NDArray[np.float32] = model.predict_proba(np.zeros((3, 16, 16), np.uint8))
    print(weight, categories, probabilities, model.sample([0], count=2).shape, best.export("model"))
    return result.trials[result.trials.nmi > 0.5], result.plot_front()


def own() -> None:
    eig_tune.register_metric(
        eig_tune.Metric("peak", lambda observed: float(observed.prior_K.max()), "peak", "minimize")
    )
    eig_tune.register_method(eig_tune.METHODS["elastic-infogan"].with_model("narrow", Narrow))


def others() -> float:
    table = eig_tune.compare("digits.yaml", "digits", methods=["elastic-infogan"], splits=[0, 1]).table
    run = eig_tune.train("digits.yaml", params={"lambda_2": 10.0}, steps=500)
    print(table, run.curves, eig_tune.load_bundle("model").predict(np.zeros((1, 16, 16))))
    return run.metrics["nmi"]


print(space().trials)
