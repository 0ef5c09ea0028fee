"""Opens a page of `nuncio mailboxes --html` in a headless Chromium, uses it as a reader does, and checks what it shows.

    page.py read PAGE PICTURES TIME ACTOR ROW DEPTH P99 DEEPEST
        In both themes and two widths: hovers over the row of ACTOR at TIME and expects these values, zooms, and writes a
        picture of each view into the directory PICTURES.
    page.py restarts PAGE PICTURES ACTOR RAN DOWN FIRST STOPPED STARTED KILLED
        In both themes and two widths: expects marks with words at the times FIRST (a start), STOPPED, STARTED and KILLED (the start after
        it), lines at the time RAN and none at the time DOWN, and a table of the starts and stops.
    page.py opens PAGE
        Opens it once, and prints how long that took.
    page.py harmless PAGE
        Expects that no text of the log has become a part of the page.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from browser import Browser  # noqa: E402  (the path is set above)

THEMES = ("light", "dark")
WIDTHS = (800, 1400)


def equal(found, expected, what):
    if found != expected:
        sys.exit("%s: %r, and not %r" % (what, found, expected))


def true(value, what):
    if not value:
        sys.exit(what)


def box(browser, selector):
    """The left and top edge, width and height of an element, which is scrolled into view."""
    script = """(() => {
        const element = document.querySelector(%s);
        element.scrollIntoView({ block: "center" });
        const { left, top, width, height } = element.getBoundingClientRect();
        return [left, top, width, height];
    })()"""
    place = browser.run(script % json.dumps(selector))
    browser.drawn()
    return place


def text(browser, selector):
    return browser.run("document.querySelector(%s).textContent" % json.dumps(selector))


def row(actor):
    """The chart of an actor in the overview: it follows the button with the name."""
    return '[data-kind="%s"] + canvas' % actor


def place(browser, actor, time):
    """The place of a time in the row of an actor."""
    left, top, _, height = box(browser, row(actor))
    # The middle of the interval that the line at that time covers.
    script = "charts.find((chart) => chart.kind && chart.kind.actor === %s).x(Date.parse(%s) - DATA.interval / 2)"
    return left + browser.run(script % (json.dumps(actor), json.dumps(time))), top + height / 2


def view(browser):
    return browser.run("[state.view.from, state.view.to]")


def background(browser):
    """The brightness of the page, from 0 to 255."""
    colour = browser.run("getComputedStyle(document.body).backgroundColor")
    numbers = colour[colour.index("(") + 1 : -1].split(",")
    return sum(int(number) for number in numbers[:3]) / 3


def is_drawn(browser, selector):
    """Whether a canvas has pixels of more than one colour."""
    script = """(() => {
        const canvas = document.querySelector(%s);
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size > 1;
    })()"""
    return browser.run(script % json.dumps(selector))


def read(browser, page, pictures, time, actor, in_row, depth, p99, deepest):
    views = 0
    for theme in THEMES:
        for width in WIDTHS:
            browser.looks(width, 900, theme)
            browser.open(page)
            browser.drawn()
            name = "%s-%s-%d" % (os.path.basename(page)[:-5], theme, width)
            browser.picture(os.path.join(pictures, name + ".png"))
            is_bright = background(browser) > 128
            equal(is_bright, theme == "light", "%s: the page is bright" % name)
            equal(browser.run("document.documentElement.scrollWidth"), width, "%s: the width of the page" % name)
            true(is_drawn(browser, row(actor)), "%s: the row of %s is empty" % (name, actor))
            use(browser, name, time, actor, in_row, depth, p99, deepest)
            browser.picture(os.path.join(pictures, name + "-zoomed.png"), whole=True)
            change_theme(browser, name)
            equal(browser.complaints(), [], "%s: complaints of the browser" % name)
            views += 1
    without_script(browser, page, actor)
    print("read in %d views" % views)


def use(browser, name, time, actor, in_row, depth, p99, deepest):
    """Points, chooses, zooms with the mouse and the wheel, and moves with keys."""
    whole = view(browser)
    browser.click(*place(browser, actor, time))
    equal(text(browser, "h2#kind"), actor, "%s: the chosen actor" % name)

    # Drag over a few minutes around the time.
    x, y = place(browser, actor, time)
    browser.drag((x - 30, y), (x + 30, y))
    zoomed = view(browser)
    true(zoomed[1] - zoomed[0] < (whole[1] - whole[0]) / 3, "%s: a drag does not zoom: %s" % (name, zoomed))
    x, y = place(browser, actor, time)
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-240, modifiers=2)
    browser.drawn()
    closer = view(browser)
    true(closer[1] - closer[0] < zoomed[1] - zoomed[0], "%s: the wheel does not zoom: %s" % (name, closer))

    x, y = place(browser, actor, time)
    browser.mouse("mouseMoved", x, y)
    browser.drawn()
    equal(text(browser, 'output.value[data-kind="%s"]' % actor), in_row, "%s: the figure of the row" % name)
    equal(text(browser, '[data-panel="depth"] [data-value="depth of all"]'), depth, "%s: the depth" % name)
    equal(text(browser, '[data-panel="wait"] [data-value="p99"]'), p99, "%s: the waiting time" % name)
    shown = text(browser, '[data-panel="deepest"] .legend')
    equal(shown, deepest, "%s: the deepest instance" % name)
    true(text(browser, "#span").endswith("UTC"), "%s: no time at the cursor" % name)

    # A screen reader hears the values when a key moves the cursor.
    browser.run("document.querySelector(%s).focus()" % json.dumps(row(actor)))
    browser.key("ArrowLeft")
    browser.key("ArrowRight")
    said = text(browser, "#said")
    true(actor in said and in_row.split()[0] in said, "%s: not said: %s" % (name, said))

    before = view(browser)
    browser.key("-", "-")
    after = view(browser)
    true(after[1] - after[0] > before[1] - before[0], "%s: the key - does not zoom out" % name)
    browser.click(x, y, times=2)
    equal(view(browser), whole, "%s: the span after a double click" % name)
    # For the picture.
    x, y = place(browser, actor, time)
    browser.drag((x - 60, y), (x + 60, y))
    browser.mouse("mouseMoved", *place(browser, actor, time))
    browser.drawn()


def change_theme(browser, name):
    """The button goes from the theme of the system to light and to dark."""
    for expected in ("light", "dark", "system"):
        browser.run('document.getElementById("theme").click()')
        browser.drawn()
        equal(text(browser, "#theme"), "Theme: %s" % expected, "%s: the theme" % name)
        if expected != "system":
            equal(background(browser) > 128, expected == "light", "%s: the page is bright" % name)


def without_script(browser, page, actor):
    """Without JavaScript, and for a screen reader, the tables have the figures."""
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(page)
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node}
    tables = [name for role, name in named if role == "table"]
    true(any(name.startswith("Mailboxes") for name in tables), "no table of the mailboxes in %s" % tables)
    true(("rowheader", actor) in named, "no row of %s" % actor)
    true(("columnheader", "Highest peak") in named, "no column with the highest peak")
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


# Records the words that the charts draw, and draws again.
RECORD = """(() => {
    window.words = [];
    const drawn = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        const figure = this.canvas.closest("figure");
        window.words.push([figure ? figure.dataset.panel : this.canvas.className, text]);
        return drawn.call(this, text, ...place);
    };
    redraw();
})()"""

# Whether a panel has a pixel of about a colour at a time: lines have soft edges.
HAS_LINE = """(() => {
    const [panel, time, colour] = %s;
    const chart = charts.find(({ canvas }) => canvas.closest(`figure[data-panel="${panel}"]`));
    const x = Math.round(chart.x(Date.parse(time)));
    const { data } = chart.canvas.getContext("2d").getImageData(x, 0, 1, chart.canvas.height);
    const wanted = [1, 3, 5].map((at) => parseInt(colours[colour].slice(at, at + 2), 16));
    for (let at = 0; at < data.length; at += 4) {
        const far = wanted.reduce((sum, value, part) => sum + Math.abs(value - data[at + part]), 0);
        if (far < 140) return true;
    }
    return false;
})()"""


def restarts(browser, page, pictures, actor, ran, down, first, stopped, started, killed):
    marks = ["%s node started" % first[11:19], "%s node stopped" % stopped[11:19], "%s node started" % started[11:19], "%s node started" % killed[11:19]]
    for theme in THEMES:
        for width in WIDTHS:
            name = "%s-%s-%d" % (os.path.basename(page)[:-5], theme, width)
            browser.looks(width, 900, theme)
            browser.open(page)
            browser.drawn()
            browser.click(*place(browser, actor, ran))
            browser.mouse("mouseMoved", 5, 5)
            browser.run(RECORD)
            browser.drawn()
            words = browser.run("window.words")
            for place_of_words in ("runs", "depth", "wait", "streams", "waiting"):
                found = [text for own, text in words if own == place_of_words and " node " in text]
                equal(found, marks, "%s: the marks in %s" % (name, place_of_words))
            for panel, colour in (("wait", "orange"), ("depth", "purple"), ("streams", "blue")):
                for time, expected in ((ran, True), (down, False)):
                    found = browser.run(HAS_LINE % json.dumps([panel, time, colour]))
                    equal(found, expected, "%s: a line in %s at %s" % (name, panel, time))
            browser.mouse("mouseMoved", *place(browser, actor, down))
            browser.drawn()
            value = 'output.value[data-kind="%s"]' % actor
            equal(text(browser, value), "not running", "%s: the figure of the row" % name)
            equal(text(browser, '[data-panel="rate"] [data-value="rate"]'), "-", "%s: the rate" % name)
            at = "charts.find((chart) => chart.kind && chart.kind.actor === %s).x(Date.parse(%s))"
            left, top, _, height = box(browser, row(actor))
            browser.mouse("mouseMoved", left + browser.run(at % (json.dumps(actor), json.dumps(started))), top + height / 2)
            browser.drawn()
            true(text(browser, "#span").endswith(", " + marks[2]), "%s: %s" % (name, text(browser, "#span")))
            browser.mouse("mouseMoved", 5, 5)
            browser.run("scrollTo(0, 0)")
            browser.drawn()
            browser.picture(os.path.join(pictures, name + ".png"), whole=True)
            # This test reads pixels often, and the browser advises against that.
            complaints = [said for said in browser.complaints() if "willReadFrequently" not in said]
            equal(complaints, [], "%s: complaints of the browser" % name)
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node}
    true(any(role == "table" and name.startswith("Starts and stops") for role, name in named), "no table of the starts")
    for time in (first, stopped, started, killed):
        true(("rowheader", time.replace("T", " ")[:19]) in named, "no row of %s" % time)
    for cell in ("node started", "node stopped", "the time of its last line: no line says that it stopped"):
        true(any(role in ("cell", "gridcell") and name == cell for role, name in named), "no cell %s" % cell)
    print("restarts in 4 views")


def opens(browser, page):
    browser.looks(1400, 900, "light")
    browser.open(page)
    browser.drawn()
    loaded = browser.run('performance.getEntriesByType("navigation")[0].loadEventEnd')
    equal(browser.complaints(), [], "complaints of the browser")
    true(is_drawn(browser, "canvas.row"), "nothing is drawn")
    print("opened in %.0f ms" % loaded)


def harmless(browser, page):
    browser.looks(1400, 900, "dark")
    browser.open(page)
    browser.drawn()
    # Every row is shown, so that each name goes through each part of the page.
    browser.run('document.querySelectorAll("button.kind").forEach((button) => button.click())')
    browser.drawn()
    equal(browser.run("typeof window.broken"), "undefined", "a script of the log has run")
    for element in ("img", "b:not(figcaption b)", "iframe", "object"):
        equal(browser.run("document.querySelectorAll(%s).length" % json.dumps(element)), 0, "elements %s" % element)
    equal(browser.run('document.querySelectorAll("script").length'), 2, "scripts")
    equal(browser.run('document.querySelectorAll("button.kind").length > 0'), True, "the charts are there")
    equal(browser.complaints(), [], "complaints of the browser")
    print("harmless")


def main():
    task, page, *arguments = sys.argv[1:]
    browser = Browser()
    try:
        {"read": read, "restarts": restarts, "opens": opens, "harmless": harmless}[task](browser, "file://" + page, *arguments)
    finally:
        browser.close()


main()
