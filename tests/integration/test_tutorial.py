"""The commands of docs/tutorial.md, one after the other, in a terminal of 80 columns, and its results in 160.

What `init` plans is made smaller, and the time that it is given larger: on a busy machine ten minutes are not enough.
"""

import csv
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import yaml
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
CHANGED = {"--time 10m": "--time 4h --slots 2", "--trials 20": "--trials 5"}
SMALLER = {
    "train": {"steps": 200, "report_every": 100, "images_per_category": 10},
    "asha": {"grace": 100, "reduction_factor": 3},
    "trials": 4,
    "confirm": {"finalists": 0, "top": 1, "seeds": 1},
}
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def in_terminal(command: str, folder: Path, columns: int) -> str:
    """Run a line of a shell in a terminal; what it has shown, without colours and movements of the cursor."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "CI")}
    environment |= {"PATH": path, "TERM": "xterm-256color"}
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        ["sh", "-c", command], stdin=its, stdout=its, stderr=its, cwd=folder, env=environment, start_new_session=True
    ) as process:
        os.close(its)
        shown = b""
        while part := _read(ours):
            shown += part
        os.close(ours)
        code = process.wait(timeout=60)
    text = _ESCAPES.sub("", shown.decode())
    assert code == 0, f"{command}: {code}\n{text}"
    return text


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # of Linux, when nobody has the other side open any more
        return b""


def lines_of(shown: str) -> list[str]:
    """What stood in a line, also for a moment."""
    return re.split(r"[\r\n]+", shown)


def make_smaller(space: Path) -> None:
    document = yaml.safe_load(space.read_text(encoding="utf-8"))
    for name, value in SMALLER.items():
        document[name] = document[name] | value if name == "train" else value
    space.write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command has shown, by the command, and the folder itself as ``.``."""
    folder = tmp_path_factory.mktemp("tutorial")
    (script,) = blocks("python")
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    seen = {".": str(folder)}
    for command in commands:
        run = command
        for words, others in CHANGED.items():
            run = run.replace(words, others)
        seen[command] = in_terminal(run, folder, columns=80)
        if command.startswith("eig-tune init"):
            make_smaller(folder / "digits.yaml")
    return seen


def test_no_command_is_left_out(shown: dict[str, str]) -> None:
    assert len(shown) == 10
    assert {command.split()[1] for command in shown if command != "."} == {
        "init", "search", "list", "status", "best", "predict", "sample",
    }  # fmt: skip


def test_tables_fit_into_eighty_columns(shown: dict[str, str]) -> None:
    """A sentence is one line, which a terminal folds; it can be copied and searched for as a whole."""
    lines = [line for command, text in shown.items() if command != "." for line in lines_of(text)]
    rows = [line for line in lines if re.search(r"\S {2,}\S+ {2,}\S", line)]
    assert len(rows) > 20
    assert max(map(len, rows)) <= 80, max(rows, key=len)


def test_search_shows_how_far_it_is_and_ends_with_its_front_and_what_to_do_next(shown: dict[str, str]) -> None:
    text = shown["eig-tune search --space digits.yaml"]
    assert "left" in text and "Pareto front" in text and "eig-tune best" in text
    assert "labels" not in text.partition("objectives")[2].partition("Pareto front")[0].replace("no labels", "")


def test_other_shells_see_the_search(shown: dict[str, str]) -> None:
    assert "digits" in shown["eig-tune list"] and "complete" in shown["eig-tune list"]
    assert "label_free_score" in shown["eig-tune status digits"].replace("\r\n", "")


def test_model_has_a_category_for_every_image_and_pictures_to_look_at(shown: dict[str, str]) -> None:
    folder = Path(shown["."])
    with (folder / "categories.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1797
    categories = json.loads((folder / "model" / "categories.json").read_text())
    assert len(categories) > 1
    for picture in ("samples.png", "model/samples.png", "model/categories.png"):
        with Image.open(folder / picture) as image:
            assert min(image.size) > 100
    assert (folder / "model" / "encoder.onnx").is_file()


def test_results_are_wider_in_a_wider_terminal(shown: dict[str, str]) -> None:
    wide = lines_of(in_terminal("eig-tune best --list", Path(shown["."]), columns=160))
    assert 80 < max(map(len, wide)) <= 160


def test_search_goes_on_with_more_trials(shown: dict[str, str]) -> None:
    assert "5 of 5" in in_terminal("eig-tune list", Path(shown["."]), columns=80)
