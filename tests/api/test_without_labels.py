"""A search on images without labels, from its first line to the bundle: nothing in it speaks of labels."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from eig_tune.config.objectives import WITHOUT_LABELS
from eig_tune.tracking import local_uri
from eig_tune.tracking.client import open_client

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
EIG_TUNE = Path(sys.executable).with_name("eig-tune")
PROGRAM = """
import sklearn.datasets, eig_tune

space = eig_tune.load_space({
    "dataset": {"name": "arrays", "image_size": 16},
    "model": {"width": 8, "noise_dim": 8, "categories": 5},
    "train": {"steps": 120, "report_every": 20, "batch_size": 32, "images_per_category": 20, "generator_lr": 2e-3},
    "search": {"lambda_1": {"loguniform": [0.3, 3]}, "tau": {"uniform": [0.1, 1]}},
    "asha": {"grace": 20},
    "trials": 5,
    "confirm": {"top": 2, "seeds": 2},
})
result = eig_tune.search(space, sklearn.datasets.load_digits().images[:600] / 16, name="plain", home=HOME, gpus=0)
assert result.complete, result.progress
best = result.best()
print(result, result._repr_html_(), best, best._repr_html_(), result.trials.to_string(), best.categories.to_string())
"""
# Names and words of what only labels give.
LABELLED = re.compile(
    r"\b((un)?label(s|led)?|class(es)?|classifiers?|nmi(_real)?|(prior|posterior)_rmse)\b", re.IGNORECASE
)
# Said when the images are read: it is why the search is for something else than with labels.
SAID = re.compile(
    r"^(no labels were given|objectives: .* \(by default, as these images have no labels\))$", re.MULTILINE
)
NONE = '"classes": []'
REPOSITORY = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain") / "home"


@pytest.fixture(scope="module")
def printed(home: Path) -> dict[str, str]:
    """What the search has printed, and what `best` has, which exports and registers its model."""
    best = f"{EIG_TUNE} best --home {home} --export {home / 'bundle'} --register plain --json".split()
    commands = {"search": [sys.executable, "-c", f"HOME = {str(home)!r}\n{PROGRAM}"], "best": best}
    shown = {}
    for name, command in commands.items():
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        shown[name], shown[f"{name} --json"] = done.stdout + done.stderr, done.stdout
    return shown


def of_labels(text: str) -> list[str]:
    """Words of labels with what stands around them; tags of HTML, this folder's own name and the unset key of a space
    apart."""
    text = re.sub(r"<[^>]*>|\"?labels\"?: null", " ", text.replace(REPOSITORY, "").replace(NONE, ""))
    return [text[max(0, hit.start() - 60) : hit.end() + 60] for hit in LABELLED.finditer(text)]


def test_objectives_are_the_safe_ones_and_the_search_says_why(printed: dict[str, str], home: Path) -> None:
    assert len(SAID.findall(printed["search"])) == 2
    (header, *_) = map(json.loads, (home / "studies/plain/events.jsonl").read_text().splitlines())
    assert header["header"]["spec"]["objectives"] == WITHOUT_LABELS


def test_nothing_that_is_printed_speaks_of_labels(printed: dict[str, str]) -> None:
    assert of_labels(SAID.sub("", printed["search"])) == []
    assert of_labels(printed["best"]) == []


def test_no_file_speaks_of_labels(printed: dict[str, str], home: Path) -> None:
    files = [file for file in home.rglob("*") if file.suffix in (".json", ".jsonl", ".md", ".yaml", ".log", ".txt")]
    assert {"README.md", "categories.json", "resolved_space.yaml", "events.jsonl"} <= {file.name for file in files}
    for file in files:
        assert of_labels(file.read_text(encoding="utf-8")) == [], file


def test_page_of_plots_speaks_of_no_labels(printed: dict[str, str], home: Path) -> None:
    (page,) = home.rglob("search.html")
    _, _, body = page.read_text(encoding="utf-8").partition("<body>")
    assert "label_free_score" in body
    assert re.findall(r"\b(nmi|classes|classifier|prior_rmse)\b", body) == []


def test_nothing_in_mlflow_speaks_of_labels(printed: dict[str, str], home: Path) -> None:
    client = open_client(local_uri(home))
    experiment = client.get_experiment_by_name("plain")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) >= 1 + 5 + 2, "the search's, the trials' and those of one confirmation"
    for run in runs:
        for kind in (run.data.tags, run.data.params, run.data.metrics):
            assert of_labels("\n".join(f"{name} = {value}" for name, value in kind.items())) == [], run.info.run_name
    (version,) = client.search_model_versions("name = 'plain'")
    assert of_labels("\n".join(version.tags)) == []
    (champion,) = re.findall(r"is the champion of plain now: .*", printed["best"])
    assert champion.endswith("there was none before")


def test_page_of_the_best_has_a_picture_and_a_row_for_each_category(printed: dict[str, str], home: Path) -> None:
    client = open_client(local_uri(home))
    runs = client.search_runs([client.get_experiment_by_name("plain").experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    description = parent.data.tags["mlflow.note.content"]
    assert "![categories.png]" in description and "mean Q" in description
    assert not description.endswith("…"), "MLflow has cut it"
    assert "categories.png" in {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    card = (home / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "(categories.png)" in card and "What no number here can tell" in card
    with Image.open(home / "bundle" / "categories.png") as picture:
        assert picture.mode == "L" and picture.width > 24 * 40
    document = json.loads(printed["best --json"])
    assert [category["category"] for category in document["categories"]] == list(range(5))
    assert sum(category["images"] for category in document["categories"]) == pytest.approx(1)
    assert document["categories"] == json.loads((home / "bundle" / "categories.json").read_text())
