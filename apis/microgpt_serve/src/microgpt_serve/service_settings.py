"""Service settings, read from environment variables; see docs/reference/service.md."""

import os
import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from microgpt import ConfigError
from microgpt_serve.middleware import address_of, is_loopback
from microgpt_serve.service_errors import sentence

UNPREFIXED = ("model_dir", "host", "port")  # settings whose variables do not begin with MICROGPT_
KUBERNETES = ("MICROGPT_PORT", "MICROGPT_SERVICE_")  # prefixes of variables that Kubernetes sets
_IS_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d+)?").fullmatch
_IS_NAME = re.compile(r"(?!.*\.\d+$)(?=.{1,253}$)[a-z0-9_-]+(\.[a-z0-9_-]+)*").fullmatch


def _check_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()  # clients send it in a header, so it must be printable ASCII
    if not text or not all("!" <= char <= "~" for char in text):
        raise ValueError("must contain only ASCII characters and no spaces, and must not be empty")
    return key


def _split(listed: Any) -> Any:
    """Split a comma-separated string such as `a.org, b.org`; return a sequence unchanged."""
    if isinstance(listed, str):
        return [one.strip() for one in listed.split(",") if one.strip()]
    return listed


def _check_origin(text: str) -> str:
    if _IS_ORIGIN(text):
        return text
    raise ValueError("must be * or origins such as https://a.example")


def _check_host(text: str) -> str:
    """Return a host, normalised for comparison; raise ValueError for an invalid name or address."""
    host = text.lower().strip("[]").removesuffix(".")
    if address := address_of(host):
        return str(address)
    if text == "*" or _IS_NAME(host):
        return host
    raise ValueError("must be * or names and addresses without ports, such as a.example, 10.0.0.7")


def variable(name: str) -> str:
    """Return a setting's variable; for `port`, it is PORT: Kubernetes itself sets MICROGPT_PORT."""
    return name.upper() if name in UNPREFIXED else f"MICROGPT_{name.upper()}"


Entry = TypeVar("Entry")
_List = Annotated[tuple[Entry, ...], NoDecode, BeforeValidator(_split)]


class ServiceSettings(BaseSettings):
    """The settings of the service, each of which can be set by an environment variable."""

    model_config = SettingsConfigDict(
        alias_generator=variable, validate_by_name=True, frozen=True, extra="ignore"
    )

    model_dir: Annotated[str | tuple[str, ...] | None, NoDecode, Field(min_length=1)] = None
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080  # 0 selects a free port
    api_key: Annotated[SecretStr, AfterValidator(_check_key)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 10.0
    cors_origins: _List[Annotated[str, AfterValidator(_check_origin)]] = ()
    allowed_hosts: _List[Annotated[str, AfterValidator(_check_host)]] = ()

    @property
    def is_exposed(self) -> bool:
        """Whether the service accepts connections from other machines."""
        return not is_loopback(self.host)

    @property
    def checks_hosts(self) -> bool:
        """Whether to check Host and Origin; by default, only on loopback and without an API key."""
        if self.allowed_hosts:
            return "*" not in self.allowed_hosts
        return not (self.is_exposed or self.api_key)


def read_settings(**options: Any) -> ServiceSettings:
    """Read settings from options (None: from the environment); raise ConfigError if invalid."""
    try:
        return ServiceSettings(
            **{name: value for name, value in options.items() if value is not None}
        )
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        setting = str(problem["loc"][0])  # the name of an option or of a variable
        name = f"--{setting}" if setting in options else setting
        is_secret = name == variable("api_key")
        raise ConfigError(sentence(problem, name=name, is_secret=is_secret)) from None


def unknown_variables() -> list[str]:
    """Return environment variables that begin with MICROGPT_ but are not settings."""
    variables = set(map(variable, ServiceSettings.model_fields))
    return [
        name
        for name in sorted(os.environ)
        if name.upper().startswith("MICROGPT_")
        and not (name.upper() in variables or name.startswith(KUBERNETES))
    ]
