"""A headless Chromium for tests of pages: it is told what to do over two pipes, without another library."""

import base64
import io
import json
import os
import shlex
import shutil
import subprocess

import numpy as np
from PIL import Image

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# What a key is called by the protocol, where its text is not its name: code, key code, text.
KEYS = {
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    " ": ("Space", 32, " "),
    "End": ("End", 35, ""),
    "Home": ("Home", 36, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
}


class Browser:
    """One browser with one page at a time. Whatever the page complains about is in `complaints`."""

    def __init__(self, folder):
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        profile = f"--user-data-dir={folder / 'profile'}"
        command = f"exec {shlex.join([BROWSER, *FLAGS, profile])} 3<&{reads} 4>&{writes}"
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            ["bash", "-c", command], pass_fds=(reads, writes), stdout=quiet, stderr=quiet
        )
        os.close(reads)
        os.close(writes)
        self._waiting = b""
        self._number = 0
        self._session = None
        self._is_loaded = False
        self.complaints = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        """End the browser."""
        self._session = None
        self.call("Browser.close")
        self._process.wait(20)
        os.close(self._to)
        os.close(self._from)

    def call(self, method, **parameters):
        """Give a command, and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, (method, answer.get("error"))
        return answer["result"]

    def _read(self):
        while b"\0" not in self._waiting:
            data = os.read(self._from, 1 << 20)
            assert data, "the browser is gone"
            self._waiting += data
        message, _, self._waiting = self._waiting.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        if event.get("method") == "Page.loadEventFired":
            self._is_loaded = True
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(event["params"]["exceptionDetails"]["exception"]["description"])
        elif event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(event["params"]["entry"]["text"])

    def open(self, path, fragment="", size=(1280, 860), scheme="light", scripts=True):
        """Open a page of the disk, in a window of so many pixels, by a reader who likes a scheme."""
        self.call("Page.navigate", url="about:blank")
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.complaints.clear()
        self._is_loaded = False
        self.call("Page.navigate", url=f"file://{path}" + (f"#{fragment}" if fragment else ""))
        while not self._is_loaded:
            self._note(self._read())

    def ask(self, expression):
        """Return what an expression in the page's language is, promises fulfilled."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, condition):
        """Wait until an expression is true; fail after ten seconds."""
        ticks = f"""new Promise((resolve, reject) => {{
            const until = Date.now() + 10000;
            const look = () => {{
                if ({condition}) resolve(true);
                else if (Date.now() > until) reject(Error("too late"));
                else setTimeout(look, 10);
            }};
            look();
        }})"""
        return self.ask(ticks)

    def press(self, key, shift=False):
        """Press a key and let it go."""
        code, number, text = KEYS.get(key, (f"Key{key.upper()}", ord(key[-1].upper()), key))
        held = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **held, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **held)

    def point(self, x, y, click=False):
        """Move the pointer, and click if asked."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if click:
            button = {"x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type="mousePressed", **button)
            self.call("Input.dispatchMouseEvent", type="mouseReleased", **button)

    def picture(self, whole=False):
        """Return what the window shows, or the whole page, as (height, width, 3) uint8."""
        data = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole)
        )
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data["data"]))).convert("RGB"))

    def _clip(self, whole):
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
