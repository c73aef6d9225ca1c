import os
import re
import sys
from pathlib import Path

import commands

import microgpt_serve

FILES = Path(microgpt_serve.__file__).parent / "playground"
MAX_BYTES = 215_000
IMPORTED = re.compile(r"^(?:import|export) [^;]*from \"([^\"]+)\";", re.MULTILINE)


def test_the_page_is_small_and_loads_only_its_own_files(names) -> None:
    sent = names.get("/")
    assert sent.headers["content-type"] == "text/html; charset=utf-8"
    assert sent.body == (FILES / "index.html").read_bytes()
    local = FILES / "local"  # the engine
    files = [file for file in FILES.rglob("*") if file.is_file() and local not in file.parents]
    assert sum(file.stat().st_size for file in files) <= MAX_BYTES
    for file in files:
        path = file.relative_to(FILES).as_posix()
        reply = names.get("/" if path == "index.html" else f"/playground/{path}")
        assert (reply.status, reply.body) == (200, file.read_bytes())
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; connect-src 'self'; ")
        assert "'unsafe" not in policy
        assert reply.headers["cache-control"] == "no-cache"
        assert not re.findall(r"(?<!xmlns=.)https?://", reply.body.decode())
        for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert unsafe not in reply.body.decode()
    assert names.get("/playground/none.js").status == 404
    assert names.get("/playground/..%2fapp.py").status == 404


def test_play_opens_the_page_on_a_free_loopback_port(tmp_path, names_dir) -> None:
    """The browser is a script that loads the page, then stops the service."""
    command = Path(sys.executable).parent / "microgpt"
    visit = tmp_path / "visit"
    visit.write_text(
        f"#!{sys.executable}\nimport os, signal, sys\nfrom urllib.request import urlopen\n"
        "print(sys.argv[1], urlopen(sys.argv[1]).status, flush=True)\n"
        f"os.kill(int(open({str(tmp_path / 'pid')!r}).read()), signal.SIGTERM)\n"
    )
    visit.chmod(0o755)
    env = {**os.environ, "BROWSER": f"{visit} %s", "MICROGPT_API_KEY": "secret"}
    with commands.running([command, "play", names_dir], env=env, cwd=tmp_path) as process:
        (tmp_path / "pid").write_text(str(process.pid))
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found = re.search(r"^open (http://127\.0\.0\.1:\d+) in a browser; Ctrl-C stops", err, re.M)
    assert found, err
    assert out == f"{found[1]} 200\n"
    assert "GET" not in err  # there is no line for each request


def test_no_script_of_the_page_imports_itself_through_others() -> None:
    found = {
        file: {(file.parent / name).resolve() for name in IMPORTED.findall(file.read_text("utf-8"))}
        for file in FILES.rglob("*.js")
    }
    assert sum(map(len, found.values())) > len(found)  # the pattern finds imports
    while free := {file for file, others in found.items() if not others & found.keys()}:
        found = {file: others for file, others in found.items() if file not in free}
    assert [file.name for file in found] == []
