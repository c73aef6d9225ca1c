"""What the environment sets, checked before anything starts.

The names and defaults are those of docs/serving.md. This module knows nothing of HTTP.
"""

import re
from typing import Annotated, Any

import limits
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from microgpt.errors import ConfigError
from microgpt_serve.problems import sentence

_IS_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:\d+)?|[a-z]+://\[[0-9a-f:]+\](:\d+)?"
).fullmatch
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _check_key(key: SecretStr) -> SecretStr:
    """Refuse what no header can carry; an empty one may be a variable that somebody forgot."""
    text = key.get_secret_value()
    if not text or not all("!" <= char <= "~" for char in text):
        raise ValueError("must be ASCII characters without spaces, at least one")
    return key


def _check_rate(rate: str) -> str:
    try:
        is_good = all(one.amount > 0 for one in limits.parse_many(rate))
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError(
            f"must be a rate such as 5/second or 100/minute;2000/hour, got {rate!r:.80}"
        )
    return rate


def _split(origins: Any) -> Any:
    """Return `https://a.org, https://b.org` as a list."""
    if isinstance(origins, str):
        return [origin.strip() for origin in origins.split(",") if origin.strip()]
    return origins


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no browser sends as its Origin, which would never match."""
    for origin in origins:
        if origin != "*" and not _IS_ORIGIN(origin):
            raise ValueError(f"must be origins such as https://a.example, or *, got {origin!r:.80}")
    return origins


class Settings(BaseSettings):
    """The settings of the service, from the environment."""

    model_config = SettingsConfigDict(
        env_prefix="MICROGPT_", frozen=True, populate_by_name=True, extra="ignore"
    )

    model_dir: Annotated[str | None, Field(validation_alias="MODEL_DIR", min_length=1)] = None
    host: Annotated[str, Field(validation_alias="HOST", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(validation_alias="PORT", ge=0, le=65535)] = 8080  # 0: any free one
    api_key: Annotated[SecretStr, AfterValidator(_check_key)] | None = None
    rate_limit: Annotated[str, AfterValidator(_check_rate)] | None = None  # as `limits` reads it
    max_body_bytes: Annotated[int, Field(ge=1, le=2**30)] = 4 * 2**20
    queue_limit: Annotated[int, Field(ge=1, le=10**6)] = 64  # requests that wait for a worker
    timeout_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 10.0
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_origins)
    ] = ()
    log_json: bool = False

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach it."""
        return self.host not in LOOPBACK


def read_settings(**options: Any) -> Settings:
    """Return the settings of the environment; options that are not None come before it.

    Raises:
        ConfigError: one is outside its range; the sentence names the variable.
    """
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = str(problem["loc"][0])
        plain = field.upper() if field.lower() in ("model_dir", "host", "port") else None
        name = plain or f"MICROGPT_{field.removeprefix('MICROGPT_').upper()}"
        raise ConfigError(sentence(problem, name=name, show=field != "api_key")) from None
