import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Route


def test_the_api_docs_load_nothing_from_other_hosts(names) -> None:
    page = names.get("/docs")
    assert "https://" not in page.body.decode()
    assets = re.findall(r'(?:src|href)="([^"]*)"', page.body.decode())
    assert len(assets) == 3
    for path in assets:
        assert names.get(f"/{path}").status == 200
    assert names.get("/docs/assets/none.js").status == 404
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "; img-src 'self' data:; " in policy
    assert "unsafe" not in policy


@pytest.mark.slow
def test_the_api_docs_work_below_a_path_prefix(names, page) -> None:

    def strip(route: "Route") -> None:  # what a proxy does
        route.fulfill(response=route.fetch(url=route.request.url.replace("/below/", "/")))

    page.route("**/*", strip)
    prefix = f"http://127.0.0.1:{names.port}/below"
    page.goto(f"{prefix}/docs")
    page.locator(".opblock-summary-path", has_text="generate").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    assert page.locator(".request-url").inner_text().endswith(f"{prefix}/microgpt/v1/generate")
    answer = page.locator(".live-responses-table tbody .response-col_status")
    assert answer.first.inner_text().startswith("200")
