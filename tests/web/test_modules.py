"""Runs the tests of the page's own modules: functions named test_* in *_cases.js, which
throw where something is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

HERE = Path(__file__).parent
WEB = Path(__file__).resolve().parents[2] / "echowarp/web"
ORIGIN = "http://modules.test"
RUN = "async ([file, name]) => { const cases = await import(file); await cases[name](); }"


def cases() -> Iterator[tuple[str, str]]:
    for path in sorted(HERE.glob("*_cases.js")):
        for name in re.findall(
            r"^export (?:async )?function (test_\w+)", path.read_text("utf-8"), re.M
        ):
            yield path.name, name


def _serve(route: Route) -> None:
    """Files of the page and of these tests, as if from one folder."""
    name = route.request.url.removeprefix(f"{ORIGIN}/")
    if name == "":
        route.fulfill(content_type="text/html", body="<!doctype html><title>tests</title>")
        return
    path = WEB / name if (WEB / name).exists() else HERE / name
    route.fulfill(content_type="text/javascript", path=path)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.route(f"{ORIGIN}/**", _serve)
    page = context.new_page()
    page.goto(f"{ORIGIN}/")
    yield page
    context.close()


@pytest.mark.parametrize(("file", "name"), list(cases()))
def test_a_module(page: Page, file: str, name: str) -> None:
    page.evaluate(RUN, [f"/{file}", name])
