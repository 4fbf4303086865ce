"""The web page: what the server sends. `test_page_browser.py` tests it in a browser."""

import base64
import hashlib
import json
import re

import httpx
import pytest
from support import serving_models

from bert_serving.model_server.config.options import ModelConfig, ServerOptions, VersionPolicy
from bert_serving.model_server.page.page import MODELS_PATH
from bert_serving.model_server.server import ServerThread
from bert_serving.version import __version__


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    serving_models.write_texts(base / "texts" / "1")
    (base / "texts" / "1" / "assets" / "labels.txt").write_text("länger\nkurz\n", "utf-8")
    (base / "texts" / "2").mkdir()
    return base


def options(base, **more):
    model = ModelConfig("texts", base / "texts", VersionPolicy(latest=None), labels={"stable": 1})
    return ServerOptions(models=[model], port=None, **more)


@pytest.fixture(scope="module")
def http(base):
    with (
        ServerThread(options(base, rest_cors=True)) as running,
        httpx.Client(base_url=running.rest_url, timeout=20) as http,
    ):
        yield http


def test_the_page_is_one_document_that_names_no_other_place(http):
    reply = http.get("/")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert f"bert-serving {__version__}" in reply.text
    assert re.findall(r"(?:src|href)=[\"'](?!data:,|#)([^\"']*)", reply.text) == ["openapi.json"]
    assert "://" not in reply.text
    assert http.head("/").status_code == 200


def test_only_the_very_style_and_script_of_the_page_may_run(http):
    reply = http.get("/")
    policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", reply.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["connect-src"] == "'self'"
    # Attributes with styles or handlers would not work under this policy.
    assert not re.findall(r"<[^>]* (?:style|on[a-z]+)=", reply.text.partition("<script>")[0])
    assert "innerHTML" not in reply.text


def test_the_page_learns_of_versions_signatures_and_classes(http):
    (model,) = http.get(MODELS_PATH).json()["models"]
    broken, good = model["versions"]
    assert (model["name"], model["labels"]) == ("texts", {"stable": "1"})
    assert (broken["version"], broken["state"], broken["signatures"], broken["classes"]) == ("2", "END", {}, [])
    assert "Could not find SavedModel" in broken["error"]
    assert (good["version"], good["state"], good["classes"]) == ("1", "AVAILABLE", ["länger", "kurz"])
    assert good["signatures"]["serving_default"]["inputs"] == {"text": {"type": "string", "shape": [-1]}}
    assert good["signatures"]["pair"]["outputs"]["probabilities"] == {"type": "float", "shape": [-1, 2]}


def test_without_the_page_its_paths_are_unknown(base):
    with (
        ServerThread(options(base, page=False)) as running,
        httpx.Client(base_url=running.rest_url, timeout=20) as http,
    ):
        for path in ("/", MODELS_PATH):
            assert http.get(path).status_code == 404
        assert http.get("/v1/models").status_code == 200
        assert json.loads(http.get("/").text)["error"].startswith("Nothing at /")
