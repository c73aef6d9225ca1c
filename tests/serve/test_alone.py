"""The service with no other package than the library."""

from packages import write_package

from microgpt import InferenceGpt

OTHERS = ("characters", "cli", "course", "engine", "evolution", "exports", "page", "report")


def test_the_service_needs_only_the_library(
    serve, tmp_path, names_dir, names_result, talk_dir, talk_result
) -> None:
    site = tmp_path / "site-packages"
    for name in (f"microgpt_{other}" for other in OTHERS):
        hidden = f"raise ModuleNotFoundError('{name} is hidden', name='{name}')\n"
        write_package(site, name.replace("_", "-"), "commands", "", **{name: hidden})
    server = serve(f"names={names_dir},talk={talk_dir}", PYTHONPATH=str(site))
    names, talk = (InferenceGpt(each, engine="reference") for each in (names_result, talk_result))
    bodies = [{"num_samples": n, "seed": n} for n in range(1, 4)]
    for body, reply in zip(bodies, server.at_once("/microgpt/v1/generate", bodies), strict=True):
        assert reply.json["samples"] == names.generate(**body)
    reply = server.chat("hi there", model="talk", seed=3, max_tokens=9)
    assert reply.json["content"] == talk.chat("hi there", seed=3, max_tokens=9).content
    stream = server.openai().completions.create(model="names", prompt="a", seed=5, stream=True)
    (text,) = names.generate(prompt="a", seed=5)
    assert "a" + "".join(part.choices[0].text for part in stream) == text
    assert server.get("/").status == 404
    assert server.get("/docs").status == 200
    assert "install microgpt-engine" in server.log
