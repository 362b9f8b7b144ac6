"""Settings: where each one comes from, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex import ServiceClient
from tinkex._base.secret import Secret
from tinkex._base.urls import is_loopback_host
from tinkex._core.limits import sample_limiter
from tinkex.config import HOSTED_BASE_URL, Config, redact_headers
from tinkex.config.settings import SETTINGS
from tinkex.errors import ConfigurationError, MissingCredentialsError, TinkexError

KEY = "tml-canary-0123456789-wxyz"
LOCAL = {"base_url": "local"}


def resolve(environ: dict[str, str] | None = None, **arguments: Any) -> Config:
    return Config.resolve(environ=environ or {}, **arguments)


def refusal(environ: dict[str, str] | None = None, **arguments: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        resolve(environ, **arguments)
    return str(caught.value)


# Where a value comes from


def test_an_argument_wins_over_the_environment_and_that_over_the_default() -> None:
    """The first place that has a value gives it, and the settings remember which it was (C2)."""
    environ = {"TINKER_API_KEY": KEY, "TINKEX_TIMEOUT": "30", "TINKER_TAGS": "a, b,,a"}
    config = resolve(environ, timeout=5)
    assert (config.timeout, config.sources["timeout"]) == (5.0, "argument")
    assert (config.tags, config.sources["tags"]) == (("a", "b"), "environment TINKER_TAGS")
    assert config.api_key is not None
    assert config.api_key.reveal() == KEY
    assert (config.base_url, config.sources["base_url"]) == (HOSTED_BASE_URL, "default")
    assert resolve(environ).timeout == 30.0
    assert resolve({"TINKER_API_KEY": KEY}).timeout == 60.0


@pytest.mark.parametrize(
    ("setting", "value", "environ"),
    [
        ("telemetry", False, {"TINKER_TELEMETRY": "1"}),
        ("feature_gates", (), {"TINKER_FEATURE_GATES": "x"}),
        ("tags", (), {"TINKER_TAGS": "x"}),
        ("default_headers", {}, {"TINKEX_DEFAULT_HEADERS": '{"a": "b"}'}),
        ("max_retries", 0, {"TINKEX_MAX_RETRIES": "7"}),
        ("verify", False, {"TINKEX_CA_BUNDLE": "/nowhere.pem"}),
        ("allow_insecure", False, {"TINKEX_ALLOW_INSECURE": "1"}),
    ],
)
def test_false_zero_and_empty_are_values_like_any_other(setting, value, environ) -> None:
    """An argument that is not None is the answer, however empty it is (C3, C4)."""
    config = resolve(environ, **LOCAL, **{setting: value})
    assert getattr(config, setting) == value
    assert config.sources[setting] == "argument"


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_a_blank_variable_counts_as_unset(blank: str) -> None:
    """`export TINKER_TAGS=` means what `unset` means (C4, C5)."""
    environ = {setting.env: blank for setting in SETTINGS.values() if setting.env}
    config = resolve({**environ, "TINKER_BASE_URL": "local"})
    assert config == resolve(base_url="local")
    assert config.feature_gates == ("async_sampling",)
    assert set(config.sources.values()) == {"default", "environment TINKER_BASE_URL"}


def test_switches_that_other_programs_read_too_forgive_what_they_do_not_know() -> None:
    """TINKER_TELEMETRY=maybe leaves the default, which is off until somebody asks (C5)."""
    assert resolve({"TINKER_TELEMETRY": "maybe"}, **LOCAL).telemetry is False
    assert resolve({"TINKER_TELEMETRY": "ON"}, **LOCAL).telemetry is True
    assert resolve({"TINKER_TELEMETRY": "OFF"}, **LOCAL).telemetry is False
    assert resolve({"TINKEX_DUMP_HEADERS": ""}, **LOCAL).dump_headers is False
    assert resolve({"TINKEX_DUMP_HEADERS": "Yes"}, **LOCAL).dump_headers is True


@pytest.mark.holds("S4")
@pytest.mark.parametrize("settings", [{"telemetry": True}, {}])
def test_nothing_is_reported_where_the_user_opts_out(settings) -> None:
    """DO_NOT_TRACK stands above the program's wish and the other variable, and says so."""
    environ = {"DO_NOT_TRACK": "1", "TINKER_TELEMETRY": "1"}
    config = resolve(environ, **LOCAL, **settings)
    assert config.telemetry is False
    assert config.sources["telemetry"] == "environment DO_NOT_TRACK"
    assert resolve({"DO_NOT_TRACK": "0"}, **LOCAL, telemetry=True).telemetry is True


def test_patience_has_one_set_of_defaults() -> None:
    """Ten repetitions and sixty seconds; TINKEX_PARITY of the other SDK changes nothing (C7)."""
    config = resolve({"TINKEX_PARITY": "beam"}, **LOCAL, timeout=5)
    assert (config.timeout, config.max_retries) == (5.0, 10)


def test_query_values_become_text_and_nulls_are_dropped() -> None:
    """JSON true is `true` on the wire (C6)."""
    config = resolve({"TINKEX_DEFAULT_QUERY": '{"flag": true, "n": 2, "gone": null}'}, **LOCAL)
    assert config.default_query == {"flag": "true", "n": "2"}


def test_headers_may_be_given_as_a_list_of_pairs() -> None:
    """Both forms that the reference takes are taken."""
    text = '[["x-a", "1"], ["x-b", "2"]]'
    assert resolve({"TINKEX_PROXY_HEADERS": text}, **LOCAL).proxy_headers == {
        "x-a": "1",
        "x-b": "2",
    }
    assert resolve(default_headers=[("x-a", 1)], **LOCAL).default_headers == {"x-a": "1"}


def test_durations_are_seconds_or_a_timedelta() -> None:
    """Both ways to say half a minute are the same."""
    assert resolve(timeout=timedelta(seconds=30), **LOCAL) == resolve(timeout=30, **LOCAL)


def test_the_settings_can_be_listed_with_their_sources() -> None:
    """People can see what applies and why."""
    lines = resolve({"TINKEX_TIMEOUT": "9"}, **LOCAL).describe()
    assert [line[0] for line in lines] == list(SETTINGS)
    assert ("timeout", "9.0", "environment TINKEX_TIMEOUT") in lines
    assert ("base_url", "local", "argument") in lines


# What is refused


@pytest.mark.parametrize(
    ("setting", "bad"),
    [
        ("timeout", 0), ("timeout", -1), ("timeout", "5"), ("timeout", True), ("timeout", float("nan")),
        ("max_retries", -1), ("max_retries", 1.5), ("max_retries", True),
        ("tags", "abc"), ("tags", 5), ("tags", [1]), ("feature_gates", 3),
        ("telemetry", "yes"), ("dump_headers", 1), ("allow_insecure", 1), ("log_level", "loud"),
        ("wire_format", "xml"), ("wire_format", 1),
        ("project_id", ""), ("project_id", 7), ("base_url", ""), ("base_url", 7), ("api_key", ""), ("api_key", 7),
        ("user_metadata", 5), ("user_metadata", {"a": [1]}), ("user_metadata", "ab"), ("user_metadata", {"": "x"}),
        ("default_headers", {"a b": "c"}), ("default_headers", {"a": "c\r\nd: e"}), ("default_headers", {"a": "é"}),
        ("default_headers", [1, 2]), ("default_headers", ["ab"]), ("proxy_headers", {"a:": "b"}),
        ("default_query", {" ": "x"}), ("verify", "/no/such/file.pem"), ("verify", 5),
        ("proxy", "h:3128"), ("proxy", "ftp://h"), ("proxy", "http://"), ("proxy", "http://h:x"), ("proxy", "socks4://h"), ("proxy", "http://[::1"),
        ("cf_access_client_id", "a\nb"), ("cf_access_client_secret", "a\nb"),
    ],
)  # fmt: skip
def test_a_bad_argument_is_refused_by_name(setting: str, bad: Any) -> None:
    """The message begins with the setting and ends with where the value came from."""
    text = refusal(**{**LOCAL, setting: bad})
    assert text.startswith(f"{setting} ")
    assert text.endswith("(from argument)")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("TINKEX_TIMEOUT", "soon"), ("TINKEX_TIMEOUT", "inf"), ("TINKEX_MAX_RETRIES", "1.5"),
        ("TINKEX_ALLOW_INSECURE", "maybe"), ("TINKER_LOG", "loud"),
        ("TINKEX_WIRE_FORMAT", "xml"), ("TINKEX_HTTP_POOL", "a b"), ("TINKEX_HTTP_POOL", "x" * 65), ("TINKEX_PROXY", "nothing"),
        ("TINKEX_DEFAULT_HEADERS", "{"), ("TINKEX_DEFAULT_HEADERS", "5"), ("TINKEX_DEFAULT_QUERY", '"x"'),
        ("TINKEX_PROXY_HEADERS", "[1]"), ("TINKEX_CA_BUNDLE", "/no/such/file.pem"),
        ("TINKER_API_KEY", "tml-a\nb"), ("TINKER_BASE_URL", "tinker.example.org"),
    ],
)  # fmt: skip
def test_a_bad_variable_is_refused_by_name(variable: str, text: str) -> None:
    """The message names the setting and the variable, and says what would be right."""
    name = next(name for name, setting in SETTINGS.items() if setting.env == variable)
    environ = {"TINKER_BASE_URL": "local", variable: text}
    message = refusal(environ)
    assert message.startswith(f"{name} ")
    assert message.endswith(f"(from environment {variable})")
    assert "must" in message


def test_an_unknown_setting_is_refused_with_those_there_are() -> None:
    """A mistyped keyword does not pass for a setting."""
    assert refusal(api_kei="x").startswith(
        "unknown setting 'api_kei': did you mean 'api_key'? There are: allow_insecure, "
    )


def test_missing_credentials_name_both_ways_out() -> None:
    """A beginner learns that there is a key to set, and that none is needed to work offline."""
    with pytest.raises(MissingCredentialsError) as caught:
        resolve()
    assert "api_key is required" in str(caught.value)
    assert "TINKER_API_KEY" in str(caught.value)
    assert "TINKER_BASE_URL=local" in str(caught.value)


def test_a_key_of_another_kind_is_refused() -> None:
    """The prefix catches another service's key before it is sent anywhere (C1)."""
    text = refusal({"TINKER_API_KEY": "abc"})
    assert "must start with the 'tml-' prefix" in text
    assert "environment TINKER_API_KEY" in text
    assert "abc" not in text


@pytest.mark.parametrize("key", [KEY, "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", f"  {KEY}\n"])
def test_keys_and_tokens_are_taken_and_stripped(key: str) -> None:
    """A JWT is as good as a key, and a line end of a file does no harm."""
    assert resolve(api_key=key).api_key.reveal() == key.strip()


@pytest.mark.holds("S16")
@pytest.mark.parametrize("key", ["tml-a\rb", "tml-ключ", "tml-a\x0bb", "tml-a\x00b", "tml-\x7f"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    """What httpx would refuse later, naming the value, is refused here, without it."""
    text = refusal(api_key=key)
    assert text.startswith("api_key must be ")
    assert key not in text


@pytest.mark.parametrize(
    "url", ["local", "http://127.0.0.1:8000/x", "http://localhost", "http://[::1]:1"]
)
def test_a_server_on_this_machine_needs_no_key_and_no_encryption(url: str) -> None:
    """Offline work takes no ceremony."""
    config = resolve(base_url=url)
    assert config.is_loopback
    assert config.api_key is None
    assert resolve(base_url=url, api_key="anything").api_key is not None


@pytest.mark.holds("S7")
@pytest.mark.parametrize(
    "url", ["http://example.org", "http://10.0.0.5:8000", "http://localhost.example.org"]
)
def test_plain_http_to_another_machine_needs_to_be_asked_for(url: str) -> None:
    """The key never travels in the clear by accident (S7)."""
    text = refusal({"TINKER_BASE_URL": url}, api_key=KEY)
    assert text.startswith("base_url ")
    assert "allow_insecure=True" in text
    assert "(from environment TINKER_BASE_URL)" in text
    assert resolve(base_url=url, api_key=KEY, allow_insecure=True).base_url == url
    assert resolve({"TINKEX_ALLOW_INSECURE": "1"}, base_url=url, api_key=KEY).base_url == url


@pytest.mark.parametrize(
    "url",
    ["ftp://h", "h", "//h", "http://", "http://h:x", "http://h:99999", "https://[::1", "https://a b", "https://a\tb",
     "https://h/x?y=1", "https://h/x#y"],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(url: str) -> None:
    """No odd URL gets as far as the network."""
    assert refusal(base_url=url, api_key=KEY).startswith("base_url must ")


@given(st.text(max_size=40))
def test_any_text_as_base_url_is_taken_or_refused_but_never_crashes(text: str) -> None:
    """Whatever stands in the variable, the answer is settings or a ConfigurationError."""
    try:
        config = resolve({"TINKER_BASE_URL": text}, api_key=KEY)
    except ConfigurationError:
        return
    assert config.base_url == "local" or config.base_url.lower().startswith("http")


def test_trailing_slashes_of_the_base_url_are_dropped() -> None:
    """Paths are joined by appending."""
    assert resolve(base_url="https://h/x//", api_key=KEY).base_url == "https://h/x"


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True), ("LOCALHOST", True), ("a.localhost", True), ("127.9.9.9", True), ("::1", True),
        ("localhost.evil.org", False), ("127.0.0.1.evil.org", False), ("0.0.0.0", False), ("", False), ("10.0.0.1", False),
    ],
)  # fmt: skip
def test_only_names_of_this_machine_count_as_this_machine(host: str, is_here: bool) -> None:
    """A look-alike of localhost is somebody else."""
    assert is_loopback_host(host) is is_here


def test_one_server_has_one_limiter_however_its_url_is_written() -> None:
    """Upper case and the default port make no other server (C60); path and key do."""

    def limiter(url: str, key: str = KEY) -> object:
        return sample_limiter(resolve(base_url=url, api_key=key))

    one = limiter("https://example.com/p")
    assert limiter("https://EXAMPLE.com:443/p/") is one
    assert limiter("https://example.com:444/p") is not one
    assert limiter("https://example.com/q") is not one
    assert limiter("https://example.com/p", "tml-another-key-0000") is not one


# What is never shown

SECRETS = {
    "api_key": KEY,
    "cf_access_client_secret": "canary-cloudflare",
    "proxy": "http://user:canary-proxy@proxy.example.org:3128",
    "proxy_headers": {"Proxy-Authorization": "Basic canary-basic"},
    "default_headers": {"X-Auth-Token": "canary-token", "Cookie": "canary=1", "X-Plain": "shown"},
    "default_query": {"api_key": "canary-query", "plain": "shown"},
}


@pytest.mark.holds("S1", "S17")
@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda config: str(config.describe()),
        lambda config: str(attrs.evolve(config, timeout=1.0)),
        lambda config: str({k: v for k, v in attrs.asdict(config).items() if "_headers" not in k and k != "default_query"}),
    ],
)  # fmt: skip
def test_no_way_of_showing_settings_shows_a_secret(show) -> None:
    """Keys, the proxy's password and secret headers stay unseen (C8)."""
    shown = show(resolve(**SECRETS))
    assert "canary" not in shown


def test_settings_are_shown_as_far_as_they_are_no_secret() -> None:
    """The proxy's address and plain headers help to find mistakes."""
    shown = dict(line[:2] for line in resolve(**SECRETS).describe())
    assert shown["proxy"] == "http://proxy.example.org:3128"
    assert '"X-Plain": "shown"' in shown["default_headers"]
    assert shown["api_key"] == "tml-...wxyz"


def test_headers_with_secrets_are_redacted_whatever_their_case() -> None:
    """Names that promise a secret hide their value; the idempotency key helps support."""
    headers = {
        "X-API-KEY": "a", "cookie": "b", "Authorization": "c", "X-Tinker-Weights-Access-Token": "d",
        "X-Idempotency-Key": "e", "Accept": "f", "CF-Access-Client-Secret": "g",
    }  # fmt: skip
    shown = redact_headers(headers)
    assert "".join(value for value in shown.values() if value != "[REDACTED]") == "ef"


def _refuse_resolving(bad: dict[str, Any]) -> None:
    environ = {"TINKER_API_KEY": KEY, "CLOUDFLARE_ACCESS_CLIENT_SECRET": "canary-cloudflare"}
    Config.resolve(environ=environ, **bad)


def _refuse_building(bad: dict[str, Any]) -> None:
    Config(**bad)


def _refuse_connecting(bad: dict[str, Any]) -> None:
    ServiceClient(**bad)


def _refuse_connecting_with_config(bad: dict[str, Any]) -> None:
    ServiceClient(config=Config(api_key=KEY), **bad)


@pytest.mark.holds("S3", "S23")
@pytest.mark.parametrize(
    "refuse",
    [
        _refuse_resolving,
        _refuse_building,
        _refuse_connecting,
        _refuse_connecting_with_config,
    ],
)
@pytest.mark.parametrize(
    "bad",
    [
        {"proxy": "ftp://user:canary@h"},
        {"proxy": "http://user:canary@h℀x"},
        {"proxy": "http://user:canary@[::1"},
        {"base_url": "ftp://user:canary@h"},
        {"base_url": "https://user:canary@h"},
        {"base_url": "https://user:canary?@h"},
        {"base_url": "https://user:canary#@h"},
        {"base_url": "https://h/?key=canary"},
        {"base_url": "tml-canary-0123456789"},
        {"api_key": "canary"},
        {"api_key": "tml-canary\nx"},
        {"apikey": "tml-canary-0123456789"},
        {"user_metadata": "tml-canary-0123456789"},
        {"cf_access_client_secret": "canary\nx"},
        {"cf_access_client_secret": "canary-secret", "max_retries": -1},
        {"default_headers": {"X-Token": "canary\nx"}},
        {"api_key": "tml-canary-0123456789", "timeout": -3},
    ],
    ids=lambda bad: " ".join(f"{name}={value!r}" for name, value in bad.items()),
)
def test_no_refusal_shows_a_secret_not_even_with_the_variables_of_its_frames(
    bad: dict[str, Any], refuse: Callable[[dict[str, Any]], None]
) -> None:
    """An error reporter that records variables gets none with a key in the clear (S3)."""
    caught: ConfigurationError | None = None
    try:
        refuse(bad)
    except ConfigurationError as error:
        caught = error
    assert caught is not None
    assert "canary" not in f"{caught!s}{caught!r}"
    # This frame and that of `refuse` hold what is looked for.
    frames = list(traceback.walk_tb(caught.__traceback__))[2:]
    variables = [repr(value) for frame, _ in frames for value in frame.f_locals.values()]
    assert frames
    assert not [text for text in variables if "canary" in text]
    assert caught.__cause__ is None
    assert caught.__context__ is None


# Settings that are built without the environment


def test_settings_that_are_built_directly_are_converted_and_checked() -> None:
    """`Config(...)` is `Config.resolve(...)` without an environment."""
    config = Config(api_key=KEY, timeout=timedelta(seconds=5), tags=["a"], max_retries=0)
    assert config == Config.resolve(
        environ={}, api_key=KEY, timeout=timedelta(seconds=5), tags=["a"], max_retries=0
    )
    assert isinstance(config.api_key, Secret)
    assert (config.sources["timeout"], config.sources["base_url"]) == ("argument", "default")
    assert "canary" not in repr(config)
    for wrong in ({"timeout": -3}, {"max_retries": 1.5}, {"base_url": "ftp://x"}, {"nonsense": 1}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            Config(api_key=KEY, **wrong)
    with pytest.raises(MissingCredentialsError):
        Config()


def test_settings_that_are_built_directly_read_no_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is not given is a default, whatever the variables say."""
    monkeypatch.setenv("TINKEX_TIMEOUT", "7")
    assert Config(**LOCAL).timeout == 60.0


def test_a_copy_with_changes_is_converted_and_checked_too() -> None:
    """`attrs.evolve` keeps keys and sources, and refuses what cannot be right."""
    config = Config.resolve(environ={}, api_key=lambda: KEY)
    copy = attrs.evolve(config, timeout=timedelta(minutes=1), tags=["b"])
    assert (copy.timeout, copy.tags) == (60.0, ("b",))
    assert (copy.key_function, copy.sources) == (config.key_function, config.sources)
    with pytest.raises(ConfigurationError, match="timeout must be a positive number"):
        attrs.evolve(config, timeout=-1)


@pytest.mark.parametrize("name", ["api_key", "cf_access_client_secret", "proxy_headers"])
def test_a_secret_of_the_settings_is_masked_in_errors_from_then_on(name: str) -> None:
    """Building settings registers what the process must not show."""
    secret = f"tml-canary-of-{name}-0123456789"
    Config(
        base_url="local",
        **{name: {"Proxy-Authorization": secret} if name == "proxy_headers" else secret},
    )
    assert str(TinkexError(f"the server says {secret}")) == "the server says [REDACTED]"


def test_the_password_of_a_proxy_is_masked_in_errors_quoted_or_not() -> None:
    """A proxy may repeat the password, and an HTTP library the URL."""
    Config(base_url="local", proxy="http://user:canary%2Fproxy@h:1")
    said = str(TinkexError("canary/proxy canary%2Fproxy http://user:canary%2Fproxy@h:1"))
    assert said == "[REDACTED] [REDACTED] [REDACTED]"


def test_a_ca_bundle_is_a_file_that_is_there(tmp_path: Path) -> None:
    """A path is taken as text or as a Path."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    assert resolve(verify=bundle, **LOCAL).verify == str(bundle)
    assert resolve({"TINKEX_CA_BUNDLE": str(bundle)}, **LOCAL).verify == str(bundle)


def test_where_tokenizers_are_looked_for_is_a_setting(tmp_path: Path) -> None:
    """Offline and the cache folder come from arguments or the environment, checked."""
    config = resolve({"TINKEX_OFFLINE": "1", "TINKEX_CACHE_DIR": str(tmp_path)}, **LOCAL)
    assert (config.offline, config.cache_dir) == (True, str(tmp_path))
    assert resolve({}, cache_dir=tmp_path, **LOCAL).cache_dir == str(tmp_path)
    assert (resolve({}, **LOCAL).offline, resolve({}, **LOCAL).cache_dir) == (False, None)
    for wrong in ({"offline": "yes"}, {"cache_dir": 3}, {"cache_dir": ""}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            resolve({}, **wrong, **LOCAL)
