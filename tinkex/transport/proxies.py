"""Tell whether the environment puts a proxy between us and the server."""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit

from tinkex.config import Config


def proxy_in_environment(config: Config) -> bool:
    """Tell whether a proxy of the environment may stand between us and the server."""
    if config.is_loopback:
        return False
    url = urlsplit(config.base_url)
    if sys.platform in ("darwin", "win32"):
        # The system's settings count there.
        from urllib.request import getproxies

        proxies = getproxies()
    else:
        proxies = {
            name.lower().removesuffix("_proxy"): value
            for name, value in os.environ.items()
            if name.lower().endswith("_proxy") and value
        }
    if not (proxies.get(url.scheme) or proxies.get("all")):
        return False
    host = (url.hostname or "").lower()
    exempt = [entry.strip().lower() for entry in proxies.get("no", "").split(",")]
    # What is not clear, httpx decides.
    return not any(
        entry and (entry == "*" or host == entry or host.endswith("." + entry.lstrip(".")))
        for entry in exempt
    )
