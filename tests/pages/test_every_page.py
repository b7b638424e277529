"""What every page promises: one file, no network, no complaint, readable at any width, in light and in dark."""

import socket

import pytest

from conftest import NARROW, WIDE, near
from pages import PAGES, write


@pytest.fixture(params=PAGES)
def page(request, writer):
    return write(request.param, writer, request)


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_nothing_reaches_beyond_the_screen(page, browser, width):
    browser.open(page, width=width)
    widths = browser.js("return [document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]")
    assert widths[2] == width
    assert widths[0] <= width and widths[1] <= width, widths
    # Nothing is cut off either: what is wider than its place scrolls by itself.
    cut = browser.js("""
        const scrolls = e => { for (; e; e = e.parentElement) {
            if (['auto', 'scroll'].includes(getComputedStyle(e).overflowX)) return true; } return false; };
        return [...document.querySelectorAll('main *')].filter(e => !e.closest('svg, [hidden]'))
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e))
            .map(e => e.outerHTML.slice(0, 80));""")
    assert cut == []


def test_light_and_dark_follow_the_system(page, browser):
    for dark in [False, True]:
        browser.open(page, dark=dark)
        paper, ink = browser.colour("body", "backgroundColor"), browser.colour("body")
        assert (sum(paper) < sum(ink)) == dark, (paper, ink)
        picture = browser.picture()
        # Most of a page is its paper.
        assert near(picture, paper, 4) > picture.width * picture.height / 4
        contrast = browser.js("""
            const light = ([r, g, b]) => { const f = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
                return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b) + 0.05; };
            const [a, b] = [light(arguments[0]), light(arguments[1])];
            return Math.max(a, b) / Math.min(a, b);""", paper, ink)
        assert contrast > 7, contrast
    # It turns without being opened anew.
    browser.screen(dark=False)
    assert sum(browser.colour("body", "backgroundColor")) > 600


def test_a_page_is_well_formed_for_those_who_do_not_see_it(page, browser):
    browser.open(page)
    assert browser.driver.title
    assert browser.js("return document.documentElement.lang") == "en"
    assert browser.js("return document.querySelectorAll('h1').length") == 1
    ids = browser.js("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids)), "an id stands twice"
    unnamed = browser.js("""
        return [...document.querySelectorAll('svg:not([aria-hidden]), button, input, select, canvas, [role=region]')]
            .filter(e => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim()
                || e.labels?.length)).map(e => e.outerHTML.slice(0, 80));""")
    assert unnamed == []
    dangling = browser.js("""
        return [...document.querySelectorAll('[aria-labelledby], [aria-describedby]')].flatMap(e =>
            ['aria-labelledby', 'aria-describedby'].flatMap(a => (e.getAttribute(a) ?? '').split(' ')))
            .filter(id => id && !document.getElementById(id));""")
    assert dangling == []


def test_keys_reach_every_control_and_show_where_they_are(page, browser):
    browser.open(page)
    controls = browser.js("return document.querySelectorAll('button:not(:disabled), input, select').length")
    seen = set()
    for _ in range(200):
        browser.driver.switch_to.active_element.send_keys("\ue004")
        at = browser.js("""
            const e = document.activeElement;
            return e === document.body ? null : [[...document.querySelectorAll('*')].indexOf(e),
                e.matches('button, input, select'), getComputedStyle(e).outlineStyle];""")
        if at is None or at[0] in [index for index, _ in seen]:
            break
        assert at[2] != "none", "the focus cannot be seen"
        seen.add((at[0], at[1]))
    assert sum(is_control for _, is_control in seen) == controls


def test_the_policy_forbids_the_network(page, browser):
    """The page's own policy stops a request before it leaves; the browser's complaint about it is expected here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/nothing"
        browser.open(page)
        blocked = browser.js("""
            return new Promise(done => {
                const seen = [];
                document.addEventListener('securitypolicyviolation', e => {
                    if (seen.push(e.effectiveDirective) === 3) done(seen);
                });
                const image = document.createElement('img');
                image.src = arguments[0];
                document.body.append(image);
                fetch(arguments[0]).catch(() => {});
                const script = document.createElement('script');
                script.src = arguments[0];
                document.body.append(script);
                setTimeout(() => done(seen), 2000);
            });""", address)
        assert sorted(blocked) == ["connect-src", "img-src", "script-src-elem"]
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    messages, _ = browser.logs()
    assert any("Content Security Policy" in message for message in messages)
