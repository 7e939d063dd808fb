"""A real browser (Chromium) on the page, and what its video elements show."""
import base64
import json
import os
import subprocess
import tempfile

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from .browser_picture import PICTURE_TAKER, grey_values
from .wait import wait_for

DRIVER = "/usr/bin/chromedriver"
FLAGS = ("--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required "
         "--disable-dev-shm-usage --mute-audio").split()

# The picture of a video element in grey, and when it was taken.
GRAB = PICTURE_TAKER + """
const [selector, width, height] = arguments;
const video = document.querySelector(selector);
return video && video.readyState >= 2 ? pictureTaker(width, height)(video) : null;
"""

CANVAS = """
const canvas = document.querySelector(arguments[0]);
const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
let text = '';
for (let i = 0; i < data.length; i += 64) text += String.fromCharCode(data[i]);
return btoa(text);
"""


class Browser:
    """with Browser() as browser: browser.open("http://127.0.0.1:8005/")"""

    def __init__(self, width=1280, height=800):
        self._console, self._told = [], 0  # what the page said, and how much of it console() has told
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        options = Options()
        for flag in (*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={self._profile.name}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(DRIVER, log_path=os.devnull), options=options)
        self.driver.set_script_timeout(60)
        self.resize(width, height)
        self.set_scheme("dark")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()
        self._profile.cleanup()

    def open(self, url):
        # Another document, even when only the part after `#` differs.
        self.driver.get("about:blank")
        self._read_console()
        self._told = len(self._console)
        self.driver.get(url)

    def run(self, script, *args):
        return self.driver.execute_script(script, *args)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def resize(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def set_scheme(self, scheme):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def _read_console(self):
        self._console += [entry for entry in self.driver.get_log("browser")
                          if "WebSocket connection to" not in entry["message"]]

    def console(self, loads=False):
        """Messages since the last call or page; those about answers that are not 2xx only if loads is true."""
        self._read_console()
        fresh = self._console[self._told:]
        self._told = len(self._console)
        return [entry["message"] for entry in fresh if loads or "Failed to load resource" not in entry["message"]]

    def errors(self):
        """Errors since the last call, on whatever page; neither answers that are not 2xx nor what a player's library
        notes of them."""
        self._read_console()
        entries, self._console, self._told = self._console, [], 0
        return [entry["message"] for entry in entries
                if entry["level"] == "SEVERE" and "Failed to load resource" not in entry["message"] and
                not (entry["source"] == "console-api" and "/mpegts.js " in entry["message"])]

    def wait(self, script, deadline, what, *args):
        return wait_for(lambda: self.run(f"return {script}", *args), deadline, what, interval=0.1)

    # --- pictures ---

    def picture(self, selector="video", width=320, height=180):
        """-> (time in ms since the epoch, array of grey values), or None while there is none."""
        # Not by run(): what that returns is kept in the page's memory, which is measured too.
        call = f"(function() {{ {GRAB} }})({json.dumps(selector)}, {width}, {height})"
        answer = self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": call, "returnByValue": True})
        grabbed = answer["result"].get("value")
        if grabbed is None:
            return None
        at, text = grabbed
        return at, grey_values(text, width, height)

    def canvas_spread(self, selector):
        """Standard deviation of the grey values of a canvas: 0 when it is of one colour."""
        data = self.run(CANVAS, selector)
        return float(np.frombuffer(base64.b64decode(data), np.uint8).std())

    def frames(self, selector="video"):
        """Pictures decoded so far."""
        return self.run("return document.querySelector(arguments[0]).getVideoPlaybackQuality().totalVideoFrames",
                        selector)

    def screenshot(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "jpeg", "quality": 82})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))


def browser_missing():
    """Why there is no browser test here, or None."""
    for program in (DRIVER, "/usr/bin/chromium"):
        if not os.path.exists(program):
            return f"{program} is not installed"
    if subprocess.run(["/usr/bin/chromium", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                      check=False).returncode != 0:
        return "chromium does not run here"
    return None
