"""A model whose encoder is worse than its samples look is said to be so, by bounds that recorded trials bear out."""

from pathlib import Path

import pytest

from eig_tune.reports.curves import read_curves
from eig_tune.reports.disagreement import LARGEST_SHORTFALL, MOST_ELSEWHERE, disagreement

GOOD = {"nmi": 0.93, "nmi_real": 0.85, "prior_posterior_gap": 0.06, "prior_share_gap": 0.08}
CURVES = Path(__file__).parents[2] / "benchmarks" / "replay_curves.parquet"


def test_bounds_are_what_the_recorded_trials_say() -> None:
    rows = [row for row in read_curves(CURVES).to_pylist() if row["step"] == 1600 and row["nmi"] >= 0.5]
    gaps = sorted(row["prior_posterior_gap"] for row in rows)
    assert not [gap for gap in gaps if 0.28 < gap < 0.41]
    above = [row["nmi"] - row["nmi_real"] for row in rows if row["prior_posterior_gap"] > MOST_ELSEWHERE]
    below = [row["nmi"] - row["nmi_real"] for row in rows if row["prior_posterior_gap"] <= MOST_ELSEWHERE]
    assert (len(above), sum(short > 0.1 for short in above)) == (12, 11)
    assert (len(below), sum(short > 0.1 for short in below)) == (18, 4)
    assert [sum(short > LARGEST_SHORTFALL for short in of) for of in (above, below)] == [7, 0]


def test_good_model_is_not_warned_of() -> None:
    assert not disagreement(GOOD, {}) and str(disagreement(GOOD, GOOD)) == ""


@pytest.mark.parametrize("gap", ["prior_posterior_gap", "prior_share_gap"])
def test_large_gap_is_told_in_plain_words(gap: str) -> None:
    assert str(disagreement({**GOOD, gap: 0.412}, {})) == (
        "the encoder puts 41% of the real images into other categories than the prior says, so its predictions on real "
        "images are worse than the samples look; confirm it before it is used; where predictions matter, search again "
        "with a bound, such as `constraints: {nmi_real: '>= 0.8'}`, or with nmi_real as an objective"
    )


def test_lower_nmi_of_real_images_is_told() -> None:
    (sign,) = disagreement({**GOOD, "nmi_real": 0.71}, {}).signs
    assert sign.startswith("NMI is 0.93 over generated images and just 0.71 over real ones")


def test_without_labels_there_is_no_word_of_them() -> None:
    text = str(disagreement({"prior_posterior_gap": 0.5, "prior_share_gap": 0.4}, {}))
    assert "augment_information as a further objective" in text and "puts 50%" in text
    assert not any(word in text.lower() for word in ("nmi", "label", "class"))


def test_metrics_of_older_searches_and_of_other_models_are_enough() -> None:
    assert disagreement({"prior_posterior_gap": 0.5}, {}) and not disagreement({}, {})


def test_fresh_seeds_count_where_the_model_itself_is_well() -> None:
    (sign,) = disagreement(GOOD, {**GOOD, "prior_posterior_gap": 0.6}).signs
    assert "puts 60% of" in sign and sign.endswith("(mean over the fresh seeds)")
    confirmed = disagreement({**GOOD, "prior_posterior_gap": 0.5}, GOOD)
    assert "puts 50%" in str(confirmed) and "confirm it" not in str(confirmed)


def test_what_is_judged_already_is_not_advised() -> None:
    assert "a stricter bound" in str(disagreement({**GOOD, "nmi_real": 0.5}, {}, judged=["nmi", "nmi_real"]))
