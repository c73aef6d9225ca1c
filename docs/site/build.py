"""Build the site in build/site from the pages of the navigation and the files that they link to.

    uv run --group docs python docs/site/build.py

A page has the same path in build/pages as in the repository, so links that work on GitHub also work
on the site. A link to a source file leads to a page that shows the file; to a notebook, to a page
with its cells and outputs; to a directory, to a list of its files. A file of docs/ that is missing
from the navigation is an error, as is a dead link. If the clone has an `origin` on the web, each
page links to its file there.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

import annotated
import command_line
import http_api
import notebook
import python_api
from errors import SiteError

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(__file__).parent
BUILD = ROOT / "build"
PAGES = BUILD / "pages"
ASSETS = ("site.css", "iframe-worker.js", "tables.js")
PLAYGROUND = ROOT / "apps/microgpt_page/src/microgpt_page/web"
WIDE = ("README.md", "docs/try.md", annotated.PAGE)  # pages without the navigation sidebar
# Inserted after the first paragraph of README.md; `.lead` makes the paragraph larger.
START = """
{ .lead }

[Try it in your browser](docs/try.md){ .md-button .md-button--primary }
[Learn how a GPT works](docs/learn.md){ .md-button }
[Make a model of your own text](docs/own_text.md){ .md-button }
"""
# Marks the part of a file of docs/reference that a generated reference replaces.
REPLACED = "<!-- The site has the rest of the reference instead. -->"
# In the search index, the pages FIRST precede all others; API has one entry per class or module.
FIRST = ("docs/glossary.html", "docs/learn.html")
API = "docs/reference/python.html"
API_LEVEL = 3  # heading level of public names and modules
SIGNATURE = re.compile(r"^<pre><code>.*?</code></pre>", re.DOTALL)
PICTURES = (".gif", ".jpg", ".png", ".svg")
MAX_SHOWN = 100_000  # in bytes; a larger file is copied instead of shown
# Code is matched first, so that links in code are left unchanged.
LINK = re.compile(
    r"""(?ms)^ *(`{3,}).*?^ *\1|`[^`\n]*`|(?:(?<=\]\()|(?<=\bsrc=")|(?<=srcset="))([^)#\s"]+)"""
)


def main() -> int:
    """Collect the pages and run Zensical on them; return its exit status."""
    address = web_address(origin())
    settings = settings_of(address)
    shutil.rmtree(PAGES, ignore_errors=True)
    try:
        write_pages(list(nav_paths(tomllib.loads(settings)["project"]["nav"])), address)
    except SiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name in ASSETS:
        copy(SITE / name, PAGES / "assets" / name)
    copy(PLAYGROUND / "icon.svg", PAGES / "assets/mark.svg")
    (PAGES / "assets/colors.css").write_text(colors(), encoding="utf-8")
    (BUILD / "zensical.toml").write_text(settings, encoding="utf-8")
    command = ["zensical", "build", "--clean", "--strict", "--config-file", BUILD / "zensical.toml"]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    warnings, _, trace = done.stderr.partition("Traceback")  # Zensical's reaction to warnings
    print(warnings if "--strict" in trace else done.stderr, end="", file=sys.stderr)
    if not done.returncode:
        rank_search()
        print(f"open {BUILD / 'site' / 'index.html'} in a browser")
    return done.returncode


def settings_of(address: str) -> str:
    """Return Zensical's settings, with the pages of all commands and the repository's URL."""
    titles = {path: f"microgpt {Path(path).stem}" for path in command_line.pages()}
    titles[command_line.INDEX] = "All commands"
    nav = ", ".join(f'{{ "{title}" = "{path}" }}' for path, title in titles.items())
    text = (SITE / "zensical.toml").read_text(encoding="utf-8")
    text = text.replace(f'"{command_line.INDEX}"', f"[{nav}]")
    name = f'repo_url = "{address}"\nrepo_name = "{address.rpartition("/")[2]}"\n'
    return text.replace("[project]\n", f"[project]\n{name}", 1) if address else text


def origin() -> str:
    """Return the URL of the Git remote `origin`, or Git's error message if there is none."""
    return subprocess.getoutput(f'git -C "{ROOT}" remote get-url origin')


def web_address(remote: str) -> str:
    """Return the URL of a Git remote's web page, without credentials, or "" for other texts."""
    known = re.fullmatch(
        r"(?:(?:https|ssh)://(?:[^@/]+@)?|\w+@)([\w.-]+)[/:](.+?)(?:\.git)?/?", remote
    )
    return f"https://{known[1]}/{known[2]}" if known else ""


def colors() -> str:
    """Return the colors of the playground as CSS variables for the site's light and dark scheme."""
    style = (PLAYGROUND / "style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root (\{.*?\})", style, re.DOTALL)
    schemes = {"default": light, "slate": dark}
    return "\n".join(f'[data-md-color-scheme="{key}"] {block}' for key, block in schemes.items())


def nav_paths(nav: list[Any]) -> Iterator[str]:
    """Yield the paths of the pages in a navigation, which can be nested."""
    for item in nav:
        for value in item.values():
            if isinstance(value, str):
                yield value
            else:
                yield from nav_paths(value)


def write_pages(paths: list[str], address: str = "") -> None:
    """Write the given pages, and all pages and files that they lead to, to build/pages."""
    for path in (ROOT / "docs").glob("*.md"):
        if f"docs/{path.name}" not in paths:
            raise SiteError(f"docs/{path.name} is not in the nav of docs/site/zensical.toml")
    queue = list(paths)
    for path in queue:
        text = LINK.sub(lambda link, path=path: target_of(link, path, queue), text_of(path))
        target = PAGES / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{front_matter(path, address)}{text}", encoding="utf-8")


def front_matter(path: str, address: str) -> str:
    """Return a page's metadata: the URL of its source, and whether to hide the navigation."""
    source = next((one for one in (path, path.removesuffix(".md")) if (ROOT / one).is_file()), "")
    lines = [f"source: {address}/blob/HEAD/{source}"] if source and address else []
    lines += ["hide: [navigation]"] if path in WIDE else []
    return "\n".join(["---", *lines, "---", "", ""]) if lines else ""


@cache
def generated() -> dict[str, str]:
    """Return the generated references as Markdown, by path, without their introductions."""
    return {
        **command_line.pages(),
        "docs/reference/http.md": http_api.page(),
        "docs/reference/python.md": python_api.page(),
    }


def text_of(path: str) -> str:
    """Return the Markdown of a page: a file of the repository, or a text generated from one."""
    if path in generated():
        text = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).is_file() else ""
        return text.partition(REPLACED)[0] + generated()[path]
    if path == "README.md":
        title, lead, rest = (ROOT / path).read_text(encoding="utf-8").split("\n\n", 2)
        return f"{title}\n\n{lead}{START}\n{rest}"
    if (ROOT / path).is_file():
        text = (ROOT / path).read_text(encoding="utf-8")
        if path == annotated.PAGE:
            return annotated.page(text, (ROOT / annotated.SOURCE).read_text(encoding="utf-8"))
        return text
    if path.endswith("/index.md"):
        return directory_page(dirname(path))
    source = path.removesuffix(".md")
    if not (ROOT / source).is_file():
        raise SiteError(f"docs/site/zensical.toml: there is no {path}")
    if source.endswith(".ipynb"):
        return notebook.page(ROOT / source, source)
    language = {".py": "python", ".toml": "toml", ".js": "javascript"}.get(Path(source).suffix, "")
    code = (ROOT / source).read_text(encoding="utf-8")
    return f'# {source}\n\n```` {{.{language or "text"} linenums="1"}}\n{code}````\n'


def target_of(link: re.Match[str], page: str, queue: list[str]) -> str:
    """Return the target of a link on the site, after queueing its page or copying its file."""
    target = link[2]
    if not target or re.match(r"[a-z]+:", target):
        return link[0]
    path = normpath(join(dirname(page), target))
    if is_download(ROOT / path):
        copy(ROOT / path, PAGES / path)
    else:
        path = page_of(path, queue)
        if not path:
            raise SiteError(f"{page}: the link {target} leads to no file")
        if path not in queue:
            queue.append(path)
    return relpath(path, dirname(page) or ".")


def is_download(path: Path) -> bool:
    """Return whether a file is copied instead of shown: a picture, a large or a binary file."""
    if not path.is_file() or path.suffix == ".md":
        return False
    data = path.read_bytes()
    return path.suffix in PICTURES or len(data) > MAX_SHOWN or b"\0" in data


def page_of(path: str, queue: list[str]) -> str:
    """Return the page that shows a file or a directory, or "" if there is no such file."""
    if path == annotated.SOURCE:
        return annotated.PAGE
    if (ROOT / path).is_dir():
        readme = f"{path}/README.md"
        return readme if readme in queue else f"{path}/index.md"
    if path in queue or ((ROOT / path).is_file() and path.endswith(".md")):
        return path
    return f"{path}.md" if (ROOT / path).is_file() else ""


def directory_page(directory: str) -> str:
    """Return a list of the files of a directory, each with its first heading or sentence."""
    lines = [f"# {directory}", ""]
    for path in sorted((ROOT / directory).iterdir()):
        if path.suffix == ".md":
            title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
            lines.append(f"- [{title}]({path.name})")
        elif path.suffix == ".py":
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            lines.append(f"- `{path.name}`: {docstring.partition(chr(10))[0]}")
        elif path.is_dir() and any(path.glob("*.py")):
            lines.append(f"- `{path.name}/`")
    return "\n".join(lines) + "\n"


def rank_search() -> None:
    """Rewrite the search index so that a search finds explanations of a word before functions.

    The search prefers titles to texts, then earlier occurrences of the word, then earlier entries
    of the index. So a class or a module of the library becomes one entry with all its functions,
    and its title is its full name, which is one word.
    """
    site, items, names = BUILD / "site", list[dict[str, Any]](), set[str]()
    index = json.loads((site / "search.json").read_text(encoding="utf-8"))
    for item in index["items"]:
        page, _, name = item["location"].partition("#")
        if page == API and "." in name:
            text = SIGNATURE.sub("", item["text"])
            if item["level"] == API_LEVEL:
                items.append({**item, "title": name, "text": f"{item['title']} {text}"})
            elif name not in names:  # the index can list a class twice
                items[-1]["text"] += f" {text} {item['title']}"
            names.add(name)
        else:
            items.append(item)
    items.sort(key=lambda item: not item["location"].startswith(FIRST))
    text = json.dumps({**index, "items": items}, ensure_ascii=False)
    (site / "search.json").write_text(text, encoding="utf-8")
    (site / "search.js").write_text(f"var __index = {text};", encoding="utf-8")


def copy(source: Path, target: Path) -> None:
    """Copy a file, creating the missing directories of the target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    sys.exit(main())
