"""`microgpt serve`: serve models over HTTP."""

from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import MODEL_OPTION, SERVED_MODELS, one_of, option


@examples("microgpt serve output --port 8080")
def serve(
    models: list[str] | None = SERVED_MODELS,
    model_option: list[str] | None = MODEL_OPTION,
    host: str | None = option(
        None,
        "Address to listen on; 0.0.0.0 for all interfaces.  [env: HOST; default: 127.0.0.1]",
    ),
    port: int | None = option(
        None, "Port to listen on; 0 for any free port.  [env: PORT; default: 8080]"
    ),
) -> None:
    """Serve one or more models over HTTP.

    On SIGTERM or Ctrl-C, the server completes active requests and stops. Environment variables
    such as MICROGPT_API_KEY set more options: docs/serving.md.
    """
    given = one_of(models, model_option, "--model")

    from microgpt_serve.server import serve as serve_until_stopped
    from microgpt_serve.service_settings import read_settings

    serve_until_stopped(read_settings(model_dir=given, host=host, port=port))
