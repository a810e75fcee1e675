"""The commands as a person types them, with real Ray processes and a real MLflow store."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from classifiers import give_classifier
from PIL import Image

from eig_tune.cli.app import app
from eig_tune.errors import EigTuneError

EIG_TUNE = Path(sys.executable).with_name("eig-tune")
SPACE = Path(__file__).parents[2] / "search_spaces" / "digits.yaml"


def eig_tune(*arguments: object, timeout: float = 600) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [EIG_TUNE, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )


BAD_SPACES = {
    "unknown key": ("\ntrials:", "\ntrails:", "trails: ", "did you mean 'trials'"),
    "inverted range": ("lambda_1: {loguniform: [0.3, 3]}", "lambda_1: {loguniform: [3, 0.3]}", "search.lambda_1"),
    "negative weight": ("batch_size: 64", "lambda_2: -1", "train.lambda_2"),
    "unknown data set": (
        "name: digits",
        "name: digitz",
        "dataset.name",
        "'digits', 'mnist', 'fashion-mnist', 'kmnist', ",
    ),
    "not a number": ("generator_lr: 1.0e-3", "generator_lr: .nan", "train.generator_lr"),
    "one category": ("categories: 10", "categories: 1", "model.categories"),
    "batch larger than the pool": ("batch_size: 64", "batch_size: 5000", "train.batch_size", "training images"),
    "broken YAML": ("model: {width", "model: {{width", "not valid YAML"),
    "metric that is none": ("nmi: maximize", "nmj: maximize", "objectives.nmj", "did you mean 'nmi'"),
    "wrong direction": ("nmi: maximize", "nmi: minimize", "objectives.nmi"),
    "bound that is none": (
        'constraints: {classes_found: ">= 10"}',
        "constraints: {nmi_real: 0.8}",
        "constraints.nmi_real: got 0.8",
        ">= 0.8",
    ),
    "objective that a bad model wins": (
        "objectives: {nmi: maximize, prior_rmse: minimize}",
        "objectives: {code_recovery: maximize}",
        "objectives: code_recovery alone is also best for a generator and a Q that agree",
        "Add neighbour_nmi or label_free_score",
    ),
    "rung between reports": ("grace: 500", "grace: 333", "asha.grace", "multiple of train.report_every"),
    "missing folder": ("name: digits", "name: folder\n  root: /none/such", "there is no folder /none/such"),
    "no root for a folder": ("name: digits", "name: folder", "needs `root`"),
    "start point outside": ("lambda_1: 1.0, lambda_2", "lambda_1: 100, lambda_2", "start_from.0.lambda_1"),
}


def message_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that is refused says; in this process, because a process of its own would mostly import."""
    with pytest.raises(EigTuneError) as caught:
        app([*map(str, arguments)], standalone_mode=False)
    assert caught.value.exit_code == 2
    assert capsys.readouterr().out == ""
    return str(caught.value)


@pytest.mark.slow
def test_refused_command_is_one_message_on_stderr_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE.read_text().replace("\ntrials:", "\ntrails:"))
    for arguments, expected in (
        (["search", "--space", tmp_path / "space.yaml", "--home", tmp_path / "home"], "did you mean 'trials'"),
        (["ui", "--tracking-uri", "postgresql://me:s3cret@host/db"], "variable MLFLOW_TRACKING_URI"),
    ):
        done = eig_tune(*arguments)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert expected in done.stderr and "Traceback" not in done.stderr and "s3cret" not in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("mistake", BAD_SPACES)
def test_mistake_in_a_space_is_one_message_and_leaves_nothing(
    tmp_path: Path, mistake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong, *expected = BAD_SPACES[mistake]
    text, space, home = SPACE.read_text(), tmp_path / "space.yaml", tmp_path / "home"
    assert right in text
    space.write_text(text.replace(right, wrong))
    message = message_of(capsys, "search", "--space", space, "--home", home, "--gpus", 0)
    assert all(words in message for words in expected), message
    assert not home.exists()


@pytest.mark.parametrize(("files", "expected"), [({}, "no readable image"), ({"one/a.png": 0, "one/b.png": 1}, "two")])
def test_folder_that_cannot_be_searched_is_one_message(
    tmp_path: Path, files: dict[str, int], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images, space = tmp_path / "images", tmp_path / "space.yaml"
    images.mkdir()
    for name, grey in files.items():
        (images / name).parent.mkdir(exist_ok=True)
        Image.new("L", (16, 16), grey).save(images / name)
    space.write_text(SPACE.read_text().replace("name: digits", f"name: folder\n  root: {images}"))
    message = message_of(capsys, "search", "--space", space, "--home", tmp_path / "home")
    assert "dataset.root" in message and expected in message
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["best", "--home", "{tmp}/none"], "no search here yet"),
        (["best", "--home", "{tmp}/none", "--register", "a/b"], "--register: got 'a/b'"),
        (["best", "--home", "{tmp}/none", "--force"], "--force: goes with --register"),
        (["predict", "models:/m@champion", "{tmp}", "--home", "{tmp}/none"], "there is no model here yet"),
        (["sample", "models:/m", "--out", "{tmp}/s.png", "--home", "{tmp}/none"], "models:/NAME@champion"),
        (["validate", "{tmp}/none.yaml"], "no such file"),
        (["search", "--space", str(SPACE), "--home", "/proc/eig"], "cannot be written"),
        (["search", "--space", str(SPACE), "--home", "{tmp}/home", "--gpus", "800"], "--gpus: asked for 800"),
        (["search", "--space", str(SPACE), "--home", "{tmp}/home", "--cpus", "8000"], "--cpus: asked for 8000"),
        (
            ["ui", "--tracking-uri", "http://me:s3cret@host:5000"],
            "write http://host:5000 and put the login into MLFLOW_",
        ),
        (
            ["search", "--space", str(SPACE), "--home", "{tmp}/home", "--name", "a/b"],
            "--name: got 'a/b'; it has a slash",
        ),
        (["search", "--space", str(SPACE), "--home", "{tmp}/home", "--name", ".."], "--name: got '..'"),
        (["compare", "--space", str(SPACE), "--home", "{tmp}/home", "--name", "x" * 300], "has 300 bytes"),
        (
            ["search", "--space", str(SPACE), "--home", "~no-such-user/x"],
            "--home: got '~no-such-user/x'; there is no home",
        ),
        (["search", "--space", str(SPACE), "--home", "{tmp}/home", "--name", "Default"], "--name: 'Default'"),
        (["best", "--home", ""], "--home: is empty"),
        (["best", "--export", "x" * 300], "--export: 'xx"),
        (["train", "--space", str(SPACE), "--out", "x" * 300], "--out: 'xx"),
        (["predict", "x" * 300, "{tmp}"], "File name too long"),
        (["validate", "x" * 300], "FILE: 'xx"),
        (["best", "--home", "x" * 300], "File name too long"),
        (["best", "--tracking-uri", "mysql://me:s3cret@host/db"], "pip install pymysql"),
        (["doctor", "--space", "{tmp}/none.yaml"], "no such file"),
        (["doctor", "--home", "/proc/eig"], "cannot be written"),
        (["train", "--space", str(SPACE), "--set", "lamda_1=3", "--home", "{tmp}/home"], "did you mean 'lambda_1'"),
        (["train", "--space", str(SPACE), "--steps", "100", "--home", "{tmp}/home"], "train.report_every"),
        (["train", "--space", str(SPACE), "--set", "x=[", "--home", "{tmp}/home"], "--set x=[: is not valid YAML"),
        (["train", "--space", str(SPACE), "--set", "x", "--home", "{tmp}/home"], "--set x: write it as key=value"),
        (["train", "--space", str(SPACE), "--set", "=3", "--home", "{tmp}/home"], "no such parameter"),
        (["train", "--space", str(SPACE), "--set", "tau=", "--home", "{tmp}/home"], "--set tau: got nothing"),
        (["train", "--space", str(SPACE), "--set", "tau=hot", "--home", "{tmp}/home"], "--set tau: got 'hot'; must be"),
        (["train", "--space", str(SPACE), "--set", "tau=true", "--home", "{tmp}/home"], "--set tau: got true; must be"),
        (["train", "--space", str(SPACE), "--set", "seed=-1", "--home", "{tmp}/home"], "--set seed: got -1"),
        (["train", "--space", str(SPACE), "--set", "method=best", "--home", "{tmp}/home"], "--set method: got 'best'"),
        (["train", "--space", str(SPACE), "--set", "tau={a: [1]}", "--home", "{tmp}/home"], "--set tau: got {'a'"),
        (["train", "--space", str(SPACE), "--set", "tau=1", "--set", "tau=2", "--home", "{tmp}/home"], "set twice"),
        (["train", "--space", str(SPACE), "--set", "tau=!!python/name:os.system x", "--home", "{tmp}/h"], "not valid"),
        (["train", "--space", str(SPACE), "--out", "/proc/eig/run", "--home", "{tmp}/home"], "--out"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    tmp_path: Path, arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = message_of(capsys, *(argument.replace("{tmp}", str(tmp_path)) for argument in arguments))
    assert expected in message
    assert "s3cret" not in message + capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["compare", "--space", str(SPACE), "--steps", "300", "--cpus", "8000"], "--cpus: asked for 8000"),
        (["train", "--space", str(SPACE), "--steps", "300", "--out", "/proc/eig/run"], "--out"),
        (["search", "--space", str(SPACE), "--steps", "300"], "asha.grace"),
    ],
)
def test_short_run_is_refused_only_where_the_first_rung_counts(
    tmp_path: Path, command: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first two get as far as to the next thing that is wrong."""
    assert expected in message_of(capsys, *command, "--home", tmp_path / "home")


@pytest.mark.parametrize("space", ["mnist", "fashion_mnist", "faces", "unlabelled"])
def test_space_whose_data_is_not_here_is_planned_all_the_same(
    tmp_path: Path, space: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app(["validate", str(SPACE.with_name(f"{space}.yaml")), "--root", str(tmp_path / "none")], standalone_mode=False)
    shown = "".join(capsys.readouterr())
    assert re.search(rf"^data: (no|there is no) .*{tmp_path / 'none'}.*--root", shown, re.MULTILINE)
    assert "lambda_1" in shown and "speed not measured" in shown
    assert "WARNING" not in shown
    assert not list(tmp_path.iterdir()), "validate downloads nothing"


def test_validate_says_what_a_folder_without_labels_is_searched_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    for number in range(100):
        Image.new("RGB", (32, 32), (number, 2 * number, 0)).save(tmp_path / "images" / f"{number}.png")
    named, space = SPACE.with_name("unlabelled.yaml"), tmp_path / "space.yaml"
    (objectives,) = re.findall(r"^objectives: .*\n", named.read_text(), re.MULTILINE)
    small = named.read_text().replace("width: 32", "width: 4").replace("noise_dim: 62", "noise_dim: 4")
    for text, why in ((small, ""), (small.replace(objectives, ""), " (by default, as these images have no labels)")):
        space.write_text(text)
        app(
            ["validate", str(space), "--root", f"{tmp_path}/images", "--home", f"{tmp_path}/home"],
            standalone_mode=False,
        )
        said = capsys.readouterr().err
        assert f"objectives: maximize label_free_score, maximize augment_information{why}\n" in said


def test_validate_shows_the_constraints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "space.yaml"
    text = SPACE.read_text().replace("name: digits", f"name: folder\n  root: {tmp_path / 'none'}")
    own = next(line for line in text.splitlines(keepends=True) if line.startswith("constraints:"))
    space.write_text(text.replace(own, "constraints: {nmi_real: '>=.8', prior_rmse: <= 5e-2}\n"))
    app(["validate", str(space)], standalone_mode=False)
    assert "constraints: nmi_real >= 0.8, prior_rmse <= 0.05\n" in capsys.readouterr().err


def test_what_changes_nothing_is_a_warning_of_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "space.yaml"
    text = SPACE.read_text().replace("name: digits", f"name: folder\n  root: {tmp_path / 'none'}")
    text = text.replace("joint-vae: {", "joint-vae: {tau: 0.1, ")
    space.write_text(text.replace("method: elastic-infogan", "method: gumbel-softmax+trans"))
    app(["validate", str(space)], standalone_mode=False)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "WARNING" in line] == [
        "WARNING search.lambda_3: no trial uses it: takes effect only with a method that has the entropy loss",
        "WARNING compare.joint-vae.tau: takes effect only with a method that learns its prior",
    ]


@pytest.mark.slow
def test_plan_shows_the_rungs_and_the_cost_for_every_number_of_slots(capsys: pytest.CaptureFixture[str]) -> None:
    app(["validate", str(SPACE)], standalone_mode=False)
    shown, said = capsys.readouterr()
    assert re.search(
        r"\n +500 +16\n +1,500 +6\nabout [\d,]+ steps in all, 7,500 of them to confirm the best trials ", shown
    )
    assert "data: digits, 1,797 images, 16 × 16 grey: " in said and "\n10 classes, training + held out: 0 " in said
    assert re.findall(r"\n +(\d+) +\d+ (?:s|min) +\d+%", shown) == ["1", "2", "4", "8", "16"], (
        "as many as it has trials"
    )


@pytest.mark.slow
def test_same_seed_gives_the_same_metrics_and_a_resumed_run_too(tmp_path: Path) -> None:
    arguments = ["train", "--space", tiny_space(tmp_path), "--home", tmp_path / "home", "--json"]
    give_classifier(tmp_path / "home")
    twice = [eig_tune(*arguments, "--steps", 60, "--out", tmp_path / name) for name in ("first", "second")]
    assert twice[0].stdout and twice[0].stdout == twice[1].stdout
    eig_tune(*arguments, "--steps", 40, "--out", tmp_path / "cut")
    resumed = eig_tune(*arguments, "--steps", 60, "--out", tmp_path / "cut", "--resume")
    assert resumed.stdout.splitlines() == twice[0].stdout.splitlines()[-1:]


def tiny_space(folder: Path) -> Path:
    """The digits' space with networks and budget so small that a trial takes no time."""
    text = SPACE.read_text().replace("width: 16", "width: 8").replace("report_every: 250", "report_every: 20")
    text = text.replace("grace: 500", "grace: 20").replace("batch_size: 64", "batch_size: 32")
    file = folder / "tiny.yaml"
    file.write_text(text)
    return file


@pytest.mark.slow
@pytest.mark.cluster
def test_search_then_best_takes_a_model_home_whatever_the_names(tmp_path: Path) -> None:
    home, model, space = tmp_path / "ho?me a%20b #é [x]", tmp_path / "mo?del 50% [b]", tiny_space(tmp_path)
    arguments = ["search", "--space", space, "--home", home, "--gpus", 0, "--trials", 4, "--steps", 60, "--json"]
    arguments += ["--name", "it's [50%] #1?"]
    give_classifier(home)
    done = eig_tune(*arguments)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert len(outcome["trials"]) == 4
    assert all(trial["status"] in ("finished", "stopped", "collapsed") for trial in outcome["trials"])
    again = eig_tune(*arguments)
    assert again.returncode == 2 and "--resume" in again.stderr
    resumed = json.loads(eig_tune(*arguments, "--resume").stdout)
    assert resumed["trials"] == outcome["trials"]
    taken = eig_tune("best", "--home", home, "--export", model, "--json")
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout)["trial"] in outcome["front"]
    assert {file.name for file in model.iterdir()} >= {
        "weights.safetensors", "config.json", "metrics.json", "samples.png", "prior.png"
    }  # fmt: skip
    for new in (True, False):
        registered = eig_tune("best", "--home", home, "--register", "digits", "--json")
        assert registered.returncode == 0, registered.stderr
        assert json.loads(registered.stdout)["registered"] == {"name": "digits", "version": 1, "champion": True}
        assert ("registered already" in registered.stderr) is not new
    drawn = eig_tune("sample", "models:/digits@champion", "--home", home, "--out", tmp_path / "samples.png")
    assert drawn.returncode == 0, drawn.stderr
