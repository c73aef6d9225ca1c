import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import tomllib
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from commands import run_process, running

from microgpt import InferenceGpt

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "apis/microgpt_serve/deploy"


def requirements(name: str) -> dict[str, str]:
    """Return the requirements in a file, with the hashes below each."""
    found = re.findall(r"^(\S.*?) \\\n((?:    --hash=.*\n)+)", (DEPLOY / name).read_text(), re.M)
    return dict(found)


def test_image_requirements_use_the_versions_pinned_in_pyproject() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
    assert requirements("requirements.txt").keys() <= set(settings["constraint-dependencies"])
    backend = set(settings["build-constraint-dependencies"])
    assert requirements("build-requirements.txt").keys() >= backend  # dependencies are pinned, too


@pytest.mark.parametrize("name", ["requirements.txt", "build-requirements.txt"])
def test_every_deployed_requirement_has_hashes_and_no_url(name) -> None:
    text = (DEPLOY / name).read_text()
    assert len(requirements(name)) == len(re.findall("==", re.sub(r" ;.*", "", text))) > 0
    assert not re.search(r"://|index|find-links", text)
    assert len(set(re.findall(r"--hash=(\S+)", text))) == text.count("--hash=sha256:")


class Image(NamedTuple):
    env: dict[str, str]
    command: list[str]
    health_check: list[str]


def instructions() -> Iterator[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M)
    for line in text.replace("\\\n", "").splitlines():
        if line:
            word, _, rest = line.partition(" ")
            yield word, rest


@contextlib.contextmanager
def compiled(kernels: Path) -> Iterator[None]:
    """Copy the kernels of the tests, because compiling takes half a minute.

    At the end, only the kernels that were loaded are kept, as if only these had been compiled.
    """
    kernel_cache = pytest.importorskip("microgpt_engine.kernel_cache")
    kernels.mkdir(0o700, parents=True)
    for file in kernel_cache.cache_directory().glob("microgpt-*"):
        os.utime(shutil.copy(file, kernels), (0, 0))  # the time stays 0 if the file is not loaded
    yield
    for file in kernels.iterdir():
        if not file.stat().st_mtime:
            file.unlink()


def build(folder: Path) -> Image:
    """Run the instructions of the Dockerfile without Docker, with all stages in one folder."""
    env = {"PATH": os.environ["PATH"], "PIP_NO_COMPILE": "0"}  # with 0, pip writes no bytecode
    place, command, health_check = folder, [], []
    for word, rest in instructions():
        here = rest.replace("/opt/", f"{folder}/opt/")
        here = here.replace("('float32', 'float64')", "['float32']")  # halves the compile time
        if word == "WORKDIR":
            place = folder / rest.lstrip("/")
            place.mkdir()
        elif word == "COPY" and not rest.startswith("--from="):  # all stages are in this folder
            *names, target = rest.split()
            for source in (ROOT / file for name in names for file in glob(name, root_dir=ROOT)):
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, place / target)
        elif word == "ENV":
            pairs = dict(pair.split("=") for pair in here.split())
            env |= {name: value.replace("$PATH", env["PATH"]) for name, value in pairs.items()}
        elif word == "RUN":
            subprocess.run(here, shell=True, cwd=place, env={**os.environ, **env}, check=True)
        elif word == "HEALTHCHECK":
            health_check = json.loads(rest.partition("CMD ")[2])
        elif word == "CMD":
            command = json.loads(rest)
    return Image(env, command, health_check)


@pytest.mark.slow
@pytest.mark.long
def test_the_image_serves_models_and_reports_health(serve, talk_dir, talk_result, tmp_path) -> None:
    pytest.importorskip("microgpt_page")
    with compiled(tmp_path / "opt/microgpt/kernels"):
        image = build(tmp_path)

    def health_check() -> int:
        env = {**image.env, "PORT": str(server.port)}
        return subprocess.run(image.health_check, env=env, stderr=subprocess.DEVNULL).returncode

    server = serve(
        talk_dir, command=image.command, **{**image.env, "HOST": "127.0.0.1", "PORT": "0"}
    )
    assert "compil" not in server.log
    assert server.generate(num_samples=3).json["samples"] == InferenceGpt(talk_result).generate(3)
    assert server.chat("hi there").status == 200
    assert health_check() == 0
    server.signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert health_check() == 1


def test_the_image_copies_only_files_in_its_build_context() -> None:
    seen = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.M)
    copied = [rest for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    for source in (Path(name) for rest in copied for name in rest.split()[:-1]):
        assert any(source.is_relative_to(folder) for folder in seen), source


def test_the_image_does_not_run_as_root() -> None:
    user, _, group = dict(instructions())["USER"].partition(":")
    assert min(int(user), int(group)) > 0  # an orchestrator can check only numeric IDs


@contextlib.contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[httpx2.Client]:
    """Run nginx with nginx.conf in front of a service, with a self-signed certificate."""
    certificate = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -keyout privkey.pem -out fullchain.pem "
        "-subj /CN=chat.example -addext subjectAltName=DNS:chat.example,IP:127.0.0.1"
    )
    run_process(certificate.split(), cwd=folder, check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (DEPLOY / "nginx.conf").read_text()
    text = text.replace("/etc/letsencrypt/live/chat.example", str(folder))
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
    text = text.replace("    listen [::]:443 ssl;\n", "").replace("443", f"127.0.0.1:{port}")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"{'' if os.geteuid() else 'user root; '}daemon off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{text}}}\n"
    )
    command = ["nginx", "-p", folder, "-c", folder / "nginx.conf"]
    trusted = ssl.create_default_context(cafile=folder / "fullchain.pem")
    with (
        running(command) as process,
        httpx2.Client(
            base_url=f"https://127.0.0.1:{port}/model/",
            headers={"Host": "chat.example"},
            verify=trusted,
            timeout=120,
            trust_env=False,
        ) as client,
    ):
        for _ in range(500):
            with contextlib.suppress(httpx2.ConnectError):
                client.get("health")
                break
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        yield client
        process.terminate()
        process.wait(20)


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")), reason="nginx is not installed"
)
def test_nginx_conf_adds_tls_and_limits_and_forwards_requests(serve, slow_dir, tmp_path) -> None:
    server = serve(slow_dir, MICROGPT_TIMEOUT_S="300", MICROGPT_ALLOWED_HOSTS="chat.example")
    with nginx(tmp_path, server.port) as client:
        moved = client.get(str(client.base_url).rstrip("/"))
        assert (moved.status_code, moved.headers["location"][-7:]) == (308, "/model/")
        for file in ("docs", "openapi.json", "v1/models"):
            assert client.get(file).status_code == 200, file
        body = {"stream": True, "max_tokens": 300}
        with client.stream("POST", "v1/completions", json=body) as reply:
            events = reply.iter_lines()
            assert next(events).startswith("data: ")
            # The first event arrives while the service is still generating.
            done = 'microgpt_requests_total{route="/v1/completions",status="200"}'
            assert f"{done} 0.0" in client.get("metrics").text
            assert list(events)[-2:] == ["data: [DONE]", ""]
        client.get("v1/models", headers={"X-Forwarded-For": "203.0.113.7"})
        server.wait_for(r"203.0.113.7:\d+ - .GET /v1/models HTTP/1.1. 200")
        for n, status in ((1_000_000, 400), (2_000_000, 413)):  # the service returns 400, nginx 413
            large = client.post("microgpt/v1/generate", json={"prompt": "a" * n})
            assert large.status_code == status, large.text
        head = client.get("health", headers={"X-Long": "a" * 40_000})
        assert head.status_code == 400
        with contextlib.ExitStack() as slow:
            for _ in range(300):
                address = ("127.0.0.1", client.base_url.port)
                slow.enter_context(socket.create_connection(address, timeout=30)).sendall(b"\x16")
            assert client.get("health").status_code == 200
