"""The documentation for a browser: /docs."""

import re


def test_docs_load_nothing_from_other_hosts(names) -> None:
    page = names.get("/docs").body.decode()
    assert "https://" not in page
    assets = re.findall(r'(?:src|href)="(/[^"]*)"', page)
    assert len(assets) == 3
    for path in assets:
        assert names.get(path).status == 200
    assert names.get("/docs/assets/none.js").status == 404
