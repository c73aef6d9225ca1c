"""`microgpt serve`: serve a model over HTTP."""

from pathlib import Path

from microgpt_cli.terminal.options import (
    MODEL_OPTION,
    SERVED_MODEL,
    SUGGEST_HELP,
    UNKNOWN_HELP,
    one_of,
    option,
)


def serve(
    model: Path | None = SERVED_MODEL,
    model_option: Path | None = MODEL_OPTION,
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
    """Serve a model over HTTP.

    On SIGTERM or Ctrl-C, the server completes active requests and stops. On SIGHUP, it reloads
    the model. Environment variables such as MICROGPT_API_KEY set more options; see docs/serving.md.
    """
    model_dir = one_of(model, model_option, "--model")

    from microgpt_serve.command import block_sighup

    block_sighup()
    from microgpt_serve.server import serve as serve_until_stopped
    from microgpt_serve.settings import read_settings

    directory = None if model_dir is None else str(model_dir)
    given = {"host": host, "port": port, "processes": processes, "unknown": unknown}
    serve_until_stopped(read_settings(model_dir=directory, suggest=suggest or None, **given))
