"""`eig-tune ui` in a real browser: a search with its description and plots, its trials with curves and pictures."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
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
    home = ("--home", folder / "home")
    for command in (
        ("search", "--space", folder / "shown.yaml", *home, "--gpus", "0"),
        ("best", "--register", "digits-model", *home),
    ):
        done = subprocess.run([EIG_TUNE, *command], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
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

    def run(self, condition: str, tab: str = "") -> str:
        """A page of the newest run for which the condition holds."""
        run = self._client.search_runs([self._experiment], condition)[0]
        return f"{self.runs}/{run.info.run_id}/{tab}"


@pytest.fixture
def pages(home: Path, address: str) -> Pages:
    return Pages(home, address)


def test_ui_is_for_this_machine_alone(address: str, browser: webdriver.Chrome) -> None:
    assert listeners(int(address.rpartition(":")[2])) == ["127.0.0.1"]


def test_search_is_a_parent_with_its_trials_below(pages: Pages, browser: webdriver.Chrome) -> None:
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
    _wait(browser, lambda: len(_widths(browser, "get-artifact?path=")) == 3)  # the front, the rungs, the categories
    assert min(_widths(browser, "get-artifact?path=")) > 300
    link = browser.find_element(By.CSS_SELECTOR, "a[href*='artifacts/search.html']")
    assert str(link.get_property("href")) == pages.run("tags.`eig_tune.kind` = 'search'", "artifacts/search.html")


def test_plots_are_artifacts_and_one_page_answers_to_the_mouse(pages: Pages, browser: webdriver.Chrome) -> None:
    browser.get(pages.run("tags.`eig_tune.kind` = 'search'", "artifacts/search.html"))
    _wait(browser, lambda: browser.find_elements(By.TAG_NAME, "iframe"))
    histories = [f"history_{name}" for name in ("neighbour_nmi", "prior_share_gap")]
    importances = [name.replace("history", "importances") for name in histories]
    for name in ("pareto_front", "rungs", *histories, *importances, "parallel_coordinates"):
        assert f"{name}.png" in _text(browser)
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    try:
        _wait(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .svg-container")) == 7)
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


def _widths(driver: webdriver.Chrome, address: str = "") -> list[int]:
    """Widths of the loaded pictures on the page whose addresses contain ``address``."""
    loaded = "[...document.images].filter(i => i.naturalWidth && i.src.includes(arguments[0]))"
    return list(driver.execute_script(f"return {loaded}.map(i => i.naturalWidth)", address))
