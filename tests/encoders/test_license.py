"""License and languages, from READMEs as people write them."""

import pytest

from bert_serving.encoders.catalog.catalog import CATALOG, hugging_face_repository, licensing_of_entry
from bert_serving.encoders.license import UNKNOWN, LicenseAndLanguages, licensing_of_readme, licensing_of_run

CASES = [
    ("---\nlicense: apache-2.0\nlanguage: en\n---\n# A model\n", LicenseAndLanguages("apache-2.0", ("en",))),
    ("---\nlicense: mit\nlanguage:\n- en\n- de\ntags: [x]\n---\n", LicenseAndLanguages("mit", ("en", "de"))),
    ("---\r\nlicense: mit\r\n---\r\ntext", LicenseAndLanguages("mit")),
    ("---\nlanguage: [no, en]\n---\n", LicenseAndLanguages(None, ("en",))),  # YAML reads "no" as false
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
    assert licensing_of_readme(tmp_path) == expected


def test_a_folder_without_a_readable_readme_tells_nothing(tmp_path):
    assert licensing_of_readme(tmp_path) == UNKNOWN
    (tmp_path / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    assert licensing_of_readme(tmp_path) == UNKNOWN


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"encoder": 3}', '{"encoder": {"name": "x"}}'])
def test_a_run_json_without_terms_tells_nothing(content, tmp_path):
    assert licensing_of_run(tmp_path) == UNKNOWN
    (tmp_path / "run.json").write_text(content)
    assert licensing_of_run(tmp_path) == UNKNOWN


def test_the_catalog_speaks_as_hubs_do():
    assert licensing_of_entry(CATALOG["all-MiniLM-L6-v2"]) == LicenseAndLanguages("apache-2.0", ("en",))
    assert hugging_face_repository("all-MiniLM-L6-v2") == "sentence-transformers/all-MiniLM-L6-v2"
    assert hugging_face_repository("a folder of mine") is None
