"""Files of models on the Hugging Face hub, fetched by its own library and kept in its cache.

The library tries a hub that it cannot reach again and again, for 24 seconds. So one connection
is tried first, for three at most; without it only the cache is asked. Nothing that is fetched
here is ever run.
"""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from premask._errors import RequestError

_CONNECT_SECONDS = 3.0
_PORTS = {"http": 80, "https": 443}


def fetch_files(name: str, file: str, *others: str) -> Path:
    """Fetches a file of the model `name`, and `others` beside it where there are such.

    Raises:
        RequestError: the hub does not give the file, and it is not in the cache.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    failures = (OSError, EntryNotFoundError, HfHubHTTPError)
    only_cached = not is_reachable(constants.ENDPOINT)

    def fetch(each: str) -> Path:
        return Path(hf_hub_download(name, each, local_files_only=only_cached))

    try:
        found = fetch(file)
    except (*failures, HFValidationError) as error:
        cause = "it cannot be reached" if only_cached else type(error).__name__
        raise RequestError(
            f"{name!r} is no file here, and the Hugging Face hub does not give its {file} "
            f"({cause}); check the name and the network, or give a local path",
            location="tokenizer",
        ) from error
    for other in others:
        try:
            fetch(other)
        except failures:
            continue
    return found


def is_reachable(url: str) -> bool:
    """Whether a server takes connections; that of a proxy is not tried, but believed."""
    place = urlsplit(url)
    if place.scheme in getproxies() or "all" in getproxies():
        return True
    address = (place.hostname or "", place.port or _PORTS.get(place.scheme, 443))
    try:
        socket.create_connection(address, _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
