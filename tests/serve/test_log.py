import shutil

from json_files import edit


def test_clients_can_neither_forge_nor_flood_the_log(serve, names_dir, tmp_path) -> None:
    name = "names\x1b[2J\n2026 GET forged"
    shutil.copytree(names_dir, tmp_path / name)
    edit(tmp_path / name / "meta.json", created_at="now\x1b")
    server = serve(tmp_path / name)
    shown = r"names\x1b[2J\n2026 GET forged"
    assert server.get("/health").json["model"] == shown
    assert server.get("/v1/models").json["data"][0]["id"] == shown
    escaped = shown.replace("\\", "\\\\")  # as Prometheus has labels
    assert f'microgpt_model_info{{name="{escaped}"' in server.get("/metrics").body.decode()
    server.get(f"/{'a' * 60_000}")
    server.wait_for(r"aaa… \S+\n")
    assert "\x1b" not in server.log
    assert "\n2026 " not in server.log
    assert max(map(len, server.log.splitlines())) < 300
