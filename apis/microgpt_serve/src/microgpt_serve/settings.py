"""What the environment sets, checked before anything starts.

The names and defaults are those of docs/serving.md.
"""

import ipaddress
import re
from typing import Annotated, Any

import limits
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from microgpt.errors import ConfigError
from microgpt_serve.error_format import sentence
from microgpt_serve.keys import RULE, is_key
from microgpt_serve.middleware.hosts import host_of, is_loopback

_IS_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:\d+)?|[a-z]+://\[[0-9a-f:]+\](:\d+)?"
).fullmatch


def _check_key(key: SecretStr) -> SecretStr:
    if not is_key(key.get_secret_value()):
        raise ValueError(f"{RULE}, at least one")
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


def _split(listed: Any) -> Any:
    """Return `https://a.org, https://b.org` as a list."""
    if isinstance(listed, str):
        return [one.strip() for one in listed.split(",") if one.strip()]
    return listed


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no browser sends as its Origin, which would never match."""
    for origin in origins:
        if origin != "*" and not _IS_ORIGIN(origin):
            raise ValueError(f"must be origins such as https://a.example, or *, got {origin!r:.80}")
    return origins


def _check_proxies(proxies: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is no address: a name would never match, and * would be anyone."""
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            raise ValueError(
                f"must be addresses or networks such as 127.0.0.1, 10.0.0.0/8, got {proxy!r:.80}"
            ) from None
    return proxies


def _check_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return hosts as they are compared; refuse what no browser sends as its Host."""
    found = tuple(host if host == "*" else host_of(host) or host_of(f"[{host}]") for host in hosts)
    for host, name in zip(hosts, found, strict=True):
        if not name:
            raise ValueError(
                f"must be names such as chat.example, 10.0.0.7, or *, got {host!r:.80}"
            )
    return found


class Settings(BaseSettings):
    """The settings of the service, from the environment."""

    model_config = SettingsConfigDict(
        env_prefix="MICROGPT_", frozen=True, populate_by_name=True, extra="ignore"
    )

    model_dir: Annotated[str | None, Field(validation_alias="MODEL_DIR", min_length=1)] = None
    host: Annotated[str, Field(validation_alias="HOST", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(validation_alias="PORT", ge=0, le=65535)] = 8080  # 0: any free one
    api_key: Annotated[SecretStr, AfterValidator(_check_key)] | None = None
    api_keys_file: Annotated[str, Field(min_length=1)] | None = None
    rate_limit: Annotated[str, AfterValidator(_check_rate)] | None = None  # as `limits` reads it
    max_body_bytes: Annotated[int, Field(ge=1, le=2**30)] = 4 * 2**20
    queue_limit: Annotated[int, Field(ge=1, le=10**6)] = 64  # requests that wait for a worker
    timeout_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 10.0
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_origins)
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_hosts)
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_proxies)
    ] = ()
    log_json: bool = False

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach it."""
        return not is_loopback(self.host)

    @property
    def has_keys(self) -> bool:
        """Whether whoever reaches it needs a key."""
        return self.api_key is not None or self.api_keys_file is not None

    @property
    def checks_hosts(self) -> bool:
        """Whether Host and Origin are checked; a stranger's page has no key."""
        if self.allowed_hosts:
            return "*" not in self.allowed_hosts
        return not (self.is_exposed or self.has_keys)


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
