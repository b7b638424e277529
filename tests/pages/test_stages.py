"""The page of "train more": samples side by side, their losses, which words are real."""

import json

import pytest
from selenium.webdriver.common.keys import Keys

from conftest import NARROW, WIDE, near
from pages import write


@pytest.fixture
def page(request, writer):
    return write("stages.html", writer, request)


@pytest.fixture(scope="session")
def stages(writer, trained):
    return json.loads(writer.run("runs", trained, "--stages", "--json"))


def test_samples_stand_side_by_side_with_their_losses(page, browser, stages):
    browser.open(page, width=WIDE)
    cards = browser.all(".card")
    assert len(cards) == len(stages["stages"]) == 4
    for card, stage in zip(cards, stages["stages"]):
        assert card.find_element("css selector", "h3").text == f"step {stage['step']}"
        assert f"{stage['train_nats']:.3f} nats" in card.text
        assert f"{stage['real']} of {stage['words']}" in card.text
        assert card.find_element("css selector", "pre").get_property("textContent") == stage["text"]
    tops = {card.rect["y"] for card in cards}
    assert len(tops) == 1, "four fit beside each other"
    browser.screen(width=NARROW)
    lefts = {card.rect["x"] for card in cards}
    assert len(lefts) == 1, "one below the other"


def test_words_that_are_none_are_marked_until_told_otherwise(page, browser, stages):
    browser.open(page)
    unreal = sum(stage["words"] - stage["real"] for stage in stages["stages"])
    assert len(browser.all(".unreal")) == unreal > 0
    button, mark = browser.find("#mark"), (0xC2, 0x50, 0x0A)
    card = browser.all(".card pre")[-1]
    assert button.get_attribute("aria-pressed") == "true"
    with_marks = near(browser.picture(card), mark, 60)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert with_marks > 50 and near(browser.picture(card), mark, 60) == 0
    button.send_keys(Keys.SPACE)
    assert near(browser.picture(card), mark, 60) == with_marks


def test_both_curves_of_the_loss_are_drawn(page, browser):
    browser.open(page)
    chart = browser.find("#losses-0 svg")
    picture = browser.picture(chart)
    for line in [".s0", ".s1"]:
        colour = browser.colour(f"#losses-0 {line} path", "stroke")
        assert near(picture, colour, 30) > 60, line
    assert [item.text for item in browser.all("#losses-0 .legend li")] == ["training", "validation"]
    dashes = [browser.js("return getComputedStyle(document.querySelector(arguments[0])).strokeDasharray",
                         f"#losses-0 .{s} path") for s in ["s0", "s1"]]
    assert dashes[0] != dashes[1], "lines differ without their colours"
