"""What tests of the playground in Chromium share."""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

HERE = "http://127.0.0.1:"
READ = "document.getElementById('positions').textContent.replaceAll('␣', ' ')"


def opened(page: "Page", server, view: str, **parameters: Any) -> None:
    """Open a view of the playground of a server."""
    page.goto(f"{HERE}{server.port}/#/{view}?{urlencode(parameters, doseq=True)}")
    page.wait_for_selector(f"#{view}:not([hidden])")


def until(page: "Page", script: str) -> None:
    """Wait until a script gives true. The page's policy forbids Playwright's own way."""
    for _ in range(3000):
        if page.evaluate(script):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never: {script}")


def held(page: "Page", pattern: str | re.Pattern[str]) -> list["Route"]:
    """Hold requests back; return the list to which each is appended."""
    routes: list[Route] = []
    page.route(pattern, lambda route: routes.append(route))
    return routes


def until_held(page: "Page", routes: list["Route"]) -> "Route":
    """Return the first request that is held back."""
    for _ in range(3000):
        if routes:
            return routes[0]
        page.wait_for_timeout(20)
    raise AssertionError("no request")


def bars(page: "Page") -> dict[str, float]:
    """Return the probabilities that are shown."""
    page.wait_for_selector("#draw:not([disabled])")
    script = """rows => rows.map(row => [row.querySelector("th").innerText,
        Number(row.querySelector(".bar").style.getPropertyValue("--p"))])"""
    return dict(page.locator("#bars tbody tr").evaluate_all(script))


def replies(page: "Page", n: int) -> list[str]:
    """Return what has been said, once there are n messages and none is being written."""
    until(page, f"document.querySelectorAll('#turns .tools').length === {n}")
    return page.locator("#turns .said").all_inner_texts()
