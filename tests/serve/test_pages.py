"""The pages for a browser: / and /docs."""

import re


def test_the_first_page_names_the_model_and_shows_commands_that_work(names, talk) -> None:
    page = names.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    assert "(text, " in text
    assert '"messages"' not in text
    assert "chat model" not in text
    page = talk.get("/").body.decode()
    assert "<code>generate</code> makes user messages" in page
    kind = "Content-Type: application/json"
    commands = re.findall(rf"""curl (\S+) .*?-H "{kind}" -d '(.*?)'""", page, re.DOTALL)
    assert [url.rsplit("/", 1)[1] for url, _ in commands] == ["chat", "generate"]
    for url, body in commands:
        path = re.sub(r"^http://[^/]*", "", url)
        headers = {"Content-Type": "application/json"}
        assert talk.request("POST", path, body, **headers).status == 200


def test_docs_load_nothing_from_other_hosts(names) -> None:
    page = names.get("/docs").body.decode()
    assert "https://" not in page
    assets = re.findall(r'(?:src|href)="(/[^"]*)"', page)
    assert len(assets) == 3
    for path in assets:
        assert names.get(path).status == 200
    assert names.get("/docs/assets/none.js").status == 404
