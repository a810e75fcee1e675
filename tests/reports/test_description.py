"""The description of a search in MLflow says what it has come to, and names the trial that `eig-tune best` does."""

from collections.abc import Mapping, Sequence

import pytest

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.hpo.candidates import Confirmed, candidates_of
from eig_tune.hpo.objectives import Metrics
from eig_tune.hpo.trial import Decision, Report, Trial
from eig_tune.reports.categories import Category
from eig_tune.reports.comparison import rows_of
from eig_tune.reports.description import describe_comparison, describe_search

TWO = {"nmi": "maximize", "prior_rmse": "minimize"}


class Artifacts:
    """Addresses of artifacts that do not exist."""

    def address(self, artifact: str) -> str:
        return f"file/{artifact}"

    def page(self, artifact: str) -> str:
        return f"#/page/{artifact}"


def spec(objectives: dict[str, str] | None = None, constraints: dict[str, str] | None = None) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "search": {
            "lambda_1": {"loguniform": [0.3, 3]},
            "distance": {"choice": ["l2", "nt_xent"]},
            "nt_xent_temperature": {"uniform": [0.1, 1], "when": {"distance": "nt_xent"}},
        },
        "objectives": objectives or TWO,
        "constraints": constraints or {},
    }
    return parse_spec(document, "test")


def ended(number: int, status: str, nmi: float, prior_rmse: float, **params: object) -> Trial:
    report = Report(100, {"nmi": nmi, "prior_rmse": prior_rmse}, 0.0, Decision("finished"))
    return Trial(number, {"lambda_1": 1.23456, **params}, 0.0, status, reports={100: report})  # type: ignore[arg-type]


TRIALS = (
    ended(0, "finished", 0.9, 0.10, distance="nt_xent", nt_xent_temperature=0.5),
    ended(1, "finished", 0.8, 0.05, distance="l2"),
    ended(2, "finished", 0.7, 0.20),
    ended(3, "stopped", 0.99, 0.01),
    Trial(4, {}, 0.0, "failed"),
)


def described(
    trials: Sequence[Trial],
    confirmed: Sequence[Confirmed] = (),
    of: SearchSpec | None = None,
    second: Mapping[int, Metrics] | None = None,
) -> str:
    finished = candidates_of(trials, confirmed, second)
    return describe_search(of or spec(), trials, finished, ["pareto_front.png", "history_nmi.png"], Artifacts())


def test_trials_are_counted_and_the_front_is_a_table() -> None:
    lines = described(TRIALS).replace("&emsp;", " ").splitlines()
    assert lines[0] == "**5 trials: 3 finished, 1 stopped, 1 failed**, 400 steps of training in all."
    table = lines[lines.index("### Pareto front") + 2 :]
    assert table[0] == "| trial | nmi | prior_rmse | lambda_1 | distance | nt_xent_temperature |"
    assert table[2:4] == [
        "| 0 | 0.900 | 0.100 | 1.235 | nt_xent | 0.5 |",
        "| 1 | 0.800 | 0.050 | 1.235 | l2 | – |",
    ]
    assert table[4] == ""


def test_best_is_the_confirmed_one_and_the_selection_bias_is_given() -> None:
    confirmed = [
        Confirmed(0, 3, 3, 0, {"nmi": 0.6, "prior_rmse": 0.12}, {"nmi": 0.02, "prior_rmse": 0.01}),
        Confirmed(1, 3, 3, 0, {"nmi": 0.8, "prior_rmse": 0.06}, {"nmi": 0.01, "prior_rmse": 0.01}),
    ]
    text = described(TRIALS, confirmed)
    assert "**Trial 1**, the best of 2 confirmed trials by the knee of the front" in text
    assert "objective): **nmi found 0.800, confirmed 0.800 ± 0.010; prior_rmse found 0.050, confirmed 0.060" in text
    assert "- trial 0, 3 fresh seeds: nmi found 0.900, confirmed 0.600 ± 0.020; prior_rmse found 0.100" in text
    assert (
        "selection bias (found − confirmed) over 2 trials: "
        "nmi 0.850 − 0.700 = +0.150 ± 0.013 (95 %: +0.114 to +0.186); "
        "prior_rmse 0.075 − 0.090 = -0.015 ± 0.008 (95 %: -0.038 to +0.008)" in text
    )
    assert "finalists" not in text


def test_second_seeds_are_named_and_what_was_found_is_their_mean() -> None:
    confirmed = [Confirmed(1, 3, 3, 0, {"nmi": 0.7, "prior_rmse": 0.06}, {"nmi": 0.01, "prior_rmse": 0.01})]
    second = {0: {"nmi": 0.5, "prior_rmse": 0.3}, 1: {"nmi": 0.7, "prior_rmse": 0.07}}
    text = described(TRIALS, confirmed, second=second)
    assert (
        "- finalists, on their own and on a second seed: trial 0 nmi 0.900 and 0.500, prior_rmse 0.100 and 0.300; "
        "trial 1 nmi 0.800 and 0.700, prior_rmse 0.050 and 0.070\n" in text
    )
    assert "- trial 1, found on 2 seeds, 3 fresh seeds: nmi found 0.750, confirmed 0.700 ± 0.010;" in text
    assert "selection bias (found − confirmed) over 1 trial: nmi 0.750 − 0.700 = +0.050 ± 0.009" in text
    unconfirmed = described(TRIALS, second=second)
    assert "**Trial 1**, the best of 2 finished trials that were trained on a second seed by the knee" in unconfirmed
    assert "**nmi 0.750, prior_rmse 0.060**" in unconfirmed and "selection bias" not in unconfirmed


def test_means_over_splits_say_so() -> None:
    confirmed = [Confirmed(1, 6, 6, 0, {"nmi": 0.7, "prior_rmse": 0.06}, {"nmi": 0.01, "prior_rmse": 0.01}, splits=3)]
    text = described(TRIALS, confirmed)
    assert "- trial 1, 6 runs (fresh seeds on each of 3 splits): nmi found 0.800, confirmed 0.700 ± 0.010;" in text
    assert "over 1 trial, confirmed on 3 splits and found on one: nmi 0.800 − 0.700 = +0.100 ± 0.012 (95 %: " in text


def test_confirmation_of_which_a_run_has_failed_does_not_count() -> None:
    failed = Confirmed(0, 2, 3, 1, {"nmi": 0.99, "prior_rmse": 0.01}, {"nmi": 0.0, "prior_rmse": 0.0})
    complete = Confirmed(1, 3, 3, 0, {"nmi": 0.8, "prior_rmse": 0.06}, {"nmi": 0.01, "prior_rmse": 0.01})
    text = described(TRIALS, [failed, complete])
    assert "**Trial 1**, the only confirmed trial: **nmi found 0.800" in text
    assert (
        "- trial 0, 2 of 3 fresh seeds finished, 1 failed, so it does not count as confirmed; nmi found 0.900, "
        "confirmed 0.990" in text
    )
    assert "selection bias (found − confirmed) over 1 trial: nmi 0.800 − 0.800 = +0.000 ± 0.012" in text
    assert "the best of 3 finished trials" in described(TRIALS, [failed]) and "selection bias" not in described(
        TRIALS, [failed]
    )


def test_which_trial_misses_which_constraint_is_said() -> None:
    text = described(TRIALS, of=spec(constraints={"nmi": ">= 0.85", "prior_rmse": "<= 0.3"}))
    assert "**Trial 0**, the only one of 3 finished trials that meets all constraints: **nmi 0.900" in text
    assert "- nmi >= 0.85: met by 1 of 3 finished trials, missed by trial 1 (0.800) and trial 2 (0.700)\n" in text
    assert "- prior_rmse <= 0.3: met by 3 of 3 finished trials\n" in text
    assert "### Pareto front (of the trials that meet all constraints)" in text and "| 0&emsp;|" in text
    assert "| 1&emsp;|" not in text, "it meets them not, so it is not on the front"
    two = described(TRIALS, of=spec(constraints={"nmi": ">= 0.75"}))
    assert "the best of 2 finished trials that meet all constraints, of 3, by the knee of the front" in two


def test_where_no_trial_meets_the_constraints_it_is_said() -> None:
    confirmed = [
        Confirmed(0, 3, 3, 0, {"nmi": 0.6, "prior_rmse": 0.12}, {"nmi": 0.02, "prior_rmse": 0.01}),
        Confirmed(1, 3, 3, 0, {"nmi": 0.8, "prior_rmse": 0.06}, {"nmi": 0.01, "prior_rmse": 0.01}),
    ]
    text = described(TRIALS, confirmed, of=spec(constraints={"prior_rmse": "<= 0.055"}))
    assert (
        "**Trial 1**, the nearest of 2 confirmed trials to the constraints, all of which none of them meets "
        "(prior_rmse is 0.060 and not <= 0.055)" in text
    ), "by the confirmed mean; found it was 0.05"
    assert "met by 0 of 3 finished trials, missed by trial 1 (0.060), trial 0 (0.120) and trial 2 (0.200)" in text
    assert "0.060 ± 0.010; on fresh seeds prior_rmse is 0.060 and not <= 0.055" in text
    alone = described(TRIALS[:1], of=spec(constraints={"prior_rmse": "<= 0.055"}))
    assert "the only finished trial, which does not meet the constraints (prior_rmse is 0.100 and not" in alone
    assert "### Pareto front (no trial meets all constraints)" in alone


def test_best_whose_encoder_disagrees_with_the_prior_is_warned_of() -> None:
    assert "Warning" not in described(TRIALS)
    report = Report(100, {"nmi": 0.95, "prior_rmse": 0.01, "prior_posterior_gap": 0.4}, 0.0, Decision("finished"))
    text = described((*TRIALS, Trial(5, {}, 0.0, "finished", reports={100: report})))
    assert "**Warning**: the encoder puts 40% of the real images into other categories than the prior says" in text


def test_one_objective_has_no_front() -> None:
    text = described(TRIALS, of=spec({"nmi": "maximize"}))
    assert "**Trial 0**, the best of 3 finished trials by nmi: **nmi 0.900**.\n" in text
    assert "**Trial 2**, the only finished trial: **nmi 0.700, prior_rmse 0.200**.\n" in described(TRIALS[2:])
    assert "Pareto" not in text


def test_pictures_are_shown_and_linked() -> None:
    text = described(TRIALS)
    assert "![pareto_front.png](file/pareto_front.png)" in text and "rungs.png" not in text
    assert "[search.html](#/page/search.html)" in text and "[history_nmi.png](#/page/history_nmi.png)" in text


@pytest.mark.parametrize("trials", [(), TRIALS[3:]])
def test_search_without_finished_trials_is_described(trials: Sequence[Trial]) -> None:
    assert described(trials).startswith(f"**{len(trials)} trials")
    assert "Pareto" not in describe_search(spec(), trials, (), (), Artifacts())


def test_long_front_fits_into_a_description() -> None:
    front = [ended(n, "finished", n / 1000, n / 1000, distance="l2") for n in range(400)]
    text = described(front)
    assert "… and 390 more" in text and len(text) < 8000


def test_description_leaves_out_what_matters_least_where_mlflow_would_cut_it() -> None:
    front = [ended(n, "finished", n / 1000, n / 1000, distance="l2") for n in range(400)]
    stopped = [Trial(n, {}, 0.0, "stopped", reason="because " * 20) for n in range(400, 420)]
    categories = [Category(k, 0.01, 0.01, 0.5, {1: 0.5, 2: 0.4, 3: 0.3}) for k in range(100)]
    pictures = [f"history_{n}.png" for n in range(40)]
    finished = candidates_of([*front, *stopped], ())
    text = describe_search(spec(), [*front, *stopped], finished, pictures, Artifacts(), categories)
    assert len(text) <= 5000
    assert "![categories.png]" in text and "… and 90 more in the trial's categories.json" in text
    assert "**Trial " in text and "What no number here can tell" in text
    assert "Ended early" not in text
    assert "Ended early" in describe_search(spec(), stopped, (), (), Artifacts())


def test_description_of_a_comparison_is_its_table() -> None:
    params = {"method": "uniform-infogan", "split": 0, "seed": 0}
    metrics = {"average_entropy": 0.1, "nmi": 0.9, "prior_rmse": 0.1, "nmi_real": 0.8}
    cell = Trial(0, params, 0.0, "finished", reports={10: Report(10, metrics, 0.0, Decision("finished"))})
    text = describe_comparison(rows_of([cell], ["uniform-infogan"]), Artifacts())
    assert "| uniform-infogan&emsp;| **0.900**&emsp;|" in text and "![methods](file/methods.png)" in text
