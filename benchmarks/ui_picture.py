"""The README's picture of the MLflow UI: a search's note, and the samples of its best trial under the slider.

make demo
python -m benchmarks.ui_picture [--home demo] [--name digits]      (needs chromium and chromium-driver)
"""

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from eig_tune.hpo.selection import choose
from eig_tune.tracking import local_uri, read_search

PICTURE = Path(__file__).parent / "pictures" / "ui.png"
HEIGHT, NOTE_WIDTH, SAMPLES_WIDTH = 1180, 1100, 640
SIZE = f"--window-size={NOTE_WIDTH},{HEIGHT}"
SECONDS = 120


@contextlib.contextmanager
def served(home: Path) -> Iterator[str]:
    """The address at which `eig-tune ui` serves the home."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command: list[str | Path] = [Path(sys.executable).with_name("eig-tune"), "ui", "--home", home, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@contextlib.contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", SIZE):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        yield driver
    finally:
        driver.quit()


def found(driver: webdriver.Chrome, css: str) -> WebElement:
    """The last such element that can be seen, as soon as there is one."""
    return WebDriverWait(driver, SECONDS).until(
        lambda _: [element for element in driver.find_elements(By.CSS_SELECTOR, css) if element.is_displayed()]
    )[-1]


def enter(driver: webdriver.Chrome, address: str) -> None:
    """Open the UI as soon as it is served, in its mode for training rather than for prompts."""
    end = time.monotonic() + SECONDS
    while "MLflow" not in driver.title:
        assert time.monotonic() < end, f"{address} does not answer"
        with contextlib.suppress(WebDriverException):
            driver.get(address)
        time.sleep(1)
    training = (By.XPATH, "//*[text()='Model training']")
    WebDriverWait(driver, SECONDS).until(lambda _: driver.find_elements(*training))[-1].click()
    found(driver, "[aria-label='Close']").click()  # the assistant


def shot(driver: webdriver.Chrome) -> Image.Image:
    """What the browser shows, once it has come to rest."""
    time.sleep(4)
    return Image.open(BytesIO(driver.get_screenshot_as_png())).convert("RGB")


def note(driver: webdriver.Chrome, run: str) -> Image.Image:
    """A run's page with its note unfolded."""
    driver.get(run)
    found(driver, "[aria-label='Expand description']").click()
    return shot(driver)


def samples(driver: webdriver.Chrome, run: str, reports: int) -> Image.Image:
    """The samples of a run's newest checkpoint, over the whole page; there are no more of them than reports."""
    driver.get(f"{run}/model-metrics")
    found(driver, "input[placeholder*='Search metric']").send_keys("samples")
    for _ in range(reports):
        found(driver, "[role='slider']").send_keys(Keys.ARROW_RIGHT)
    found(driver, "[data-component-id='fullscreen_button_chartcard']").click()
    driver.set_window_size(SAMPLES_WIDTH, HEIGHT)
    return shot(driver)


def main() -> None:
    """Take both pictures and set them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("demo"))
    parser.add_argument("--name", default="digits")
    arguments = parser.parse_args()
    search = read_search(local_uri(arguments.home), arguments.name)
    best = choose(search.finished(), search.objectives, search.constraints)
    reports = len(search.store.client.get_metric_history(best.run_id, "nmi"))
    with served(arguments.home) as address, browser() as driver:
        enter(driver, address)
        runs = f"{address}/#/experiments/{search.store.experiment_id}/runs"
        shots = [
            note(driver, f"{runs}/{search.run.run_id}"),
            samples(driver, f"{runs}/{best.run_id}", reports),
        ]
    joined = Image.new("RGB", (sum(picture.width for picture in shots), max(picture.height for picture in shots)))
    joined.paste(shots[0], (0, 0))
    joined.paste(shots[1], (shots[0].width, 0))
    PICTURE.parent.mkdir(exist_ok=True)
    joined.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
