"""Only what carries a search's id is resumed, written or cleared."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logged import logged

from eig_tune.config.constraints import Bound
from eig_tune.config.space import parse_spec
from eig_tune.errors import ConfigError, EigTuneError, ResultError
from eig_tune.home import Home
from eig_tune.hpo.event_log import EventLog
from eig_tune.hpo.state import SearchState
from eig_tune.tracking import local_uri
from eig_tune.workflows.identity import (
    begin_or_check,
    find_search,
    note_constraints,
    noted_header,
    noted_start_points,
    own_searches,
)
from eig_tune.workflows.options import RunOptions

TRAITS: dict[str, Any] = {
    "spec": {"dataset": {"name": "folder", "root": "/a", "imbalance": {"file": "/a/t.csv", "row": 0}}, "seed": 0},
    "data": "d1",
}


class Person:
    """Who begins and resumes searches in one home, and reads what is logged."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.home = Home(path)
        self.options = RunOptions("mine", options.pop("tracking_uri", local_uri(path)), **options)
        self.said = list[str]()

    def find(self, resume: bool = False, traits: dict[str, Any] = TRAITS) -> str:
        with logged() as log:
            found = find_search(self.home, replace(self.options, resume=resume), traits)
        self.said += log.lines
        return found

    def search(self, resume: bool = False, traits: dict[str, Any] = TRAITS) -> str:
        """Begin, or go on, and try one more trial; the search's id."""
        search_id = self.find(resume, traits)
        with EventLog(self.home.event_log("mine")) as event_log:
            begin_or_check(event_log, search_id, traits, "'mine'", self.home)
            event_log.propose(len(event_log.trials), {})
        return search_id


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path / "home")


def changed(**dataset: Any) -> dict[str, Any]:
    return {**TRAITS, "spec": {**TRAITS["spec"], "dataset": {**TRAITS["spec"]["dataset"], **dataset}}}


def write_event_log(home: Home, *events: dict[str, Any]) -> Path:
    file = home.event_log("mine")
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    return file


def test_search_keeps_its_id_and_no_two_have_the_same(person: Person, tmp_path: Path) -> None:
    began = person.search()
    assert re.fullmatch("[0-9a-f]{32}", began)
    assert person.search(resume=True) == began
    assert person.said == []
    assert Person(tmp_path / "another home").search() != began


def test_nothing_is_made_before_it_is_known_that_a_search_can_begin(person: Person) -> None:
    person.find()
    assert not person.home.path.exists()


def test_resume_of_nothing_begins_anew_and_says_so(person: Person) -> None:
    person.search(resume=True)
    (line,) = person.said
    assert line == f"--resume: {person.home.path} has nothing called 'mine' to go on with; it begins anew"


def test_search_of_that_name_is_not_begun_twice(person: Person) -> None:
    person.search()
    with pytest.raises(ResultError, match="there is 'mine' already; go on with it by --resume, or give another name"):
        person.find()


def test_search_that_runs_in_another_process_is_refused(person: Person) -> None:
    person.search()
    with EventLog(person.home.event_log("mine")), pytest.raises(ResultError, match="running already"):
        person.find(resume=True)


def test_of_two_that_begin_at_once_the_second_is_refused(person: Person) -> None:
    search_id = person.find()
    person.search()
    with (
        EventLog(person.home.event_log("mine")) as event_log,
        pytest.raises(ResultError, match="belongs to another search"),
    ):
        begin_or_check(event_log, search_id, TRAITS, "'mine'", person.home)


@pytest.mark.parametrize(
    "traits",
    [
        changed(root="/b"),
        changed(root=None, name="mnist"),
        changed(imbalance={"file": "/b/t.npy", "row": 3}),
        changed(image_size=16, channels=1),
    ],
)
def test_same_images_from_elsewhere_are_the_same_search(person: Person, traits: dict[str, Any]) -> None:
    assert person.search() == person.search(resume=True, traits=traits)


def test_constraints_may_be_changed_which_is_said_once(tmp_path: Path) -> None:
    floor = {"nmi_real": Bound.parse(">= 0.8")}
    for constraints, changed, words in (
        ({}, False, ""),
        (floor, True, "constraints were none, are now nmi_real >= 0.8: the 1 trials so far were proposed under the"),
        (floor, False, ""),
        ({"nmi_real": Bound.parse(">= 0.5")}, True, "constraints were nmi_real >= 0.8, are now nmi_real >= 0.5: the 3"),
        ({}, True, "constraints were nmi_real >= 0.5, are now none"),
    ):
        with EventLog(tmp_path / "events.jsonl") as event_log, logged() as log:
            assert note_constraints(event_log, constraints) is changed
            event_log.propose(len(event_log.trials), {})
        assert words in log.text if words else log.text == ""


def test_constraints_of_a_search_that_begins_are_not_a_change(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as event_log, logged() as log:
        note_constraints(event_log, {"nmi_real": Bound.parse(">= 0.8")})
    assert log.text == ""


def test_other_images_are_another_search_and_every_difference_is_reported(person: Person) -> None:
    person.search()
    with pytest.raises(ConfigError) as refused:
        person.find(resume=True, traits={**changed(root="/b"), "data": "d2"})
    assert str(refused.value).splitlines() == [
        "--resume: 'mine' was another one; give another --name for this: 2 problems",
        "  dataset.root: was '/a', is now '/b'",
        "  data: was 'd1', is now 'd2'",
    ]


@pytest.mark.parametrize(
    "events",
    [
        [{"event": "search", "header": TRAITS, "at": 0.0}],
        [{"event": "search", "header": {**TRAITS, "id": "../../elsewhere"}, "at": 0.0}],
        [{"event": "search", "header": {**TRAITS, "id": None}, "at": 0.0}],
        [{"event": "trial", "trial": 0, "values": {}, "at": 0.0}],
    ],
    ids=["earlier version", "id that is a path", "no id", "no header"],
)
def test_event_log_without_an_id_is_refused_and_left_as_it_was(person: Person, events: list[dict[str, Any]]) -> None:
    file = write_event_log(person.home, *events)
    before = file.read_bytes()
    with pytest.raises(EigTuneError, match="gave it no id; give another --name for this") as refused:
        person.find(resume=True)
    assert "\n" not in str(refused.value) and refused.value.exit_code == 2
    assert file.read_bytes() == before


def test_search_that_was_killed_before_it_had_begun_begins(person: Person) -> None:
    write_event_log(person.home)
    person.search()


@pytest.mark.parametrize("left", ["confirmation.jsonl", "optuna.log", "evaluations"])
@pytest.mark.parametrize("resume", [False, True])
def test_what_another_search_has_left_is_not_taken_for_this_ones(person: Person, left: str, resume: bool) -> None:
    """The study would lack this search's trials, and confirmations and pictures of the other's be shown."""
    folder = person.home.study("mine")
    (folder / left).mkdir(parents=True)
    with pytest.raises(ResultError, match=rf"whose events.jsonl is gone \({left}\); move the folder away"):
        person.find(resume)


def test_confirmations_of_another_search_are_refused(tmp_path: Path) -> None:
    for search_id, refused in (("1" * 32, False), ("1" * 32, False), ("2" * 32, True)):
        with EventLog(tmp_path / "confirmation.jsonl") as event_log:
            if refused:
                with pytest.raises(ResultError, match=r"confirmation\.jsonl belongs to another search"):
                    begin_or_check(event_log, search_id, {}, str(tmp_path / "confirmation.jsonl"), Home(tmp_path))
            else:
                begin_or_check(event_log, search_id, {}, "", Home(tmp_path))


@pytest.fixture(autouse=True)
def no_question_to_amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    """In which region a bucket lies is asked there, unless it is said."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


SHARED = [{"storage": "s3://bucket/checkpoints"}, {"tracking_uri": "http://server:5000"}]


@pytest.mark.parametrize("shared", SHARED)
def test_copy_of_a_home_is_refused_where_both_would_write_to_one_place(tmp_path: Path, shared: dict[str, str]) -> None:
    original, copy = Person(tmp_path / "home", **shared), Person(tmp_path / "copy", **shared)
    original.search()
    shutil.copytree(original.home.path, copy.home.path)
    with pytest.raises(ResultError) as refused:
        copy.find(resume=True)
    (place,) = shared.values()
    assert str(refused.value) == (
        f"--home: {copy.home.path} is a copy of {original.home.path}, and 'mine' of both would write to {place}; "
        "go on there, or give another --name"
    )
    assert original.search(resume=True) and original.said == []


def test_copy_of_a_home_that_has_everything_in_itself_is_a_search_of_its_own(person: Person, tmp_path: Path) -> None:
    person.search()
    shutil.copytree(person.home.path, tmp_path / "copy")
    copy = Person(tmp_path / "copy")
    copy.search(resume=True)
    assert copy.said == []
    assert [len(of.home.event_log("mine").read_text().splitlines()) for of in (person, copy)] == [2, 4]


@pytest.mark.parametrize("shared", SHARED)
def test_moved_home_goes_on_and_says_once_what_a_copy_would_do(tmp_path: Path, shared: dict[str, str]) -> None:
    original, moved = Person(tmp_path / "home", **shared), Person(tmp_path / "moved", **shared)
    began = original.search()
    original.home.path.rename(moved.home.path)
    assert moved.search(resume=True) == began
    (line,) = moved.said
    assert line.startswith(f"this search was begun in {original.home.path}; if that home is still used, go on in one")
    assert moved.search(resume=True) == began and moved.said == [line]


def test_home_under_another_name_is_the_same_home(tmp_path: Path) -> None:
    original, link = Person(tmp_path / "home", **SHARED[0]), Person(tmp_path / "link", **SHARED[0])
    began = original.search()
    link.home.path.symlink_to(original.home.path)
    assert link.search(resume=True) == began


def test_header_is_read_while_the_search_runs_and_none_is_made_up(person: Person, tmp_path: Path) -> None:
    assert noted_header(person.home, "mine") == {}
    began = person.search()
    with EventLog(person.home.event_log("mine")):
        assert noted_header(person.home, "mine")["id"] == began
    for damaged in (b"", b"{", b"[]", b"{}", b'{"header": 3}', b"\xff\n"):
        person.home.event_log("mine").write_bytes(damaged)
        assert noted_header(person.home, "mine") == {}


def carries_the_seed(state: SearchState, path: str, was: Any, is_now: Any) -> str | None:
    return None if path == "spec.seed" else "for a reason"


def test_difference_that_can_be_carried_over_is_noted_with_the_seed_that_trials_keep(person: Person) -> None:
    began, now = person.search(), {**TRAITS, "spec": {**TRAITS["spec"], "seed": 7}}
    with pytest.raises(ConfigError, match=r"seed: was 0, is now 7$"):
        person.find(resume=True, traits=now)
    for seed in (7, 8, 0):
        now = {**TRAITS, "spec": {**TRAITS["spec"], "seed": seed}}
        options = replace(person.options, resume=True)
        assert find_search(person.home, options, now, carries_the_seed) == began
        with EventLog(person.home.event_log("mine")) as event_log:
            begin_or_check(event_log, began, now, "'mine'", person.home, carries_the_seed)
            assert event_log.header.get("trial_seed", seed) == 0, "that with which it has begun"
        assert noted_header(person.home, "mine")["spec"]["seed"] == seed
    assert own_searches(person.home, "mine") == [began]


def test_difference_that_cannot_be_carried_over_has_its_reason(person: Person) -> None:
    person.search()
    other = {**TRAITS, "spec": {**TRAITS["spec"], "seed": 7, "method": "joint-vae"}, "data": "d2"}
    with pytest.raises(ConfigError) as refused:
        find_search(person.home, replace(person.options, resume=True), other, carries_the_seed)
    lines = str(refused.value).splitlines()[1:]
    assert "  data: was 'd1', is now 'd2'; for a reason" in lines and not any("seed" in line for line in lines)


def test_homes_own_searches_are_those_it_has_event_logs_of_the_newest_first(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert own_searches(home, None) == own_searches(home, "one") == []
    for at, name in enumerate(("one", "two", "three", "old", "damaged")):
        header = {"id": str(at) * 32} if at < 3 else TRAITS
        file = home.event_log(name)
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"event": "search", "header": header, "at": 0.0}) + "\n" if at < 4 else "?")
        os.utime(file, (1000 - at, 1000 - at))
    os.utime(home.event_log("two"), (2000, 2000))
    assert own_searches(home, None) == ["1" * 32, "0" * 32, "2" * 32]
    assert own_searches(home, "three") == ["2" * 32]
    assert own_searches(home, "old") == own_searches(home, "none") == own_searches(home, "../..") == []


@pytest.mark.parametrize(
    ("own", "noted", "kept"),
    [
        ([], [{"lambda_1": 1.0}], True),
        ([{"lambda_1": 2.0}], [{"lambda_1": 2.0}, {"lambda_1": 1.0}], True),
        ([{"lambda_1": 2.0}], [{"lambda_1": 3.0}, {"lambda_1": 1.0}], False),
        ([{"lambda_1": 2.0}], [{"lambda_1": 2.0}], False),
    ],
)
def test_warmed_search_keeps_what_it_began_with(
    person: Person, own: list[dict[str, float]], noted: list[dict[str, float]], kept: bool
) -> None:
    """The search that it was warmed up by may have found better trials since."""
    traits = {**TRAITS, "spec": {**TRAITS["spec"], "start_from": noted}}
    spec = parse_spec({"dataset": {"name": "digits"}, "search": {"lambda_1": {"uniform": [0, 9]}}}, "test")
    spec = spec.model_copy(update={"start_from": tuple(own)})
    assert noted_start_points(person.home, "mine", spec) is None
    person.search(traits=traits)
    assert noted_start_points(person.home, "mine", spec) == (tuple(noted) if kept else None)
