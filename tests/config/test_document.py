"""The text of a search's YAML: what it means is what the person meant, or one line says where it does not."""

import time
from pathlib import Path
from typing import Any

import pytest

from eig_tune.config.space import load_spec
from eig_tune.errors import ConfigError

GOOD = """\
dataset: {name: digits}
train: {steps: 2000, report_every: 250}
asha: {grace: 500}
search:
  lambda_1: {loguniform: [0.3, 3]}
"""


def loaded(folder: Path, text: str | bytes) -> Any:
    file = folder / "space.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_spec(file)


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    (problem,) = caught.value.problems
    assert len(str(problem)) < 300 and "\n" not in str(problem)
    return str(problem)


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        (GOOD + "trials: 3\ntrials: 4\n", "trials", 7),
        (GOOD + "  lambda_1: {uniform: [0, 1]}\n", "lambda_1", 6),
        (GOOD + "augment: {zoom: 0.1, zoom: 0.2}\n", "zoom", 6),
        (GOOD + "augment:\n  <<: {zoom: 0.1}\n  <<: {shear: 1}\n", "<<", 8),
        (GOOD + "start_from:\n  - {lambda_1: 1, lambda_1: 2}\n", "lambda_1", 7),
        (GOOD + '"trials": 3\ntrials: 4\n', "trials", 7),
    ],
)
def test_key_that_is_written_twice_is_refused_with_its_line(tmp_path: Path, text: str, key: str, line: int) -> None:
    message = refusal(tmp_path, text)
    assert f"line {line}" in message and repr(key) in message and "twice" in message


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lambda_2: 3e-3", 3e-3),
        ("lambda_2: 3E+1", 30.0),
        ("lambda_2: 1_000", 1000.0),
        ("lambda_2: 5.", 5.0),
        ("lambda_2: .5", 0.5),
        ("lambda_2: +5", 5.0),
        ("lambda_2: '7'", 7.0),
        ("batch_size: 012", 12),
        ("batch_size: 6.4e1", 64),
        ("batch_size: !!str 64", 64),
        ("straight_through: yes", True),
        ("straight_through: off", False),
        ("straight_through: True", True),
        ("straight_through: &it true", True),
    ],
)
def test_value_is_what_a_person_means_by_it(tmp_path: Path, written: str, meant: object) -> None:
    spec = loaded(tmp_path, GOOD.replace("report_every: 250", f"report_every: 250, {written}"))
    value = getattr(spec.train, written.partition(":")[0])
    assert value == meant and type(value) is type(meant)


@pytest.mark.parametrize(
    "written",
    [
        "lambda_2: .nan",
        "lambda_2: .inf",
        "lambda_2: -.INF",
        "lambda_2: nan",
        "lambda_2: 1:30",
        "lambda_2: 2001-12-14",
        "lambda_2: 0x10",
        "lambda_2: null",
        "lambda_2: ~",
        "lambda_2:",
        "lambda_2: true",
        "lambda_2: yes",
        "lambda_2: [1]",
        "lambda_2: {a: 1}",
        "batch_size: true",
        "batch_size: 64.5",
        "batch_size: 1:04",
        "batch_size: 99999999999999999999",
        "capacity_steps: 1e30",
        "straight_through: 0.5",
        "straight_through: maybe",
        "distance: true",
        "distance: 2001-12-14",
    ],
)
def test_value_that_is_no_such_thing_is_one_problem_at_its_key(tmp_path: Path, written: str) -> None:
    text = GOOD.replace("steps: 2000, report_every: 250", f"steps: 2000, report_every: 250, {written}")
    message = refusal(tmp_path, text)
    assert message.startswith(f"train.{written.partition(':')[0]}: got")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("# a comment\n", "is empty"),
        ("---\n...\n", "is empty"),
        ("- a\n- b\n", "must be a mapping"),
        ("just words", "must be a mapping"),
        ("3", "must be a mapping"),
        (GOOD + "---\n" + GOOD, "another document"),
        (GOOD + "trials: [1, 2\n", "line"),
        (GOOD + "\ttrials: 3\n", "line 6"),
        (GOOD + "trials: *nobody\n", "line 6"),
        (GOOD + "trials: !!python/object/apply:os.system [echo]\n", "line 6"),
        (GOOD + "trials: !!int three\n", "line 6"),
        (GOOD + "trials: !!timestamp three\n", "line 6"),
        (GOOD + "trials: !mine 3\n", "line 6"),
        (GOOD + "? [a, b]\n: 1\n", "line 6"),
        (GOOD + "trials: " + "9" * 5000 + "\n", "trials"),
        (GOOD.encode() + "# Größe\n".encode("latin-1"), "line 6"),
        (GOOD.encode() + b"# \x00\n", "line 6"),
        (b"\xff\xfe\x00", "UTF-8"),
        ("a: " + "[" * 2000 + "]" * 2000, "deep"),
        ("a: " + "[" * 60 + "]" * 60, "deep"),
        ("a: " + "{a: " * 100_000, "deep"),
        ("a: &a [*a]", "line 1"),
        ("a: &a {<<: *a}", "line 1"),
    ],
)
def test_file_that_cannot_be_meant_is_one_problem(tmp_path: Path, text: str | bytes, words: str) -> None:
    assert words in refusal(tmp_path, text)


def test_space_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert loaded(tmp_path, GOOD.encode(encoding)) == loaded(tmp_path, GOOD)


def test_anchors_and_merge_keys_are_understood(tmp_path: Path) -> None:
    text = GOOD + "compare:\n  joint-vae: &it {steps: 7, vae_lr: 1e-3}\n  uniform-infogan: {<<: *it, steps: 8}\n"
    assert loaded(tmp_path, text).compare == {
        "joint-vae": {"steps": 7, "vae_lr": 1e-3},
        "uniform-infogan": {"steps": 8, "vae_lr": 1e-3},
    }


def bomb(merging: bool) -> str:
    """A hundred lines that stand for 10^20 values."""
    lines = ["a0: &a0 {x: 1}" if merging else "a0: &a0 [x, x]"]
    for level in range(1, 21):
        inside = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} " + (f"{{<<: [{inside}]}}" if merging else f"[{inside}]"))
    return "\n".join(lines)


@pytest.mark.parametrize("merging", [False, True])
def test_few_lines_that_stand_for_more_than_memory_holds_are_refused_at_once(tmp_path: Path, merging: bool) -> None:
    started = time.monotonic()
    assert "too large" in refusal(tmp_path, bomb(merging))
    assert time.monotonic() - started < 2


def test_file_without_end_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="too large"):
        load_spec(Path("/dev/zero"))


def test_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_spec(tmp_path)


@pytest.mark.parametrize("section", ["dataset", "model", "train", "augment", "search", "objectives", "asha", "compare"])
@pytest.mark.parametrize("value", ["", "[1, 2]", "3", "words"])
def test_what_is_no_mapping_is_one_problem_in_plain_words(tmp_path: Path, section: str, value: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith((section, "  " if section == "search" else "-"))]
    message = refusal(tmp_path, "\n".join([*lines, f"{section}: {value}"]) + "\n")
    assert message.startswith(f"{section}: got ") and "must be a mapping" in message
    assert "instance of" not in message and "None" not in message
