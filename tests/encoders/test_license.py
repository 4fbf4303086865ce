"""License and languages, from READMEs as people write them."""

import pytest

from bert_serving.encoders.catalog.catalog import CATALOG, hub_name, terms_of
from bert_serving.encoders.license import UNKNOWN, Terms, readme_terms, run_terms

CASES = [
    ("---\nlicense: apache-2.0\nlanguage: en\n---\n# A model\n", Terms("apache-2.0", ("en",))),
    ("---\nlicense: mit\nlanguage:\n- en\n- de\ntags: [x]\n---\n", Terms("mit", ("en", "de"))),
    ("---\r\nlicense: mit\r\n---\r\ntext", Terms("mit")),
    ("---\nlanguage: [no, en]\n---\n", Terms(None, ("en",))),  # YAML reads "no" as false
    ("---\nlicense: [mit, bsd]\nlanguage: {a: b}\n---\n", UNKNOWN),
    ("# A model\n---\nlicense: mit\n---\n", UNKNOWN),
    ("---\nlicense: mit\n", UNKNOWN),
    ("---\n- a\n- b\n---\n", UNKNOWN),
    ("---\nlicense: [\n---\n", UNKNOWN),
    ("---\nlicense: !!python/object:os.system x\n---\n", UNKNOWN),
    ("", UNKNOWN),
]


@pytest.mark.parametrize(("readme", "expected"), CASES)
def test_a_readme_tells_license_and_languages_or_nothing(readme, expected, tmp_path):
    (tmp_path / "README.md").write_bytes(readme.encode())
    assert readme_terms(tmp_path) == expected


def test_a_folder_without_a_readable_readme_tells_nothing(tmp_path):
    assert readme_terms(tmp_path) == UNKNOWN
    (tmp_path / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    assert readme_terms(tmp_path) == UNKNOWN


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"encoder": 3}', '{"encoder": {"name": "x"}}'])
def test_a_run_json_without_terms_tells_nothing(content, tmp_path):
    assert run_terms(tmp_path) == UNKNOWN
    (tmp_path / "run.json").write_text(content)
    assert run_terms(tmp_path) == UNKNOWN


def test_the_catalog_speaks_as_hubs_do():
    assert terms_of(CATALOG["all-MiniLM-L6-v2"]) == Terms("apache-2.0", ("en",))
    assert hub_name("all-MiniLM-L6-v2") == "sentence-transformers/all-MiniLM-L6-v2"
    assert hub_name("a folder of mine") is None
