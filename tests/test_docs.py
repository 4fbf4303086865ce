"""The docs say what the code does: links, paths, commands, keys and terms."""

import ast
import re
import sys
from pathlib import Path

import pytest
import typer
from support.paths import ROOT

from bert_serving.cli.main import app
from bert_serving.config import RunConfig, load_run_file
from bert_serving.pretraining.config import PretrainingConfig, load_pretraining_file

DOCS = ROOT / "docs"

GENERATED = ("run_files.md", "pretraining_files.md", "score_files.md", "commands.md", "flags.md", "errors.md")


@pytest.mark.parametrize("page", GENERATED)
def test_the_generated_pages_are_up_to_date(page: str, generated: dict[str, str]):
    assert (DOCS / "reference" / page).read_text("utf-8") == generated[page]


def test_every_generated_page_is_checked(generated: dict[str, str]):
    assert set(generated) == set(GENERATED)


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    """Text of each generated page by its file's name."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import generate_reference
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    return generate_reference.pages()


@pytest.mark.parametrize("path", sorted((ROOT / "export").glob("*.toml")), ids=lambda path: path.name)
def test_every_run_file_is_valid(path: Path):
    assert load_run_file(path).export.name


@pytest.mark.parametrize("path", sorted((ROOT / "export" / "pretraining").glob("*.toml")), ids=lambda path: path.name)
def test_every_run_file_of_pretraining_is_valid(path: Path):
    assert load_pretraining_file(path).training.epochs


PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
WRITTEN_PAGES = [page for page in PAGES if page.name not in {*GENERATED, "CHANGELOG.md"}]


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_somewhere(page: str):
    text = (ROOT / page).read_text("utf-8")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    missing = [target for target in targets if target and not (ROOT / page).parent.joinpath(target).exists()]
    assert not missing


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_every_anchor_leads_to_a_heading(page: str):
    text = (ROOT / page).read_text("utf-8")
    links = [target.partition("#") for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    missing = [
        f"{path}#{anchor}"
        for path, _, anchor in links
        if anchor and anchor not in _anchors((ROOT / page).parent / path if path else ROOT / page)
    ]
    assert not missing


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in WRITTEN_PAGES])
def test_prose_wraps_at_100_columns(page: str):
    too_long = [line for line in _prose((ROOT / page).read_text("utf-8")) if len(line) > 100 and " " in line.strip()]
    assert not too_long


def test_every_page_of_the_docs_is_linked():
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8"))
    }
    # The site begins at docs/index.md.
    assert not {page for page in DOCS.rglob("*.md") if page.resolve() not in linked} - {DOCS / "index.md"}


# --- What pages mention ---


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in WRITTEN_PAGES])
def test_every_path_of_the_repository_exists(page: str):
    pattern = r"(?<![\w/.-])(?:benchmarks|bert_serving|docs|export|k8s|scripts|serving|tests)/[\w./-]*\w"
    paths = re.findall(pattern, (ROOT / page).read_text("utf-8"))
    assert not [path for path in paths if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in WRITTEN_PAGES])
def test_every_import_of_the_examples_exists(page: str):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    nodes = [node for block in blocks for node in ast.walk(ast.parse(block)) if _is_ours(node)]
    missing = []
    for node in nodes:
        path = ROOT / (node.module or "").replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        text = file.read_text("utf-8") if file.is_file() else ""
        missing += [f"{file}: {name.name}" for name in node.names if not _defines(text, name.name)]
    assert not missing


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in WRITTEN_PAGES])
def test_every_command_and_its_options_exist(page: str):
    text = re.sub(r"\\\n *", " ", (ROOT / page).read_text("utf-8"))
    unknown = []
    for line in re.findall(r"bert-serving ([a-z0-9][^\n`|]*)", text):
        words = line.partition("  #")[0].split()
        command, known = typer.main.get_command(app), {"--offline"}
        while words and words[0] in getattr(command, "commands", ()):
            command = command.commands[words.pop(0)]
        if command.name == "serve":
            continue  # the flags of tensorflow_model_server have their own tests
        known |= {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        options = [re.sub(r"=.*|\W+$", "", word.lstrip("[")) for word in words if re.match(r"\[?--\w", word)]
        unknown += [f"{command.name}: {option}" for option in options if option not in known]
        if hasattr(command, "commands"):
            unknown.append(line)
    assert not unknown


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in WRITTEN_PAGES])
def test_every_key_of_run_files_exists(page: str):
    keys = {
        f"{table}.{key}"
        for config in (RunConfig, PretrainingConfig)
        for table, field in config.model_fields.items()
        for key in field.annotation.model_fields
    }
    text = (ROOT / page).read_text("utf-8")
    mentioned = set(re.findall(r"(?<![\w/.])(?:data|encoder|head|training|export|masking)\.[a-z]\w*", text))
    assert not {key for key in mentioned if not key.endswith((".md", ".json"))} - keys


# --- The architecture ---

ARCHITECTURE = DOCS / "explanation" / "architecture.md"
PACKAGE = ROOT / "bert_serving"


def test_every_path_of_the_architecture_exists():
    paths = [code for code in _codes(ARCHITECTURE.read_text("utf-8")) if _is_path(code)]
    assert len(paths) > 50
    assert not [path for path in paths if _file(path) is None]


def test_every_name_of_the_architecture_is_in_its_file():
    table = ARCHITECTURE.read_text("utf-8").partition("## Where to add")[2]
    missing, names, file = [], 0, None
    for code in _codes(table):
        if _is_path(code):
            file = _file(code)
        elif code.isidentifier():
            names += 1
            assert file is not None
            if not _defines(file.read_text("utf-8"), code):
                missing.append(f"{code} in {file}")
    assert names > 10
    assert not missing


def test_every_folder_of_the_package_is_in_the_architecture():
    folders = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")} - {Path()}
    assert not {f"{folder}/" for folder in folders} - set(_codes(ARCHITECTURE.read_text("utf-8")))


def _is_ours(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bert_serving"


def _defines(module: str, name: str) -> bool:
    definition = rf"^ *(?:class|def) {name}\b|^{name}\b.*=|^__all__ = \[[^]]*\"{name}\""
    return re.search(definition, module, re.MULTILINE) is not None


def _codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _is_path(code: str) -> bool:
    return " " not in code and (code.endswith(("/", ".py", ".md")) or code == ".importlinter")


def _file(path: str) -> Path | None:
    return next((folder / path for folder in (PACKAGE, ROOT) if (folder / path).exists()), None)


# --- The words ---

# Earlier words with today's. A line with both is an alias.
WORDS = {
    r"warmup_share": "warmup_ratio",
    r"validation_share": "validation_fraction",
    r"gradient_norm": "max_grad_norm",
    r"adversarial_norm": "adversarial_epsilon",
    r"average_epochs": "average_last_epochs",
    r"unfreeze_layers": "gradual_unfreezing",
    r"export\.changed_labels": "max_label_change_rate",
    r"largest_difference": "max_probability_difference",
    r"\w*normalise\w*": "normalize",
    r"inner_width": "intermediate_size",
    r"--patience": "--retry-timeout",
    r"Exchange\b": "RequestEvent",
    r"Gateway\(": "RequestHandler",
    r"TaskLane": "ClientQueue",
    r"lonely": "unbatchable",
    r"Shadow": "comparison",
    r"the model says": "predicted label",
    r"mended": "fixed",
    r"class Place\b": "location",
    r"class Served\b": "served version",
    r"class Move\b": "label change",
    r"def follow\b": "rollout",
    # TensorFlow's own spelling.
    r"\w*parallelizm\w*": "parallelism",
}
NEW_WORDS = {*WORDS.values(), "hidden_size", "num_attention_heads", "num_hidden_layers", "max_position_embeddings"} | {
    "type_vocab_size",
    "normalizer",
    "max_train_rows",
    "stochastic weight averaging",
    "temperature scaling",
    "gradient clipping",
    "dynamic padding",
    "tf_hub",
    "hugging_face_hub",
}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """All that people read, by path."""
    folders = [PACKAGE, *(ROOT / name for name in ("docs", "export", "benchmarks", "scripts", "serving", "k8s"))]
    kinds = {".py", ".md", ".toml", ".html", ".js", ".css", ".txt", ".yaml", ".yml", ".config"}
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(path for folder in folders for path in folder.rglob("*"))]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files if path.suffix in kinds}


@pytest.mark.parametrize("earlier", list(WORDS))
def test_earlier_words_are_in_alias_tables_alone(texts: dict[str, str], earlier: str):
    used = [
        f"{path}: {line.strip()}"
        for path, text in texts.items()
        for line in text.splitlines()
        if re.search(rf"(?<!\w){earlier}", line) and WORDS[earlier] not in line
    ]
    assert not used


@pytest.mark.parametrize("word", sorted(NEW_WORDS))
def test_todays_words_are_in_use(texts: dict[str, str], word: str):
    assert any(word in text for text in texts.values())


# --- Parts of a page ---


def _prose(page: str) -> list[str]:
    """A page's lines without code blocks, tables, headings and pictures."""
    without_code = re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
    return [line for line in without_code.splitlines() if not line.lstrip().startswith(("|", "#", "!["))]


def _anchors(page: Path) -> set[str]:
    """Anchors of a page: those that GitHub makes of its headings, those that it names itself, and those of docstrings."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    named = re.findall(r'<a id="([^"]+)"', text) + re.findall(r"^::: (\S+)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings} | set(named)
