"""``search.html`` says what a search was and what it has come to, shows its samples, and needs no network."""

import base64
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.data import ImageData, Images
from eig_tune.hpo.candidates import Candidate, Confirmed, candidates_of
from eig_tune.hpo.trial import Decision, Report, Trial
from eig_tune.reports.animation import animation_of
from eig_tune.reports.page_writer import data_in_words
from eig_tune.reports.search_page import SearchPage

TWO = {"nmi": "maximize", "prior_rmse": "minimize"}


def spec(**more: object) -> SearchSpec:
    document = {
        "dataset": {"name": "digits"},
        "search": {"lambda_1": {"loguniform": [0.3, 3]}},
        "objectives": TWO,
        **more,
    }
    return parse_spec(document, "test")


def ended(number: int, status: str, nmi: float, prior_rmse: float, reason: str = "") -> Trial:
    report = Report(100, {"nmi": nmi, "prior_rmse": prior_rmse}, 0.0, Decision("finished"))
    return Trial(number, {"lambda_1": 1.2345}, 0.0, status, reason, {100: report})  # type: ignore[arg-type]


TRIALS = (
    ended(0, "finished", 0.7, 0.20),
    ended(1, "finished", 0.9, 0.10),
    ended(2, "finished", 0.8, 0.05),
    ended(3, "stopped", 0.99, 0.01, "<b>rung</b> & more"),
)


def png(shade: int, size: tuple[int, int] = (40, 20), mode: str = "L") -> bytes:
    buffer = BytesIO()
    Image.new(mode, size, shade if mode == "L" else (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def page(finished: list[Candidate] | None = None, **more: object) -> str:
    candidates = candidates_of(TRIALS) if finished is None else finished
    return SearchPage("mine <1>", "digits & more", spec(), TRIALS, candidates, **more).html()  # type: ignore[arg-type]


def rows_of(text: str) -> list[list[str]]:
    body = text[text.index("<tbody>") : text.index("</tbody>")]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr.*?</tr>", body)]


def test_title_data_and_result_in_words_with_every_text_escaped() -> None:
    text = page()
    assert "<title>mine &lt;1&gt;</title>" in text and "<h1>mine &lt;1&gt;</h1>" in text
    assert "digits &amp; more" in text
    assert "<b>4 trials: 3 finished, 1 stopped</b>, 400 steps of training." in text
    assert "<b>Trial 1</b>, the best of 3 finished trials by the knee of the front" in text
    assert "&lt;b&gt;rung&lt;/b&gt; &amp; more" in text and "<b>rung</b>" not in text


def test_table_has_the_front_first_then_the_finished_then_the_others() -> None:
    text = page()
    assert [row[:6] for row in rows_of(text)] == [
        ["1", "finished", "100", "0.900", "0.100", "1.234"],
        ["2", "finished", "100", "0.800", "0.050", "1.234"],
        ["0", "finished", "100", "0.700", "0.200", "1.234"],
        ["3", "stopped", "100", "0.990", "0.010", "1.234"],
    ]
    assert text.count('<tr class="front"') == 2 and "<th>confirmed" not in text


def test_confirmed_means_have_their_spread_and_a_single_one_has_none() -> None:
    several = Confirmed(1, 3, 3, 0, {"nmi": 0.85, "prior_rmse": 0.11}, {"nmi": 0.012, "prior_rmse": 0.004})
    single = Confirmed(2, 1, 1, 0, {"nmi": 0.75, "prior_rmse": 0.06}, {})
    text = page(candidates_of(TRIALS, [several, single]))
    rows = {row[0]: row for row in rows_of(text)}
    assert rows["1"][5:7] == ["0.850 ± 0.012", "0.110 ± 0.004"]
    assert rows["2"][5:7] == ["0.750", "0.060"] and rows["0"][5:7] == ["–", "–"]
    assert "selection bias (found − confirmed) over 2 trials" in text and "± 0.000" not in text


def test_samples_of_the_front_stand_side_by_side_and_all_are_thumbnails() -> None:
    text = page(samples={0: png(10), 1: png(20), 2: png(30)})
    assert re.findall(r'<img alt="samples of trial (\d)"', text) == ["1", "2"], "trial 0 is not on the front"
    assert "trial 1: nmi 0.900, prior_rmse 0.100" in text
    thumbnails = re.search(r"const thumbnails = (\{.*?\});", text)
    assert thumbnails is not None and re.findall(r'"(\d)": "data:image/png', thumbnails[1]) == ["0", "1", "2"]


def test_importance_is_withheld_below_20_finished_trials() -> None:
    assert "is shown from 20 finished trials on; 3 finished trials would tell" in page()
    many = [ended(number, "finished", 0.5, 0.1) for number in range(20)]
    text = SearchPage("mine", "", spec(), many, candidates_of(many)).html()
    assert "finished trials on;" not in text


@pytest.mark.parametrize("trials", [(), TRIALS[3:]], ids=["none", "none finished"])
def test_search_without_finished_trials_has_a_page(trials: tuple[Trial, ...]) -> None:
    text = SearchPage("mine", "", spec(), trials).html()
    assert "No trial has finished." in text and len(rows_of(text)) == len(trials)


def test_page_loads_nothing_from_other_addresses() -> None:
    gif = animation_of({1: png(1), 2: png(2)})
    text = page(samples={1: png(20)}, animation=gif)
    addresses = re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=(.{6})", text)
    assert len(addresses) == 2 and set(addresses) == {'"data:'}


def test_constraints_and_disagreement_are_said() -> None:
    report = Report(100, {"nmi": 0.95, "prior_rmse": 0.01, "prior_posterior_gap": 0.4}, 0.0, Decision("finished"))
    trials = [Trial(0, {"lambda_1": 1.0}, 0.0, "finished", reports={100: report})]
    of = spec(constraints={"nmi": ">= 0.99"})
    text = SearchPage("mine", "", of, trials, candidates_of(trials)).html()
    assert "nmi &gt;= 0.99: met by 0 of 1 finished trials" in text
    assert "<b>Warning</b>: the encoder puts 40% of the real images" in text


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_animation_has_a_frame_for_each_picture_in_the_order_of_steps(mode: str) -> None:
    gif = animation_of({500: png(200, mode=mode), 100: png(50, mode=mode), 1500: png(120, mode=mode)})
    assert gif is not None
    shades, durations = [], []
    with Image.open(BytesIO(gif)) as opened:
        assert opened.info["loop"] == 0
        for index in range(opened.n_frames):  # type: ignore[attr-defined]
            opened.seek(index)
            shades.append(int(np.asarray(opened.convert("RGB"))[-1, -1, 0]))
            durations.append(opened.info["duration"])
    assert shades == [50, 200, 120] and durations[-1] > durations[0]


def test_one_picture_is_no_animation() -> None:
    assert animation_of({}) is animation_of({500: png(1)}) is None


def test_data_in_words_speak_of_classes_where_there_are_labels() -> None:
    pixels, labels = np.zeros((4, 3, 16, 16), np.uint8), np.array([0, 1, 0, 1])
    for images, classes in ((Images(pixels, labels), " of 2 classes"), (Images(pixels, None), "")):
        data = ImageData("mine", ("a", "b"), training=images, trainable=images, held_out=images)
        assert data_in_words(data, "elastic-infogan") == (
            f"mine: 4 training images{classes}, 16 × 16, colour; elastic-infogan"
        )


def test_wide_pictures_are_animated_smaller_and_thumbnails_are_small() -> None:
    gif = animation_of({1: png(1, (2000, 1000)), 2: png(200, (2000, 1000))})
    assert gif is not None
    with Image.open(BytesIO(gif)) as opened:
        assert opened.width == 640
    text = page(samples={1: png(20, (2000, 1000))})
    encoded = re.findall(r'"1": "data:image/png;base64,([^"]+)"', text)
    with Image.open(BytesIO(base64.b64decode(encoded[0]))) as small:
        assert max(small.size) == 300
