"""The page's filters, driven in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find_browser

from llmguard.shadow import Draw, Ladder, Pair, Report, Tally, Version, render, report

COUNT = """
return [...document.querySelectorAll('article.example')]
  .filter((each) => !each.hidden).map((each) => each.dataset[arguments[0]]);
"""
SCHEMA = {
    "type": "object",
    "properties": {"category": {"enum": ["legal", "bug", "other"]}},
}


@pytest.fixture(scope="module")
def found() -> Report:
    """Three directions in two slices; in one the incumbent differs from itself."""
    tally = Tally(Ladder(schema=SCHEMA))
    said = {0: "legal", 1: "bug", 2: "other"}
    for i in range(300):
        kind = i % 3
        old = Draw(text=f'{{"category": "{said[kind]}", "id": "n{i}"}}')
        new = old
        if i % 4 == 0:
            new = Draw(text=f'{{"category": "{said[(kind + 1) % 3]}", "id": "n{i}"}}')
        again = new if kind == 2 else old
        pair = Pair(
            request=f"r{i}",
            a=old,
            a2=again,
            b=new,
            b2=new,
            stratum="lang=de" if i % 8 == 0 else "lang=en",
            input=f"ticket number {i}",
        )
        tally.add(pair)
    return report(tally, incumbent=Version(name="old"), challenger=Version(name="new"))


@pytest.fixture(scope="module")
def page(found: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render.html(found), encoding="utf-8")
    return file


@pytest.fixture
def commands() -> tuple[str, str]:
    """Give the browser and its driver; continuous integration must have them."""
    known = find_browser()
    if known is None:
        what = "no chromium with chromedriver: `apt-get install chromium-driver`"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
    return known


@pytest.fixture
def browser(commands: tuple[str, str], tmp_path: Path) -> Iterator[Browser]:
    made = Browser(commands, tmp_path)
    yield made
    made.close()


def _choose(browser: Browser, name: str, label: str) -> None:
    """Choose an option by typing what it says, as a reader can."""
    browser.find(f"select[name={name}]").type(label)
    browser.keys("enter")


def test_examples_are_filtered_by_slice_direction_class_and_words(
    browser: Browser, page: Path, found: Report
) -> None:
    """As a reader does: choose, type, tick, and go back to everything."""
    browser.go(page.as_uri())
    whole = len(found.examples)
    assert whole > 4
    assert browser.find("#filter").shown
    browser.says(f"{whole} of {whole} examples")
    slices = [each.stratum for each in found.examples]
    assert {"lang=de", "lang=en"} == set(slices)

    _choose(browser, "slice", "lang=de")
    german = slices.count("lang=de")
    browser.says(f"{german} of {whole} examples")
    assert {"lang=de"} == set(browser.script(COUNT, "slice"))
    _choose(browser, "slice", "every slice")
    browser.says(f"{whole} of {whole} examples")

    option = browser.all("select[name=direction] option")[1].get("label")
    _choose(browser, "direction", option)
    shown = browser.script(COUNT, "direction")
    assert {option} == set(shown)
    assert 0 < len(shown) < whole
    _choose(browser, "direction", "every direction")

    rung = browser.all("select[name=rung] option")[1].get("label")
    _choose(browser, "rung", rung)
    assert {rung.split()[0]} == set(browser.script(COUNT, "rung"))
    _choose(browser, "rung", "every class")

    words = found.examples[0].input
    browser.find("input[name=words]").type(words.upper())
    fits = [each for each in found.examples if words in each.input]
    browser.says(f"{len(fits)} of {whole} examples")
    browser.find("input[name=words]").type(" ", clear=True)
    browser.find("input[name=words]").type("no such words anywhere", clear=True)
    browser.says(f"0 of {whole} examples")


def test_the_surest_examples_alone(browser: Browser, page: Path, found: Report) -> None:
    """Those in which the repeats agree."""
    browser.go(page.as_uri())
    sure = sum(each.stable is True for each in found.examples)
    assert 0 < sure < len(found.examples)
    browser.find("input[name=stable]").click()
    browser.says(f"{sure} of {len(found.examples)} examples")
    assert {"True"} == set(browser.script(COUNT, "stable"))
    assert [] == browser.log()


def test_without_scripts_everything_is_shown(
    commands: tuple[str, str], page: Path, found: Report, tmp_path: Path
) -> None:
    """No filter, no example hidden."""
    made = Browser(commands, tmp_path, scripts=False)
    try:
        made.go(page.as_uri())
        assert not made.find("#filter").shown
        assert len(found.examples) == sum(
            each.shown for each in made.all("article.example")
        )
    finally:
        made.close()
