"""The microscope's page: the text on a canvas in the colours of a unit's values; clicks, keys, search, touch."""

import base64
import json

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from conftest import NARROW, WIDE, near
from pages import write

# As scope.js has them: blank around the text, a line's height, where a character's own ground begins, bytes of a scale.
PAD, LINE, GROUND, STEPS = 10, 24, 4, 254


@pytest.fixture
def page(request, writer):
    return write("scope.html", writer, request)


def data(browser, name):
    return json.loads(browser.js(f"return document.getElementById('data-{name}').textContent"))


def title(browser):
    return browser.find("#title").text


def settled(browser):
    """What was asked to be drawn is drawn."""
    browser.driver.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));")


def shown(browser):
    """(layer, unit, part) of the address."""
    layer, unit, part = browser.js("return location.hash.slice(1)").split(":")
    return int(layer), int(unit), part


def bytes_of(browser, window):
    layer, unit, part = shown(browser)
    kept = next(u for u in window["units"] if (u["layer"], u["unit"]) == (layer, unit))
    at = window["parts"].index(part)
    count = len(window["text"])
    return base64.b64decode(kept["values"])[at * count:(at + 1) * count], kept["scales"][at]


def colour(table, share):
    """The straight line between two stops, as page/colour.rs says."""
    place = min(max(share, 0), 1) * (len(table) - 1)
    low = min(int(place), len(table) - 2)
    return tuple(round(a + (b - a) * (place - low)) for a, b in zip(table[low], table[low + 1]))


def width(browser):
    return browser.js("""const pen = document.createElement('canvas').getContext('2d');
        pen.font = '14px ' + getComputedStyle(document.documentElement).getPropertyValue('--mono');
        return Math.ceil(pen.measureText('m').width);""")


def first_lines(text, columns):
    """(character, row, column) of the first lines, as far as they need no wrapping."""
    row = column = 0
    for i, c in enumerate(text):
        if row > 6 or column >= columns:
            return
        yield i, row, column
        row, column = (row + 1, 0) if c == "\n" else (row, column + 1)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("part", ["c", "o"])
def test_pixels_have_the_colours_of_the_values(page, browser, dark, part):
    browser.open(page, dark=dark)
    browser.find(f"#parts [data-part={part}]").click()
    if browser.find("#stretch").get_attribute("aria-pressed") == "true":
        browser.find("#stretch").click()
    settled(browser)
    window, scales = data(browser, "window"), data(browser, "scales")
    values, scale = bytes_of(browser, window)
    table = scales["sequential" if part == "o" else "diverging"]["dark" if dark else "light"]
    picture, w = browser.picture(browser.find("#page")), width(browser)
    columns = (picture.width - 2 * PAD) // w
    checked = set()
    for i, row, column in first_lines(window["text"], columns):
        ground = picture.getpixel((PAD + column * w + w // 2, PAD + row * LINE + GROUND + 1))
        want = colour(table, values[i] / STEPS)
        assert all(abs(a - b) <= 2 for a, b in zip(ground, want)), (i, window["text"][i], ground, want)
        # Below zero, or closed, there is a line in the ink, which no colour vision is needed for.
        value = scale[0] + (scale[1] - scale[0]) * values[i] / STEPS
        line = picture.getpixel((PAD + column * w + 1, PAD + row * LINE + LINE - 4))
        below = value < (0.1 if part == "o" else 0)
        contrast = abs(sum(line) - sum(ground))
        assert (contrast > 150) == below or window["text"][i] in "\n\tgjpqy,;_()[]{}Q", (i, value, line, ground)
        checked.add(below)
    assert True in checked or part == "o"
    assert picture.getcolors(1 << 20) and len(picture.getcolors(1 << 20)) > 20


def test_a_click_on_a_unit_shows_it_and_its_legend(page, browser):
    browser.open(page)
    settled(browser)
    before, legend, picture = title(browser), browser.find(".scale").text, browser.picture(browser.find("#page"))
    chip = next(b for b in browser.all("button.show") if b.is_enabled() and b.get_attribute("aria-pressed") != "true")
    browser.js("arguments[0].scrollIntoView({block: 'center'})", chip)
    chip.click()
    settled(browser)
    layer, unit = chip.get_attribute("data-unit").split(":")
    part = chip.get_attribute("data-part")
    assert shown(browser) == (int(layer), int(unit), part)
    assert title(browser) != before and f"layer {layer}, unit {unit}, {part}" in title(browser)
    assert browser.find(".scale").text != legend
    assert chip.get_attribute("aria-pressed") == "true"
    assert browser.find("#mark").get_attribute("value") == chip.get_attribute("data-mark")
    assert browser.picture(browser.find("#page")).tobytes() != picture.tobytes()
    # The address leads back to it.
    address = browser.js("return location.href")
    browser.driver.get("about:blank")
    browser.driver.get(address)
    browser.opened = address.split("#")[0]
    assert shown(browser) == (int(layer), int(unit), part)


def test_keys_move_through_units_parts_and_layers(page, browser):
    browser.open(page)
    text = browser.find("#text")
    text.click()
    begin = shown(browser)
    text.send_keys(Keys.ARROW_RIGHT)
    after = shown(browser)
    assert after[:2] != begin[:2] and after[2] == begin[2]
    text.send_keys(Keys.ARROW_LEFT)
    assert shown(browser) == begin
    parts = data(browser, "window")["parts"]
    seen = []
    for _ in parts:
        text.send_keys(Keys.ARROW_DOWN)
        seen.append(shown(browser)[2])
    assert sorted(seen) == sorted(parts) and shown(browser) == begin
    text.send_keys(Keys.ARROW_UP)
    assert shown(browser)[2] == parts[(parts.index(begin[2]) - 1) % len(parts)]
    text.send_keys(Keys.SHIFT, Keys.ARROW_RIGHT)
    assert shown(browser)[0] == (begin[0] + 1) % 2
    mark = browser.find("#mark").get_attribute("value")
    text.send_keys("m")
    assert browser.find("#mark").get_attribute("value") != mark
    legend = browser.find(".scale").text
    text.send_keys("s")
    assert browser.find(".scale").text != legend


def test_the_text_is_drawn_as_far_as_it_is_in_view(page, browser):
    browser.open(page)
    settled(browser)
    window = data(browser, "window")
    assert browser.js("return document.querySelectorAll('*').length") < 4000 < len(window["text"])
    text, canvas = browser.find("#text"), browser.find("#page")
    assert browser.js("return arguments[0].scrollHeight > 5 * arguments[0].clientHeight", text)
    assert canvas.size["height"] <= text.size["height"]
    top = browser.picture(canvas)
    browser.js("arguments[0].scrollTop = arguments[0].scrollHeight", text)
    settled(browser)
    bottom = browser.picture(canvas)
    assert bottom.tobytes() != top.tobytes()
    assert len(bottom.getcolors(1 << 20)) > 20, "the end of the text is drawn too"


def test_search_goes_from_place_to_place(page, browser):
    browser.open(page)
    window = data(browser, "window")
    word = max(set(window["text"].split()), key=window["text"].count)
    browser.find("#title").click()
    ActionChains(browser.driver).send_keys("/").perform()
    assert browser.js("return document.activeElement.id") == "find"
    browser.find("#find").send_keys(word)
    count = sum(window["text"].startswith(word, i) for i in range(len(window["text"])))
    assert browser.find("#found").text == f"1 of {count}" and count > 3
    place = browser.js("return document.getElementById('text').scrollTop")
    for k in range(2, 5):
        browser.find("#find").send_keys(Keys.ENTER)
        assert browser.find("#found").text == f"{k} of {count}"
    browser.find("#find").send_keys(Keys.SHIFT, Keys.ENTER)
    assert browser.find("#found").text == f"3 of {count}"
    browser.find("#find").send_keys("\ue000\ue009a\ue000", "no such text")
    assert browser.find("#found").text == "0 found"
    assert place >= 0


def test_a_character_under_the_pointer_is_read(page, browser):
    browser.open(page)
    window, w = data(browser, "window"), width(browser)
    values, scale = bytes_of(browser, window)
    box = browser.js("const r = document.getElementById('text').getBoundingClientRect(); return [r.left, r.top]")
    at = next(i for i, row, column in first_lines(window["text"], 40) if row == 0 and column == 3)
    browser.js("""document.getElementById('text').dispatchEvent(new PointerEvent('pointermove',
        {pointerType: 'mouse', clientX: arguments[0], clientY: arguments[1], bubbles: true}))""",
               box[0] + 1 + PAD + 3.5 * w, box[1] + 1 + PAD + LINE / 2)
    said = browser.find("#readout").text
    layer, unit, part = shown(browser)
    assert f"{part} {layer}:{unit} = " in said and f"character {window['from'] + at:,}" in said, said
    value = float(said.split(" = ")[1].split()[0].replace("\u2212", "-"))
    assert abs(value - (scale[0] + (scale[1] - scale[0]) * values[at] / STEPS)) <= 0.01 * max(1, abs(scale[1]))


def test_a_label_is_marked_above_its_characters(page, browser):
    browser.open(page)
    browser.js("const m = document.getElementById('mark'); m.value = 'between words'; m.dispatchEvent(new Event('change'))")
    settled(browser)
    window, w = data(browser, "window"), width(browser)
    marks = base64.b64decode(next(m for m in window["marks"] if m["name"] == "between words")["values"])
    ink, picture = browser.colour("#text"), browser.picture(browser.find("#page"))
    seen = set()
    for i, row, column in first_lines(window["text"], (picture.width - 2 * PAD) // w):
        pixel = picture.getpixel((PAD + column * w + w // 2, PAD + row * LINE + 1))
        marked = all(abs(a - b) < 8 for a, b in zip(pixel, ink))
        assert marked == bool(marks[i]), (i, window["text"][i], pixel, ink)
        seen.add(marked)
    assert seen == {True, False}


def test_a_swipe_is_the_next_unit(page, browser):
    browser.open(page, width=NARROW)
    begin = shown(browser)
    swipe = """const t = document.getElementById('text'), r = t.getBoundingClientRect();
        for (const [type, x] of [['pointerdown', 200], ['pointerup', 200 + arguments[0]]]) {
            t.dispatchEvent(new PointerEvent(type, {pointerType: 'touch', clientX: r.left + x, clientY: r.top + 60}));
        }"""
    browser.js(swipe, -120)
    assert shown(browser)[:2] != begin[:2]
    browser.js(swipe, 120)
    assert shown(browser) == begin
    browser.js(swipe, 20)
    assert shown(browser) == begin


def test_what_stands_in_tables_is_what_was_found(page, browser, writer, trained):
    browser.open(page, width=WIDE)
    found = json.loads(writer.run("inspect", trained, "--builtin", "--bytes", "60kB", "--json"))
    rows = [row.text for row in browser.all("section table tbody tr")]
    for label in found["labels"]:
        row = next(row for row in rows if row.startswith(label["label"]))
        assert f"{label['best'][0]['score']:.3f}" in row
    for hold in found["holds"]:
        assert any(f"{hold['part']} {hold['layer']}:{hold['unit']}" in row and f"{hold['after']['all']:.3f}" in row for row in rows)
    bars = browser.all("svg.bar")
    assert len(bars) == len(found["gates"]) == 10
    # Open is drawn as long as it lasts.
    for bar, gate in zip(bars, found["gates"]):
        picture = browser.picture(bar)
        share = near(picture, browser.colour(".bar .open", "fill"), 20) / (picture.width * picture.height)
        assert abs(share - gate["open"]) < 0.03, (gate["layer"], gate["part"], share, gate["open"])
    assert len(browser.all("svg.scatter")) == 5
