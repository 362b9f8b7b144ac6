"""The table of settings: the environment variable of each, its parser and its checks.

The parsers raise a `ValueError` whose text completes the sentence "<setting> …" and never repeats
the value, which may be a secret.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from attrs import frozen

from tinkex._base.headers import is_header_name
from tinkex._base.secret import Secret
from tinkex.config.proxies import WRONG, parse_proxy
from tinkex.errors import ConfigurationError

T = TypeVar("T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_LOG_LEVELS = ("debug", "info", "warning", "error")
_WIRE_FORMATS = ("auto", "protobuf", "json")
_POOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HEADER_TEXT = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


@frozen
class Setting:
    """One setting: its environment variable, its parser and its checks."""

    env: str | None
    from_text: Callable[[str], Any]
    from_argument: Callable[[Any], Any]

    def look_up(
        self, name: str, argument: Any, environ: Mapping[str, str]
    ) -> tuple[bool, Any, str]:
        """Return whether the setting was given, its value, and its source.

        Raises:
            ConfigurationError: The value is invalid; the message names the setting and its source.
        """
        if argument is not None:
            return True, self._converted(name, self.from_argument, argument, "argument"), "argument"
        text = environ.get(self.env, "").strip() if self.env else ""
        if not text:
            return False, None, "default"
        source = f"environment {self.env}"
        return True, self._converted(name, self.from_text, text, source), source

    def _converted(self, name: str, convert: Callable[[Any], T], value: Any, source: str) -> T:
        try:
            return convert(value)
        except ValueError as error:
            raise ConfigurationError(f"{name} {error} (from {source})") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a non-empty string")
    return value.strip()


def _secret(value: Any) -> Secret:
    secret = value if isinstance(value, Secret) else Secret(_text(value))
    if any(character in secret.reveal() for character in "\r\n\0"):
        raise ValueError("must be one line: it has a line break; was a file read without strip()?")
    if not _HEADER_TEXT.fullmatch(secret.reveal()):
        raise ValueError(
            "must be plain ASCII without blanks at its ends: it travels in a header; was it copied "
            "from a formatted page?"
        )
    return secret


def _key(value: Any) -> Secret | Callable[[], Any]:
    return value if callable(value) else _secret(value)


def _command(value: Any) -> Secret:
    # Its arguments may be secrets.
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        return Secret(shlex.join(value))
    return value if isinstance(value, Secret) else Secret(_text(value))


def _header_text(value: Any) -> str:
    if not _HEADER_TEXT.fullmatch(text := _text(value)):
        raise ValueError("must be plain ASCII on one line: it travels in a header")
    return text


def _pool(value: Any) -> str:
    if not _POOL_NAME.fullmatch(text := _text(value)):
        raise ValueError("must be a name of at most 64 letters, digits, '-', '_' and '.'")
    return text


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be True or False")  # noqa: TRY004 - one exception type for bad settings
    return value


def _boolean_text(value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise ValueError("must be one of 1, true, yes, on, 0, false, no, off")


def _forgiving_boolean_text(default: bool) -> Callable[[str], bool]:
    """Return a parser of a switch that other programs read too, and that never fails."""

    def read(value: str) -> bool:
        return value.lower() in _TRUE or (value.lower() not in _FALSE and default)

    return read


def _seconds(value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e9:
        raise ValueError("must be a positive number of seconds")
    return float(seconds)


def _seconds_text(value: str) -> float:
    try:
        return _seconds(float(value))
    except ValueError:
        raise ValueError("must be a positive number of seconds") from None


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a non-negative integer")
    return value


def _count_text(value: str) -> int:
    try:
        return _count(int(value))
    except ValueError:
        raise ValueError("must be a non-negative integer") from None


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("must be a positive integer")
    return value


def _size_text(value: str) -> int:
    try:
        return _size(int(value))
    except ValueError:
        raise ValueError("must be a positive integer") from None


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError("must be a list of strings")  # noqa: TRY004 - one exception type
    names = tuple(value)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("must be a list of strings")
    return names


def _names_text(value: str) -> tuple[str, ...]:
    parts = (part.strip() for part in value.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def _pairs(value: Any) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for name, item in _items(value):
        if item is None:
            continue
        if not isinstance(item, str | int | float | bool):
            raise ValueError(  # noqa: TRY004 - one exception type
                f"holds {name!r}, whose value is not text, a number or a boolean"
            )
        pairs[name] = str(item).lower() if isinstance(item, bool) else str(item)
    return pairs


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    """Yield the pairs of a mapping or a list of pairs."""
    items = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(items, list | tuple):
        raise ValueError('must be names with values, such as {"name": "value"}')  # noqa: TRY004
    for item in items:
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise ValueError('must be names with values, such as {"name": "value"}')
        name = str(item[0]).strip()
        if not name:
            raise ValueError("holds an empty name")
        yield name, item[1]


def _pairs_text(value: str) -> dict[str, str]:
    return _pairs(_json(value))


def _headers(value: Any) -> dict[str, str]:
    headers = _pairs(value)
    for name, text in headers.items():
        if not is_header_name(name):
            raise ValueError(f"holds {name!r}, which cannot be the name of a header")
        if text and not _HEADER_TEXT.fullmatch(text):
            raise ValueError(
                f"holds {name!r}, whose value cannot be a header: it must be plain ASCII on one "
                "line, without blanks at its ends"
            )
    return headers


def _headers_text(value: str) -> dict[str, str]:
    return _headers(_json(value))


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError('must be JSON, such as {"name": "value"}') from None


def _log_level(value: Any) -> str:
    level = "warning" if str(value).lower() == "warn" else str(value).lower()
    if level not in _LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(_LOG_LEVELS)}")
    return level


def _wire_format(value: Any) -> str:
    if value not in _WIRE_FORMATS:
        raise ValueError(f"must be one of {', '.join(_WIRE_FORMATS)}")
    return str(value)


def _verify(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str | os.PathLike) or not (path := os.fspath(value)):
        raise ValueError("must be True, False or the path of a CA bundle")
    if not isinstance(path, str) or not os.path.isfile(path):  # noqa: PTH113 - a plain string
        raise ValueError(f"must be True, False or the path of a CA bundle; there is no {path!r}")
    return path


def _pem_file(value: Any) -> str:
    path = _file(value)
    if not os.path.isfile(path):  # noqa: PTH113 - a plain string
        raise ValueError(f"must be the path of a PEM file; there is no {path!r}")
    return path


def _file(value: Any) -> str:
    if not isinstance(value, str | os.PathLike) or not str(value := os.fspath(value)).strip():
        raise ValueError("must be the path of a file")
    return str(value)


def _folder(value: Any) -> str:
    if not isinstance(value, str | os.PathLike) or not str(value := os.fspath(value)).strip():
        raise ValueError("must be the path of a folder")
    return str(value)


def _proxy(value: Any) -> Secret:
    text = value.reveal() if isinstance(value, Secret) else _text(value)
    proxy = parse_proxy(text) if "://" in text else None
    if proxy is None:
        raise ValueError(WRONG)
    return proxy.url


def _setting(
    env: str | None, argument: Callable[[Any], Any], text: Callable[[str], Any] | None = None
) -> Setting:
    return Setting(env, text or argument, argument)


SETTINGS: dict[str, Setting] = {
    "api_key": _setting("TINKER_API_KEY", _key),
    "credential_cmd": _setting("TINKER_CREDENTIAL_CMD", _command),
    "credentials_file": _setting("TINKEX_CREDENTIALS_FILE", _file),
    "base_url": _setting("TINKER_BASE_URL", _text),
    "project_id": _setting("TINKER_PROJECT_ID", _text),
    "timeout": _setting("TINKEX_TIMEOUT", _seconds, _seconds_text),
    "http_pool": _setting("TINKEX_HTTP_POOL", _pool),
    "max_retries": _setting("TINKEX_MAX_RETRIES", _count, _count_text),
    "breaker_failures": _setting("TINKEX_BREAKER_FAILURES", _size, _size_text),
    "breaker_reset": _setting("TINKEX_BREAKER_RESET", _seconds, _seconds_text),
    "display_name": _setting(None, _text),
    "tags": _setting("TINKER_TAGS", _names, _names_text),
    "user_metadata": _setting(None, _pairs),
    "feature_gates": _setting("TINKER_FEATURE_GATES", _names, _names_text),
    "telemetry": _setting("TINKER_TELEMETRY", _boolean, _forgiving_boolean_text(default=False)),
    "log_level": _setting("TINKER_LOG", _log_level),
    "cf_access_client_id": _setting("CLOUDFLARE_ACCESS_CLIENT_ID", _header_text),
    "cf_access_client_secret": _setting("CLOUDFLARE_ACCESS_CLIENT_SECRET", _secret),
    "dump_headers": _setting(
        "TINKEX_DUMP_HEADERS", _boolean, _forgiving_boolean_text(default=False)
    ),
    "proxy": _setting("TINKEX_PROXY", _proxy),
    "proxy_headers": _setting("TINKEX_PROXY_HEADERS", _headers, _headers_text),
    "default_headers": _setting("TINKEX_DEFAULT_HEADERS", _headers, _headers_text),
    "default_query": _setting("TINKEX_DEFAULT_QUERY", _pairs, _pairs_text),
    "verify": _setting("TINKEX_CA_BUNDLE", _verify),
    "client_cert": _setting("TINKEX_CLIENT_CERT", _pem_file),
    "client_key": _setting("TINKEX_CLIENT_KEY", _pem_file),
    "wire_format": _setting(
        "TINKEX_WIRE_FORMAT", _wire_format, lambda text: _wire_format(text.lower())
    ),
    "allow_insecure": _setting("TINKEX_ALLOW_INSECURE", _boolean, _boolean_text),
    "sdk_version": _setting("TINKEX_SDK_VERSION", _header_text),
    "chunk_len": _setting("TINKEX_CHUNK_LEN", _size, _size_text),
    "chunk_bytes": _setting("TINKEX_CHUNK_BYTES", _size, _size_text),
    "samples_in_flight": _setting("TINKEX_SAMPLES_IN_FLIGHT", _size, _size_text),
    "prompt_bytes": _setting("TINKEX_PROMPT_BYTES", _size, _size_text),
    "response_bytes": _setting("TINKEX_RESPONSE_BYTES", _size, _size_text),
    "offline": _setting("TINKEX_OFFLINE", _boolean, _boolean_text),
    "cache_dir": _setting("TINKEX_CACHE_DIR", _folder),
    "tracing": _setting("TINKEX_TRACING", _boolean, _forgiving_boolean_text(default=False)),
}
