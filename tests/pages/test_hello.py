"""The walk-through's page: its numbers are those of `--json`, training by the slider, inference letter by letter."""

import json

import pytest
from selenium.webdriver.common.keys import Keys

from conftest import near
from pages import write


@pytest.fixture
def page(request, writer):
    return write("hello.html", writer, request)


@pytest.fixture(scope="session")
def numbers(writer):
    return json.loads(writer.run("hello", "--json"))


def shown(number):
    text = f"{number:.4f}".replace("-", "\u2212")
    return "0.0000" if text == "\u22120.0000" else text


def test_matrices_show_the_numbers_in_their_colours(page, browser, numbers):
    browser.open(page)
    tables = browser.all(".matrices table")
    weights = numbers["before"]
    for table, matrix in zip(tables, weights):
        cells = [cell.text for cell in table.find_elements("css selector", "td")]
        assert cells == [shown(value) for value in matrix["values"]], matrix["name"]
    # The largest positive and negative weight of W_xh have the scale's ends; pixels say so, not only the style.
    table, values = tables[0], weights[0]["values"]
    most = max(abs(v) for v in values)
    cells = table.find_elements("css selector", "td")
    full = cells[[abs(v) for v in values].index(most)]
    orange, blue = (0xD9, 0x64, 0x0A), (0x0A, 0x3A, 0x78)
    picture = browser.picture(full)
    want = orange if values[cells.index(full)] > 0 else blue
    assert near(picture, want, 6) > picture.width * picture.height / 3


def test_the_loss_is_drawn_as_a_line_from_left_to_right(page, browser, numbers):
    for dark in [False, True]:
        browser.open(page, dark=dark)
        chart = browser.find("#loss svg")
        picture = browser.picture(chart)
        line = browser.colour("#loss .s0 path", "stroke")
        columns = [x for x in range(picture.width) if near(picture.crop((x, 0, x + 1, picture.height)), line, 40)]
        assert len(columns) > picture.width * 0.7, "the line spans the chart"
        # It falls: on the left it is high up, on the right low.
        def height(x):
            strip = picture.crop((x, 0, x + 1, picture.height))
            return min(y for y in range(strip.height) if near(strip.crop((0, y, 1, y + 1)), line, 40))
        assert height(columns[2]) < height(columns[-3])
    assert "between" in browser.find("#loss desc").get_attribute("textContent")
    assert len(numbers["losses"]) == numbers["updates"] + 1


def test_the_slider_moves_through_training_by_keys(page, browser, numbers):
    browser.open(page)
    slider, words = browser.find("#stage"), browser.find("#stage-words")
    last, first = numbers["training"][-1], numbers["training"][0]
    assert words.text == f"{last['updates']} updates: {last['nats']:.4f} nats"

    def table():
        rows = browser.all("#stage-table tbody tr")
        return [[cell.text for cell in row.find_elements("css selector", "td")] for row in rows]

    def want(stage):
        return [[f"{p:.3f}" for p in row] + [f"'{says}'"] for row, says in zip(stage["p"], stage["predicted"])]

    assert table() == want(last)
    slider.send_keys(Keys.HOME)
    assert words.text == f"0 updates: {first['nats']:.4f} nats"
    assert table() == want(first)
    slider.send_keys(Keys.ARROW_RIGHT)
    assert words.text.startswith("1 update: ")
    assert table() == want(numbers["training"][1])
    slider.send_keys(Keys.END)
    assert table() == want(last)


def test_colours_of_the_slider_are_those_of_the_page(page, browser):
    """What base.js computes is what the page was written with, in both themes."""
    for dark in [False, True]:
        browser.open(page, dark=dark)
        script = browser.js("""
            return [-1, -0.3, 0, 0.05, 0.77, 1, 2].map(x => gatemill.css(gatemill.colour('diverging', x)))
                .concat([0, 0.0625, 0.4, 1].map(x => gatemill.css(gatemill.colour('sequential', x))));""")
        ends = ["rgb(74,151,230)", "rgb(255,193,92)"] if dark else ["rgb(10,58,120)", "rgb(217,100,10)"]
        assert [script[0], script[5]] == ends and script[6] == script[5]
        assert browser.js("return gatemill.colour('diverging', NaN)") is None
        # A cell of the page, written by Rust, and the same probability by the script.
        same = browser.js("""
            const cell = [...document.querySelectorAll('#stage-table td')].find(td => +td.textContent > 0.05);
            const style = getComputedStyle(cell).backgroundColor.match(/\\d+/g).map(Number);
            const want = gatemill.colour('sequential', +cell.textContent);
            return Math.max(...style.map((c, i) => Math.abs(c - want[i])));""")
        assert same <= 1


def test_inference_feeds_each_letter_back(page, browser, numbers):
    browser.open(page)
    written, again, forth, end = (browser.find(f"#{name}") for name in ["written", "again", "next", "all"])
    assert written.text == "hello" and not forth.is_enabled()
    again.click()
    assert written.text == "h" and forth.is_enabled()
    for letters in ["he", "hel", "hell", "hello"]:
        forth.click()
        assert written.text == letters
        visible = [row for row in browser.all("#fed tbody tr") if row.is_displayed()]
        assert len(visible) == len(letters) - 1
    assert not forth.is_enabled() and not end.is_enabled()
    again.send_keys(Keys.ENTER)
    assert written.text == "h"
    end.send_keys(Keys.SPACE)
    assert written.text == "hello"


def test_a_text_with_markup_in_it_is_shown_as_text(request, writer, browser):
    browser.open(write("hello-text.html", writer, request))
    assert browser.driver.title.startswith("\u201cto\u2423be,\u2423물레방아\u2423<b>\u201d")
    assert browser.js("return document.querySelectorAll('h1 b, td b').length") == 0
    assert "'<'" in browser.find(".numbers").text
