"""What `eig-tune ui` shows in a real browser: the search, its trials, their curves and pictures."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

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
train: {steps: 60, report_every: 20, batch_size: 32, images_per_category: 10, final_images_per_category: 20}
search: {lambda_1: {loguniform: [0.3, 3]}}
objectives: {q_mutual_information: maximize, prior_posterior_gap: minimize}
asha: {grace: 20}
trials: 3
confirm: {top: 1, seeds: 1}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a search that has ended."""
    folder = tmp_path_factory.mktemp("ui")
    (folder / "shown.yaml").write_text(SPACE)
    command = [EIG_TUNE, "search", "--space", folder / "shown.yaml", "--home", folder / "home", "--gpus", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "home"


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """Where `eig-tune ui` serves that home."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [EIG_TUNE, "ui", "--home", home, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator["webdriver.Chrome"]:
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


def _opened(driver: "webdriver.Chrome", address: str) -> bool:
    try:
        driver.get(address)
    except Exception:
        return False
    return "MLflow" in driver.title


def _wait(driver: "webdriver.Chrome", condition: object, seconds: float = 60) -> None:
    WebDriverWait(driver, seconds).until(lambda _: condition())  # type: ignore[operator]


def _text(driver: "webdriver.Chrome") -> str:
    return str(driver.find_element(By.TAG_NAME, "body").text)


def test_search_is_a_parent_with_its_trials_below(home: Path, address: str, browser: "webdriver.Chrome") -> None:
    experiment = MlflowClient(f"sqlite:///{home}/mlflow.db").get_experiment_by_name("shown").experiment_id
    browser.get(f"{address}/#/experiments/{experiment}/runs")
    _wait(browser, lambda: "5 matching runs" in _text(browser))  # the search, three trials, one confirmation
    assert "trial 0" not in _text(browser)
    browser.find_element(By.CSS_SELECTOR, "[data-testid='expander'], .ag-row button").click()
    _wait(browser, lambda: all(f"trial {number} ·" in _text(browser) for number in range(3)))


def test_trial_has_its_curves_and_its_pictures(home: Path, address: str, browser: "webdriver.Chrome") -> None:
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name("shown").experiment_id
    (run,) = client.search_runs([experiment], "tags.`eig_tune.trial` = '0' and tags.`eig_tune.kind` = 'trial'")
    page = f"{address}/#/experiments/{experiment}/runs/{run.info.run_id}"
    browser.get(f"{page}/model-metrics")
    _wait(
        browser,
        lambda: "augment_agreement" in _text(browser) and browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot"),
    )
    browser.get(f"{page}/artifacts/samples.png")
    _wait(browser, lambda: _widths_of_images(browser))


def _widths_of_images(driver: "webdriver.Chrome") -> bool:
    """Whether a picture of a trial's size is on the page, loaded."""
    script = "return [...document.images].some(i => i.complete && i.naturalWidth > 200)"
    return bool(driver.execute_script(script))
