"""`eig-tune ui` in a real browser: a search's trials as a table, its description and plots, its trials with curves and
pictures, its registered model."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from classifiers import give_classifier
from mlflow.tracking import MlflowClient
from mlflow_server import free_port
from ports import listeners

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver"),
]
EIG_TUNE = Path(sys.executable).with_name("eig-tune")
SPACE = """
dataset: {name: digits}
model: {width: 8, noise_dim: 8}
train: {steps: 60, report_every: 20, batch_size: 32, images_per_category: 10, final_images_per_category: 20,
        generator_lr: 1.0e-3, discriminator_lr: 5.0e-4}
search: {lambda_1: {loguniform: [0.3, 3]}}
objectives: {neighbour_nmi: maximize, prior_share_gap: minimize}
asha: {grace: 20, brackets: 2}       # the first trial to come passes the rung, and number 3 is safe there
trials: 4
confirm: {finalists: 0, top: 1, seeds: 1}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a search that has ended, its best registered as the model ``digits-model``."""
    folder = tmp_path_factory.mktemp("ui")
    (folder / "shown.yaml").write_text(SPACE)
    home, printed = ("--home", folder / "home"), list[str]()
    give_classifier(folder / "home")
    for command in (
        ("search", "--space", folder / "shown.yaml", *home, "--gpus", "0"),
        ("best", "--register", "digits-model", *home),
    ):
        done = subprocess.run([EIG_TUNE, *command], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        printed += re.findall(r"MLflow: http://127\.0\.0\.1:5000/(#\S+)", done.stderr)
    assert len(printed) == 2 and printed[0] == printed[1], "at the start of the search, and at its end"
    (folder / "link").write_text(printed[0])
    return folder / "home"


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """Where `eig-tune ui` serves that home."""
    port = free_port()
    with subprocess.Popen(
        [EIG_TUNE, "ui", "--home", home, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1500,1000"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        _wait(driver, lambda: _opened(driver, address), 90)
        yield driver
    finally:
        driver.quit()


def _opened(driver: webdriver.Chrome, address: str) -> bool:
    try:
        driver.get(address)
    except Exception:
        return False
    return "MLflow" in driver.title


def _wait(driver: webdriver.Chrome, condition: Callable[[], object], seconds: float = 60) -> None:
    WebDriverWait(driver, seconds).until(lambda _: condition())


def _text(driver: webdriver.Chrome) -> str:
    return str(driver.find_element(By.TAG_NAME, "body").text)


class Pages:
    """Addresses of the UI's pages about the search."""

    def __init__(self, home: Path, address: str) -> None:
        self._client = MlflowClient(f"sqlite:///{home}/mlflow.db")
        self._experiment = self._client.get_experiment_by_name("shown").experiment_id
        self.runs = f"{address}/#/experiments/{self._experiment}/runs"
        self.printed = f"{address}/{(home.parent / 'link').read_text()}"

    def names(self, condition: str, order: str) -> list[str]:
        """The names of the runs for which the condition holds, in an order."""
        return [run.info.run_name for run in self._client.search_runs([self._experiment], condition, order_by=[order])]

    def run(self, condition: str, tab: str = "") -> str:
        """A page of the newest run for which the condition holds."""
        run = self._client.search_runs([self._experiment], condition)[0]
        return f"{self.runs}/{run.info.run_id}/{tab}"


@pytest.fixture
def pages(home: Path, address: str) -> Pages:
    return Pages(home, address)


def test_ui_is_for_this_machine_alone(address: str, browser: webdriver.Chrome) -> None:
    assert listeners(int(address.rpartition(":")[2])) == ["127.0.0.1"]


def test_port_in_use_is_one_line_and_exit_code_2(home: Path, address: str, browser: webdriver.Chrome) -> None:
    port = address.rpartition(":")[2]
    done = subprocess.run(
        [EIG_TUNE, "ui", "shown", "--home", home, "--port", port],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"--port: port {port} of this machine cannot be used" in done.stderr


def test_printed_link_opens_a_table_of_all_trials_the_best_first(pages: Pages, browser: webdriver.Chrome) -> None:
    browser.get(pages.printed)
    _wait(browser, lambda: "4 matching runs" in _text(browser))
    rows = "return [...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row')]"
    rows += ".sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index')).map(row => row.innerText)"
    expected = pages.names("tags.`eig_tune.kind` = 'trial'", "metrics.neighbour_nmi DESC")
    _wait(browser, lambda: len(browser.execute_script(rows)) == 4)
    shown = browser.execute_script(rows)
    assert all(name in row for name, row in zip(expected, shown, strict=True)), (expected, shown)
    for close in browser.find_elements(By.CSS_SELECTOR, "[aria-label='Close']"):
        close.click()  # the assistant, beside which there is no room for all columns
    columns = {"neighbour_nmi", "prior_share_gap", "nmi_real", "lambda_1"}
    _wait(browser, lambda: columns <= set(_heads(browser)))
    assert expected[0].startswith("neighbour_nmi 0."), "the name begins with the result"


def test_search_is_a_parent_with_its_trials_below(pages: Pages, browser: webdriver.Chrome) -> None:
    browser.get("about:blank")  # else the UI keeps the view of the page before
    browser.get(pages.runs)
    _wait(browser, lambda: "6 matching runs" in _text(browser))  # the search, four trials, one confirmation
    assert "trial 0" not in _text(browser)
    browser.find_element(By.CSS_SELECTOR, "[data-testid='expander'], .ag-row button").click()
    _wait(browser, lambda: all(f"trial {number} ·" in _text(browser) for number in range(4)))


def test_description_has_the_result_and_the_plots(pages: Pages, browser: webdriver.Chrome) -> None:
    browser.get(pages.run("tags.`eig_tune.kind` = 'search'"))
    _wait(browser, lambda: "4 trials: " in _text(browser))
    browser.find_element(By.CSS_SELECTOR, "[aria-label='Expand description']").click()
    for words in ("steps of training in all", "the only confirmed trial", "selection bias", "Pareto front"):
        assert words in _text(browser)
    # The samples, the categories, the front, the rungs.
    _wait(browser, lambda: len(_widths(browser, "get-artifact?path=")) == 4)
    assert min(_widths(browser, "get-artifact?path=")) > 150 and _widths(browser, "get-artifact?path=samples.png")
    link = browser.find_element(By.CSS_SELECTOR, "a[href*='artifacts/search.html']")
    assert str(link.get_property("href")) == pages.run("tags.`eig_tune.kind` = 'search'", "artifacts/search.html")


def test_plots_are_artifacts_and_one_page_answers_to_the_mouse(pages: Pages, browser: webdriver.Chrome) -> None:
    browser.get(pages.run("tags.`eig_tune.kind` = 'search'", "artifacts/search.html"))
    _wait(browser, lambda: browser.find_elements(By.TAG_NAME, "iframe"))
    histories = [f"history_{name}" for name in ("neighbour_nmi", "prior_share_gap")]
    for name in ("pareto_front", "rungs", *histories, "parallel_coordinates"):
        assert f"{name}.png" in _text(browser)
    assert "training.gif" in _text(browser) and "importances" not in _text(browser), "of 4 trials nothing is important"
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    try:
        _wait(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .svg-container")) == 5)
        assert "the only confirmed trial" in _text(browser) and "from 20 finished trials on" in _text(browser)
        _wait(browser, lambda: len(_widths(browser, "data:image/")) >= 2)  # the animation, and samples of the front
        row = browser.find_element(By.CSS_SELECTOR, "tr.front[data-trial]")
        browser.execute_script("arguments[0].scrollIntoView()", row)
        webdriver.ActionChains(browser).move_to_element(row).perform()
        _wait(browser, lambda: browser.find_element(By.CSS_SELECTOR, "#thumbnail img").is_displayed())
    finally:
        browser.switch_to.default_content()


def test_trial_has_its_curves_and_its_pictures(pages: Pages, browser: webdriver.Chrome) -> None:
    trial = "tags.`eig_tune.trial` = '0' and tags.`eig_tune.kind` = 'trial'"
    browser.get(pages.run(trial, "model-metrics"))
    _wait(
        browser,
        lambda: "augment_agreement" in _text(browser) and browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot"),
    )
    browser.get(pages.run(trial, "artifacts/samples.png"))
    _wait(browser, lambda: max(_widths(browser), default=0) > 200)


def test_classes_emerge_under_a_slider(pages: Pages, browser: webdriver.Chrome) -> None:
    search, slider = "input[placeholder*='Search metric']", "[role='slider']"
    browser.get(pages.run("tags.status = 'finished' and tags.front = 'true'", "model-metrics"))
    _wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, search))
    browser.find_element(By.CSS_SELECTOR, search).send_keys("samples")
    _wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, slider))
    for step in (20, 60):  # so fast a trial has a first and a last picture
        browser.find_element(By.CSS_SELECTOR, slider).send_keys(Keys.ARROW_RIGHT)
        _wait(browser, partial(_widths, browser, f"samples%2Bstep%2B{step}%2B"))


def test_registered_model_has_its_alias(address: str, browser: webdriver.Chrome) -> None:
    browser.get(f"{address}/#/models/digits-model")
    _wait(browser, lambda: "Version 1" in _text(browser) and "champion" in _text(browser))
    browser.get(f"{address}/#/models/digits-model/versions/1")
    # What it takes and what it gives, from its signature.
    _wait(browser, lambda: all(word in _text(browser) for word in ("champion", "Inputs", "Outputs", "confirmed.")))


def test_registered_version_shows_its_card_with_a_picture_and_a_request(
    address: str, browser: webdriver.Chrome
) -> None:
    browser.get(f"{address}/#/models/digits-model/versions/1")
    card = ("elastic-infogan, 10 categories", "How good it is", "mlflow models serve -m models:/digits-model/1")
    _wait(browser, lambda: all(words in _text(browser) for words in card))
    _wait(browser, lambda: _widths(browser, "get-artifact?path=categories.png"))


def _heads(driver: webdriver.Chrome) -> list[str]:
    heads = "return [...document.querySelectorAll('.ag-header-cell')].map(head => head.innerText.trim())"
    return list(driver.execute_script(heads))


def _widths(driver: webdriver.Chrome, address: str = "") -> list[int]:
    """Widths of the loaded pictures on the page whose addresses contain ``address``."""
    loaded = "[...document.images].filter(i => i.naturalWidth && i.src.includes(arguments[0]))"
    return list(driver.execute_script(f"return {loaded}.map(i => i.naturalWidth)", address))
