"""The site as a browser shows it: every page, on a desk and on a phone, light and dark; its search, its buttons."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import list_pages
from tests.browser.window import Window

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]

SCHEMES = {"light": "default", "dark": "slate"}
SMALLEST_PLOT = 600
"""Pixels below which the labels of a plot cannot be read."""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page(window: Window, site: str, width: int, scheme: str) -> None:
    """No page has an error, asks another host, scrolls sideways, lacks a picture or has the wrong colours."""
    window.show(width, scheme)
    found = []
    for page in list_pages():
        window.open(page)
        scrolls = window.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        broken = window.run(
            "[...document.images].filter(i => i.complete && getComputedStyle(i).display !== 'none' && !i.naturalWidth)"
            ".map(i => i.src)"
        )
        colours = window.run("document.body.getAttribute('data-md-color-scheme')")
        seen = (window.list_errors(), window.list_hosts() - {urlsplit(site).netloc}, scrolls, broken, colours)
        if seen != ([], set(), 0, [], SCHEMES[scheme]):
            found.append((page, *seen))

    assert found == []


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("IAM", "policy/"),
        ("SAM", "deploying/"),
        ("get_secret_value", "migrate-requests/"),
        ("Terraform", "deploying/"),
        ("rotation", "rotation/"),
        ("VPC", "vpc/"),
        ("UnresolvedError", "errors/"),
        ("SECRETS_MANAGER_TTL", "settings/"),
        ("max_age", "caching/"),
        ("arm64", "packaging/"),
    ],
)
def test_search(window: Window, query: str, page: str) -> None:
    """What one looks for is on the first page that is found."""
    window.open("")
    window.run("document.querySelector('#__search').checked = true")
    window.find(".md-search__input").send_keys(query)
    first = window.wait("document.querySelector('.md-search-result__item a')?.getAttribute('href')")

    assert urlsplit(first).path.lstrip("./") == page


def test_palettes(window: Window) -> None:
    """The colours follow the system until one chooses light, then dark, then the system again."""
    window.show(1280, "dark")
    window.open("")
    button = "[data-md-component=palette] label:not([hidden])"
    seen = []
    for _ in range(4):
        window.wait(f"document.querySelectorAll('{button}').length === 1")
        scheme = window.run("document.body.getAttribute('data-md-color-scheme')")
        seen.append((window.run(f"document.querySelector('{button}').title"), scheme))
        window.find(button).click()

    assert seen == [
        ("Switch to light", "slate"),
        ("Switch to dark", "default"),
        ("Follow the system", "slate"),
        ("Switch to light", "slate"),
    ]


def test_what_is_copied_from_a_console(window: Window) -> None:
    """The button of a console's block copies the commands, without prompts, with the lines that continue them."""
    window.allow_clipboard()
    window.open("getting-started/")
    blocks = "[...document.querySelectorAll('.language-console')]"
    window.wait(f"{blocks}[0].querySelector('button')")
    count = window.run(f"{blocks}.length")
    copied = [window.copy(f"{blocks}[{number}].querySelector('button')") for number in range(count)]

    assert copied[0] == "python3 -m venv .venv && . .venv/bin/activate\npip install 'lambdasecrets[cli,aws]' pytest"
    assert '    --secret-string \'{"host"' in next(text for text in copied if "create-secret" in text)
    assert [text for text in copied if text.startswith("$") or "\n$" in text] == []


def test_what_is_drawn_is_not_broken(window: Window) -> None:
    """On a phone the tree of errors keeps its lines, and scrolls in its own frame."""
    window.show(390, "light")
    window.open("errors/")

    assert window.run("getComputedStyle(document.querySelector('.drawing code')).whiteSpace") == "pre"
    assert window.run("getComputedStyle(document.querySelector('#notfounderror ~ .highlight code')).whiteSpace") == (
        "pre-wrap"
    )


def test_plots_on_a_phone(window: Window) -> None:
    """On a phone a plot is as wide as its labels need, and each says in words what it shows."""
    window.show(390, "light")
    window.open("performance/")
    shown = "[...document.querySelectorAll('article img')].filter(i => getComputedStyle(i).display !== 'none')"
    widths = window.run(f"{shown}.map(i => i.getBoundingClientRect().width)")
    alternatives = window.run(f"{shown}.map(i => i.alt)")

    assert min(widths) >= SMALLEST_PLOT
    assert [text for text in alternatives if len(text.split()) < 8] == []


def test_previous_and_next(window: Window) -> None:
    """Each page leads to the one before and the one after it, in one chain."""
    pages = list_pages()
    page, chain = "", [""]
    while True:
        window.open(page)
        following = window.run("document.querySelector('.md-footer__link--next')?.href")
        if following is None:
            break
        page = urlsplit(following).path.lstrip("/")
        chain.append(page)
        assert len(chain) <= len(pages)

    assert sorted(chain) == pages
