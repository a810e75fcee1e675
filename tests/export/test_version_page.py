"""A registered version is described by its card, with a picture and a request that can be pasted into a shell."""

import shlex

from eig_tune.export.card import model_card
from eig_tune.export.version_page import describe_version, request_example
from eig_tune.reports.categories import Category
from eig_tune.tracking import RunPage
from eig_tune.training import TrainConfig
from eig_tune.training.checkpoint import RunRecord

PAGE, STORE = RunPage("1", "f" * 32), "sqlite:////home/me/my runs/mlflow.db"


def card(categories: int = 10) -> str:
    record = RunRecord(TrainConfig(), 100, 16, 1, ("0", "1"))
    seen = [Category(k, 0.1, 0.1, 0.5, {1: 0.5, 2: 0.4, 3: 0.3}, "0") for k in range(categories)]
    metrics = {"found": {"nmi": 0.95}, "confirmed": {"nmi": 0.9}, "confirmed_deviations": {"nmi": 0.01}}
    return model_card(record, 62, metrics, {"search": "mine", "trial": 3}, ["categories.png", "prior.png"], seen)


def test_description_is_the_card_with_a_picture_of_the_run_and_a_request() -> None:
    text = describe_version(card(), PAGE, "my digits", 2, STORE)
    assert text.startswith("# elastic-infogan, 10 categories\n")
    assert f"![categories.png](get-artifact?path=categories.png&run_uuid={'f' * 32})" in text
    assert text.count("![") == 1, "pictures of the bundle's folder cannot be shown"
    assert "| nmi | 0.9500 | 0.9500 | 0.9000 ± 0.0100 |" in text.replace("&emsp;", " ")
    assert all(f"## {heading}\n" in text for heading in ("What it is for", "What it is not for", "Its categories"))
    assert "## How to use it" not in text
    paragraphs = [part for part in text.split("\n\n") if not part.startswith(("|", "- ", "## ", "```"))]
    assert all("\n" not in part.strip() for part in paragraphs), "the UI would show every newline"
    assert f"```\n{request_example('my digits', 2, STORE)}\n```" in text


def test_description_of_many_categories_fits_and_keeps_what_matters_most() -> None:
    text = describe_version(card(200), PAGE, "digits", 1, STORE)
    assert len(text) <= 5000 and "## Its categories" not in text
    assert "## Try it" in text and "## How good it is" in text


def test_request_is_quoted_for_a_shell_and_has_no_password() -> None:
    lines = request_example("my digits", 2, STORE).splitlines()
    assert shlex.split(lines[0]) == ["export", f"MLFLOW_TRACKING_URI={STORE}"]
    assert shlex.split(lines[1])[-3:] == ["models:/my digits/2/serving_input_example.json", "-d", "."]
    assert "s3cret" not in request_example("digits", 1, "postgresql+psycopg://me:s3cret@host/db")


def test_single_fresh_seed_has_no_deviation_on_the_card() -> None:
    record = RunRecord(TrainConfig(), 100, 16, 1, ("0", "1"))
    text = model_card(record, 62, {"found": {"nmi": 0.95}, "confirmed": {"nmi": 0.9}}, {}, [])
    assert "| nmi | 0.9500 | 0.9500 | 0.9000 |" in text
