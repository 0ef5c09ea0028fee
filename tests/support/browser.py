"""A headless Chromium that is controlled over a pipe (Chrome DevTools Protocol). Only the standard library is needed."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

BROWSER = "chromium"

# A page is drawn within this time on a busy machine. Only a test that fails waits for so long.
PATIENCE = 60


class Browser:
    """One browser with one tab."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="nuncio-browser-")
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        script = 'exec "$@" 3<&%d 4>&%d' % (commands, answers)
        arguments = [
            BROWSER,
            "--headless=new",
            "--remote-debugging-pipe",
            # Without privileges, containers permit no sandbox. The only page is our own.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-breakpad",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-extensions",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--user-data-dir=" + self.profile,
        ]
        environment = dict(os.environ, HOME=self.profile, XDG_CONFIG_HOME=self.profile, XDG_CACHE_HOME=self.profile)
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", script, "bash"] + arguments,
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        self.buffer = b""
        self.number = 0
        self.events = []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        """Sends a command and returns its result. Events that arrive meanwhile are kept in `events`."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self.next_message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError("%s: %s" % (method, message["error"]))
                return message["result"]
            self.events.append(message)

    def next_message(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                raise RuntimeError("the browser does not answer")
            received = os.read(self.answers, 1 << 20)
            if not received:
                raise RuntimeError("the browser has ended")
            self.buffer += received
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def wait_for(self, event):
        """Waits for an event, and returns its parameters."""
        while True:
            for at, message in enumerate(self.events):
                if message.get("method") == event:
                    return self.events.pop(at).get("params", {})
            self.events.append(self.next_message())

    def open(self, url):
        """Opens a page, and waits until it is loaded."""
        self.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def run(self, script):
        """The value of an expression in the page. A promise is awaited."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError("%s: %s" % (script, result["exceptionDetails"]))
        return result["result"].get("value")

    def drawn(self):
        """Waits until the page has drawn twice: what was changed before is on the screen."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def looks(self, width, height, theme):
        """Sets the size of the window, and the theme of the system."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        feature = {"name": "prefers-color-scheme", "value": theme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y, times=1):
        self.mouse("mouseMoved", x, y)
        for count in range(1, times + 1):
            self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=count)
            self.mouse("mouseReleased", x, y, button="left", clickCount=count)
        self.drawn()

    def drag(self, start, end):
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start, button="left", buttons=1, clickCount=1)
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        for place in (middle, end):
            self.mouse("mouseMoved", *place, button="left", buttons=1)
        self.mouse("mouseReleased", *end, button="left", clickCount=1)
        self.drawn()

    def key(self, key, text=None):
        code = {"ArrowRight": 39, "ArrowLeft": 37}.get(key, 0)
        more = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)
        self.drawn()

    def picture(self, file, whole=False):
        """Writes a PNG of the window, or of the whole page."""
        result = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(file, "wb") as out:
            out.write(base64.b64decode(result["data"]))

    def complaints(self):
        """Errors and warnings of the page, and requests other than that of the page itself."""
        found = []
        for message in self.events:
            method, parameters = message.get("method"), message.get("params", {})
            if method == "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                found.append("exception: %s" % details.get("exception", details))
            elif method == "Runtime.consoleAPICalled":
                found.append("console: %s" % parameters["args"])
            elif method == "Log.entryAdded":
                found.append("log: %s" % parameters["entry"]["text"])
            elif method == "Network.requestWillBeSent":
                request = parameters["request"]["url"]
                if parameters.get("type") != "Document":
                    found.append("request: %s" % request)
        return found

    def close(self):
        """Ends the browser with all of its processes."""
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(10)
        except (RuntimeError, OSError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
