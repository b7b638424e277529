"""Pages in a real browser: written by the built command, opened from their files in headless Chromium.

`cargo xtask test --only pages` sets GATEMILL_COMMAND and installs the browser. A page that complains on its console, or
asks the network for anything, fails whichever test opened it.
"""

import base64
import io
import json
import os
import subprocess

import pytest
from PIL import Image, ImageChops
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
NARROW, WIDE = 360, 1280


class Writer:
    """Runs the command in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.command = os.environ["GATEMILL_COMMAND"]

    def run(self, *args):
        done = subprocess.run([self.command, *args], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, f"gatemill {' '.join(args)}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def page(self, name, *args):
        """The page that a command writes, once for all tests; `-o` is added."""
        path = self.folder / name
        if not path.exists():
            self.run(*args, "-o", name)
        return path


class Browser:
    """A page in view, its pixels, and what it asked for."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        # Without a sandbox: containers have none for root. Shared memory is small there too.
        for flag in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
                     "--force-color-profile=srgb", "--no-first-run", "--disable-background-networking"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_page_load_timeout(60)
        self.opened = None

    def open(self, path, width=WIDE, height=900, dark=False):
        self.screen(width, height, dark)
        self.logs()
        self.opened = path.as_uri()
        self.driver.get(self.opened)

    def screen(self, width=WIDE, height=900, dark=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def logs(self):
        """Console messages and requested addresses since the last call."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return messages, asked

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def picture(self, element=None):
        """The pixels of an element, or of what is in view."""
        how = {"format": "png"}
        if element is not None:
            how["captureBeyondViewport"] = True
            box = self.js("""const r = arguments[0].getBoundingClientRect();
                             return {x: r.x + scrollX, y: r.y + scrollY, width: r.width, height: r.height};""", element)
            how["clip"] = box | {"scale": 1}
        data = base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", how)["data"])
        return Image.open(io.BytesIO(data)).convert("RGB")

    def colour(self, selector, of="color"):
        """A computed colour as (r, g, b)."""
        # Through a canvas: whatever notation the style has, a pixel is red, green, blue.
        return tuple(self.js(
            """const c = document.createElement('canvas').getContext('2d');
               c.fillStyle = getComputedStyle(document.querySelector(arguments[0]))[arguments[1]];
               c.fillRect(0, 0, 1, 1);
               return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3);""", selector, of))


def near(picture, colour, tolerance=12):
    """How many pixels have a colour, or nearly."""
    bands = [band.point([255 if abs(v - want) <= tolerance else 0 for v in range(256)])
             for band, want in zip(picture.split(), colour)]
    return ImageChops.darker(ImageChops.darker(bands[0], bands[1]), bands[2]).histogram()[255]


@pytest.fixture(scope="session")
def writer(tmp_path_factory):
    return Writer(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="session")
def trained(writer):
    """A run folder: a small LSTM that read some of the built-in text for seconds."""
    writer.run("train", "--hidden", "32", "--batch", "16", "--seq", "50", "--steps", "300", "--eval-every", "50",
               "--eval-tokens", "20000", "--out", "small")
    return "small"


@pytest.fixture(scope="session")
def chromium():
    browser = Browser()
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium):
    """The browser; at the end of the test its page has said nothing and asked for nothing but itself."""
    yield chromium
    messages, asked = chromium.logs()
    assert messages == []
    assert [url for url in asked if url != chromium.opened and not url.startswith(("data:", "blob:"))] == []
    chromium.driver.get("about:blank")
