"""A hub on this machine: reached, gone, and without the file that is asked for."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from premask._errors import RequestError
from premask.stages.hub_files import is_reachable
from premask.stages.tokenizer import load_tokenizer

from tests.stages.vocabularies import tiny_bert

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """Serves one model, ``people/bert``, with a tokenizer and no configuration."""
    content = tiny_bert(tmp_path).json

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            found = self.path == "/people/bert/resolve/main/tokenizer.json"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", '"etag"')
            if not found:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        constants, files = (
            "huggingface_hub.constants",
            "{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(f"{constants}.ENDPOINT", endpoint)
        monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", f"{endpoint}/{files}")
        monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server
        server.shutdown()


def test_a_tokenizer_is_fetched_once_and_then_found_in_the_cache(
    hub: ThreadingHTTPServer,
) -> None:
    loaded = load_tokenizer("people/bert")
    assert json.loads(loaded.json)["model"]["type"] == "WordPiece"
    hub.shutdown()
    hub.server_close()
    assert load_tokenizer("people/bert").sha256 == loaded.sha256


def test_a_model_that_the_hub_lacks_is_refused(hub: ThreadingHTTPServer) -> None:
    del hub
    with pytest.raises(RequestError, match=r"does not give its tokenizer\.json \(\w+Error\)"):
        load_tokenizer("people/gpt")


def test_a_hub_that_is_gone_is_not_asked_again(hub: ThreadingHTTPServer) -> None:
    hub.shutdown()
    hub.server_close()
    with pytest.raises(RequestError, match="it cannot be reached"):
        load_tokenizer("people/bert")


def test_a_proxy_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{nobody.getsockname()[1]}"
        for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert not is_reachable(url)
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
        assert is_reachable(url)
