"""A small search without training: what its trials report is a function of their number."""

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.engine import Engine
from eig_tune.hpo.trial import Action

STEPS = (500, 1000, 1500, 2000)
LOST = "its node was lost"


def spec(trials: int = 9) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "train": {"steps": 2000, "report_every": 500},
        "asha": {"grace": 500},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}, "tau": {"uniform": [0.1, 1]}},
        "trials": trials,
    }
    return parse_spec(document, "test")


def measured(number: int, step: int) -> dict[str, float]:
    quality = ((number * 7) % 10) / 10
    return {"nmi": quality * step / 2000, "prior_rmse": 0.3 - 0.2 * quality * step / 2000}


def run(engine: Engine) -> None:
    """Drive the engine one trial after another, each from its checkpoint."""
    while (trial := engine.propose()) is not None:
        for step in [step for step in STEPS if step > trial.checkpoint_step]:
            report = engine.report(trial.number, step, measured(trial.number, step))
            engine.checkpointed(trial.number, "somewhere", step)
            if report.decision.action is not Action.CONTINUE:
                engine.carry_out(trial.number)
                break
