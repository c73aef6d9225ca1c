"""`microgpt serve`: serve models over HTTP."""

from microgpt_cli.terminal.options import (
    SERVED_MODELS,
    SERVED_OPTION,
    SUGGEST_HELP,
    UNKNOWN_HELP,
    one_of,
    option,
)


def serve(
    models: list[str] | None = SERVED_MODELS,
    model_option: list[str] | None = SERVED_OPTION,
    host: str | None = option(
        None,
        "Address to listen on; 0.0.0.0 for all interfaces.  [env: HOST; default: 127.0.0.1]",
    ),
    port: int | None = option(
        None, "Port to listen on; 0 for any free port.  [env: PORT; default: 8080]"
    ),
    processes: int | None = option(
        None, "Number of processes that answer requests.  [env: MICROGPT_PROCESSES; default: 1]"
    ),
    unknown: str | None = option(None, f"{UNKNOWN_HELP}  [env: MICROGPT_UNKNOWN]"),
    suggest: bool = option(False, f"{SUGGEST_HELP}  [env: MICROGPT_SUGGEST]"),
) -> None:
    """Serve one or more models over HTTP.

    On SIGTERM or Ctrl-C, the server completes active requests and stops. On SIGHUP, it reloads
    the models. Environment variables such as MICROGPT_API_KEY set more options: docs/serving.md.
    """
    given = one_of(models, model_option, "--model")

    from microgpt_serve.sighup import block_sighup

    block_sighup()
    from microgpt_serve.service import serve as serve_until_stopped
    from microgpt_serve.settings import read_settings

    others = {"host": host, "port": port, "processes": processes, "unknown": unknown}
    serve_until_stopped(read_settings(model_dir=given, suggest=suggest or None, **others))
