"""Run files: all problems at once, overrides, resolved copies, paths."""

import tomllib
from pathlib import Path

import pytest

from bert_serving.config import RunConfig, load_run_file, parse_run_config
from bert_serving.contract import Graph, Head
from bert_serving.errors import RunFileError
from bert_serving.run_file import dump_run_file

SMALLEST = {"data": {"train": "train.tsv"}, "encoder": {"name": "some-encoder"}}

EVERYTHING = """\
[data]
folder = "texts"
train = ["a.tsv", "b.csv.gz"]
validation = "validation.tsv"
test = ["/elsewhere/test.tsv"]
text = "question"
text_pair = "answer"
label = "fits"
labels = ["no", "yes"]
max_train_rows = 100

[encoder]
path = "../encoders/mine"
preprocessing = "/encoders/preprocessing"
trainable = false
sequence_length = 64

[head]
kind = "binary"
dropout = 0.0

[training]
epochs = 7
batch_size = 8
learning_rate = 1e-4
warmup_ratio = 0
weight_decay = 0
max_grad_norm = 0
class_weights = true
early_stopping = 2
best_metric = "macro_f1"
seed = 11
max_batch_tokens = 4096
padding = "fixed"
strategy = "mirrored"
devices = ["GPU:0", "GPU:1"]
mixed_precision = "bfloat16"
xla = true

[export]
name = "faq-2.1"
graph = "padded"
minimum_tf_serving = "2.8"
max_probability_difference = 0.0001
max_label_change_rate = 0.01
"""


def problems_of(tables: dict) -> list[str]:
    with pytest.raises(RunFileError) as raised:
        parse_run_config(tables, source="run.toml")
    assert str(raised.value) == "run.toml: " + "; ".join(raised.value.problems)
    assert "\n" not in str(raised.value)
    return raised.value.problems


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, "utf-8")
    return path


# === Problems ===


@pytest.mark.parametrize("label", [5, [], ["a", 3], None])
def test_a_label_column_is_a_name_or_a_list_of_names(label):
    (problem,) = problems_of({"data": {"train": "a.csv", "label": label}, "encoder": {"name": "a"}})
    assert problem == f"data.label: expected the name of a column or a list of such names, got {label!r}"


def test_a_list_of_label_columns_is_for_a_multilabel_head():
    tables = {"data": {"train": "a.csv", "label": ["a", "b"]}, "encoder": {"name": "a"}}
    (problem,) = problems_of(tables)
    assert "data.label lists 2 columns of 0 and 1, which is for a multilabel head, not for a softmax head" in problem
    assert parse_run_config(tables | {"head": {"kind": "multilabel"}}).data.label == ("a", "b")


def test_every_problem_of_a_run_file_is_reported_at_once():
    problems = problems_of(
        {
            "data": {"labels": ["a", ["b"]], "max_train_rows": 0, "folder": 3, "tain": "x.tsv"},
            "encoder": {"name": "a", "path": "b", "sequence_length": 128},
            "head": {"kind": "hard"},
            "training": {"epochs": 0, "learning_rate": "high", "epoch": 3, "xla": "perhaps", "padding": "short"},
            "export": {"name": "a/b", "minimum_tf_serving": "2"},
            "traning": {},
        }
    )
    assert {problem.split(": ")[0] for problem in problems} == {
        "data.train",
        "data.labels.1",
        "data.max_train_rows",
        "data.folder",
        "data.tain",
        "encoder",
        "head.kind",
        "training.epochs",
        "training.learning_rate",
        "training.epoch",
        "training.xla",
        "training.padding",
        "export.name",
        "export.minimum_tf_serving",
        "traning",
    }


@pytest.mark.parametrize(
    ("table", "values", "problem"),
    [
        ("data", {}, "data.train: missing; add it"),
        ("data", {"train": []}, "data.train: tuple should have at least 1 item after validation, not 0, got []"),
        (
            "data",
            {"train": "a", "validation_fraction": 1.0},
            "data.validation_fraction: input should be less than 1, got 1.0",
        ),
        ("data", {"train": "a", "max_train_rows": 0}, "data.max_train_rows: input should be greater than 0, got 0"),
        ("data", {"train": "a", "epocs": 1}, "data.epocs: unknown key; remove it or correct its spelling"),
        ("encoder", {}, "encoder: give either name or path, got name=None and path=None"),
        ("encoder", {"name": "a", "preprocessing": "b"}, "encoder: preprocessing belongs to path or to an address"),
        (
            "encoder",
            {"name": "hf://a/b", "preprocessing": "b"},
            "encoder: preprocessing of a name is an address, got b",
        ),
        (
            "encoder",
            {"path": "a", "preprocessing": "hf://b/c"},
            "encoder: preprocessing of a path is a path, got hf://b/c",
        ),
        ("encoder", {"name": "a", "sequence_length": 3}, "encoder.sequence_length: input should be greater than or"),
        ("head", {"kind": "other"}, "head.kind: input should be 'softmax', 'binary', 'multilabel' or 'regression'"),
        ("head", {"dropout": 1}, "head.dropout: input should be less than 1, got 1"),
        ("training", {"epochs": 2.5}, "training.epochs: input should be a valid integer"),
        ("training", {"learning_rate": 0}, "training.learning_rate: input should be greater than 0, got 0"),
        (
            "training",
            {"learning_rate": float("inf")},
            "training.learning_rate: input should be a finite number, got inf",
        ),
        ("training", {"weight_decay": float("nan")}, "training.weight_decay: input should be"),
        ("training", {"warmup_ratio": 1}, "training.warmup_ratio: input should be less than 1, got 1"),
        ("training", {"strategy": "gpu"}, "training.strategy: input should be 'one_device', 'mirrored'"),
        ("training", {"best_metric": "auc"}, "training.best_metric: input should be 'accuracy', 'macro_f1'"),
        ("export", {"graph": "dense"}, "export.graph: input should be 'padded'"),
        ("export", {"name": "../up"}, "export.name: '../up' cannot name a model: letters"),
        ("epochs", 3, "epochs: unknown key"),
        ("training", 3, "training: input should be a valid dictionary or instance of TrainingConfig, got 3"),
    ],
)
def test_a_wrong_key_is_named_with_its_value(table, values, problem):
    [found] = problems_of(SMALLEST | {table: values})
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        (
            {"data": {"train": "a", "labels": ["a", "b", "c"]}, "head": {"kind": "binary"}},
            "a binary head needs exactly 2 labels, data.labels has 3",
        ),
        (
            {"training": {"strategy": "multi_worker", "xla": True}},
            "training.xla cannot compile the sums over workers of multi_worker; leave out one of them",
        ),
        (
            {"head": {"kind": "regression"}, "training": {"class_weights": True}},
            "training.class_weights has no meaning for a regression head",
        ),
        (
            {"head": {"kind": "regression"}, "training": {"label_smoothing": 0.1}},
            "training.label_smoothing is 0.1, and a regression head has no labels; leave it out",
        ),
        (
            {"head": {"kind": "multilabel"}, "training": {"class_weights": "effective_number"}},
            "training.class_weights has no meaning for a multilabel head",
        ),
        (
            {
                "encoder": {"name": "n", "trainable": False, "reinitialized_layers": 2},
                "training": {"layerwise_learning_rate_decay": 0.9},
            },
            "encoder.reinitialized_layers is 2, and a frozen encoder's layers are not trained; leave it out, or encoder.trainable "
            "= false; training.layerwise_learning_rate_decay is 0.9, and a frozen encoder's layers are not trained; leave it out, "
            "or encoder.trainable = false",
        ),
        (
            {"head": {"kind": "multilabel"}, "training": {"class_weights": True, "best_metric": "spearman"}},
            "training.class_weights has no meaning for a multilabel head; training.best_metric 'spearman' is not measured "
            "for a multilabel head; use one of accuracy, macro_f1, loss",
        ),
    ],
)
def test_tables_that_contradict_each_other_are_refused(tables, problem):
    assert problems_of(SMALLEST | tables) == [f"run file: {problem}"]


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        (
            {"head": {"kind": "regression"}},
            'training.method "contrastive" compares labels, and a regression head has none',
        ),
        (
            {"training": {"batch_size": 3}},
            "training.batch_size is 3, and contrastive training compares pairs of rows of a batch",
        ),
        *(
            (
                {table: {key: value}},
                f'training.method "contrastive" does not go with {table}.{key} = {shown}; leave out one of',
            )
            for table, key, value, shown in (
                ("encoder", "trainable", False, "false"),
                ("head", "dropout", 0.2, "0.2"),
                ("training", "adversarial_epsilon", 1.0, "1.0"),
                ("training", "average_last_epochs", 2, "2"),
                ("training", "gradual_unfreezing", 1, "1"),
                ("training", "strategy", "mirrored", '"mirrored"'),
                ("training", "mixed_precision", "bfloat16", '"bfloat16"'),
                ("training", "xla", True, "true"),
                ("training", "label_smoothing", 0.1, "0.1"),
                ("training", "max_batch_tokens", 512, "512"),
            )
        ),
        (
            {"data": {"long_texts": "windows"}},
            'training.method "contrastive" does not go with data.long_texts = "windows"; use head_and_tail',
        ),
        ({"head": {"blocks": 1, "pooling": "mean"}}, 'training.method "contrastive" does not go with head.blocks = 1'),
        (
            {"encoder": {"cache_features": True, "trainable": False}},
            'training.method "contrastive" does not go with encoder.trainable = false; leave out one of them; '
            'training.method "contrastive" does not go with encoder.cache_features = true',
        ),
    ],
)
def test_what_has_no_meaning_in_contrastive_training_is_refused(tables, problem):
    contrastive = {"training": {"method": "contrastive"}}
    joined = {
        name: SMALLEST.get(name, {}) | contrastive.get(name, {}) | tables.get(name, {})
        for name in {*SMALLEST, *contrastive, *tables}
    }
    assert problems_of(joined)[0].startswith(f"run file: {problem}")


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        (
            {"training": {"contrastive_iterations": 5}},
            "training.contrastive_iterations is 5, and is for contrastive training; leave it out, or set training.method to",
        ),
        (
            {"data": {"train": "a", "max_rows_per_label": 8}, "head": {"kind": "regression"}},
            "data.max_rows_per_label has no meaning for a regression head; use data.max_train_rows",
        ),
    ],
)
def test_keys_for_few_labels_are_refused_where_they_have_no_meaning(tables, problem):
    assert problems_of(SMALLEST | tables)[0].startswith(f"run file: {problem}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read the run file: No such file or directory; check the path"),
        (b"[data\n", "is not valid TOML: "),
        (b"[data]\ntrain = 'a'\ntrain = 'b'\n", "is not valid TOML: "),
        (b"[data]\ntrain = '\xff'\n", "is not valid TOML: "),
    ],
    ids=["missing", "no TOML", "key twice", "no UTF-8"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, reason):
    path = tmp_path / "run.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunFileError) as raised:
        load_run_file(path)
    assert str(raised.value).startswith(f"{path}: {reason}")


def test_a_folder_is_no_run_file(tmp_path):
    with pytest.raises(RunFileError, match="cannot read the run file: Is a directory"):
        load_run_file(tmp_path)


# === Overrides ===


@pytest.mark.parametrize(
    ("override", "table", "key", "value"),
    [
        ("training.epochs=5", "training", "epochs", 5),
        (" training.epochs =5", "training", "epochs", 5),
        ("training.learning_rate=3e-5", "training", "learning_rate", 3e-5),
        ("training.xla=true", "training", "xla", True),
        ("training.strategy=mirrored", "training", "strategy", "mirrored"),
        ('training.strategy="mirrored"', "training", "strategy", "mirrored"),
        ('training.devices=["CPU:0", "CPU:1"]', "training", "devices", ("CPU:0", "CPU:1")),
        ("head.kind=multilabel", "head", "kind", Head.MULTILABEL),
        ("data.text=title=long", "data", "text", "title=long"),
        ('data.labels=["b", "a"]', "data", "labels", ("b", "a")),
        ("data.train=/a/other.tsv", "data", "train", (Path("/a/other.tsv"),)),
        ("export.name=two words", "export", "name", None),
    ],
)
def test_an_override_replaces_one_key(tmp_path, override, table, key, value):
    path = write(tmp_path, '[data]\ntrain = "a.tsv"\n[encoder]\nname = "n"\n[training]\nepochs = 2\nbatch_size = 4\n')
    if value is None:
        with pytest.raises(
            RunFileError, match=r"export\.name: 'two words' cannot name a model: .*'two-words' would do"
        ):
            load_run_file(path, [override])
        return
    config = load_run_file(path, [override])
    assert getattr(getattr(config, table), key) == value
    assert config.training.batch_size == 4


def test_of_two_overrides_of_a_key_the_last_counts(tmp_path):
    path = write(tmp_path, '[data]\ntrain = "a.tsv"\n[encoder]\nname = "n"\n')
    config = load_run_file(path, ["training.epochs=5", "training.epochs=6", "training.seed=2"])
    assert (config.training.epochs, config.training.seed) == (6, 2)


@pytest.mark.parametrize(
    ("overrides", "name", "path"),
    [
        (["encoder.path=/models/bert"], None, Path("/models/bert")),
        (["encoder.path=/models/bert", "encoder.name=other"], "other", None),
    ],
)
def test_an_override_of_the_encoder_takes_the_place_of_the_run_files_encoder(tmp_path, overrides, name, path):
    written = write(tmp_path, '[data]\ntrain = "a.tsv"\n[encoder]\nname = "n"\nsequence_length = 64\n')
    encoder = load_run_file(written, overrides).encoder
    assert (encoder.name, encoder.path, encoder.sequence_length) == (name, path, 64)


@pytest.mark.parametrize("override", ["epochs=5", "training.epochs", "training.=5", "=5", "", ".epochs=5"])
def test_an_override_without_table_key_and_value_is_refused(tmp_path, override):
    path = write(tmp_path, '[data]\ntrain = "a.tsv"\n[encoder]\nname = "n"\n')
    with pytest.raises(RunFileError) as raised:
        load_run_file(path, [override])
    assert raised.value.problems == [f"expected table.key=value such as training.epochs=5, got {override!r}"]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("training.epoch=5", "training.epoch: unknown key"),
        ("training.a.b=5", "training.a.b: unknown key"),
        ("trainig.epochs=5", "trainig: unknown key"),
        ("training.epochs=many", "training.epochs: input should be a valid integer, unable to parse string as an int"),
        ("training.epochs=", "training.epochs: input should be a valid integer"),
    ],
)
def test_an_override_is_checked_like_the_file(tmp_path, override, problem):
    path = write(tmp_path, '[data]\ntrain = "a.tsv"\n[encoder]\nname = "n"\n')
    with pytest.raises(RunFileError) as raised:
        load_run_file(path, [override])
    assert raised.value.problems[0].startswith(problem)


def test_an_override_of_what_is_no_table_is_refused(tmp_path):
    path = write(tmp_path, 'data = 3\n[encoder]\nname = "n"\n')
    with pytest.raises(RunFileError, match=r"'data' is not a table of the run file, got 'data\.train=a'"):
        load_run_file(path, ["data.train=a"])


# === Resolved copies ===


@pytest.mark.parametrize("text", [EVERYTHING, '[data]\ntrain = "a.tsv"\n[encoder]\nname = "n"\n'])
def test_a_resolved_copy_says_the_same(tmp_path, text):
    config = load_run_file(write(tmp_path, text))
    copy = write(tmp_path, dump_run_file(config))
    assert load_run_file(copy) == config
    assert dump_run_file(load_run_file(copy)) == dump_run_file(config)


def test_a_resolved_copy_names_every_key_that_has_a_value(tmp_path):
    tables = tomllib.loads(dump_run_file(load_run_file(write(tmp_path, EVERYTHING))))
    # They do not go together with adversarial_epsilon, and with fine-tuning.
    left_out = {"gradual_unfreezing", "contrastive_iterations"}
    assert tables["training"].keys() | left_out == RunConfig.model_fields["training"].annotation.model_fields.keys()
    assert tables["export"] == {
        "name": "faq-2.1",
        "graph": "padded",
        "precision": "float32",
        "max_probability_difference": 0.0001,
        "max_label_change_rate": 0.01,
        "minimum_tf_serving": "2.8",
    }


@pytest.mark.parametrize(
    "name", ["plain", 'say "so"', "back\\slash", "tab\there", "line\nbreak", "\x7f", "\x00\x1f", "好吃", "😀", "a=b#c"]
)
def test_any_label_survives_a_resolved_copy(name):
    config = parse_run_config(SMALLEST | {"data": {"train": "a", "labels": [name, "other"]}})
    assert parse_run_config(tomllib.loads(dump_run_file(config))) == config


# === Paths ===


def test_paths_are_relative_to_the_run_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    config = load_run_file(write(tmp_path, '[data]\ntrain = "a.tsv"\n[encoder]\npath = "../mine"\n'))
    assert config.data.train == (tmp_path / "a.tsv",)
    assert config.encoder.path == tmp_path / "../mine"
    assert config.encoder.preprocessing is None


def test_data_paths_are_relative_to_the_data_folder(tmp_path):
    config = load_run_file(write(tmp_path, EVERYTHING))
    assert config.data.folder == tmp_path / "texts"
    assert config.data.train == (tmp_path / "texts/a.tsv", tmp_path / "texts/b.csv.gz")
    assert config.data.validation == (tmp_path / "texts/validation.tsv",)
    assert config.data.test == (Path("/elsewhere/test.tsv"),)
    assert config.encoder.path == tmp_path / "../encoders/mine"
    assert config.encoder.preprocessing == Path("/encoders/preprocessing")


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    text = '[data]\nfolder = "~/data"\ntrain = ["a.tsv", "~/b.tsv"]\n[encoder]\npath = "~/mine"\n'
    config = load_run_file(write(tmp_path, text))
    assert config.data.train == (Path("/home/someone/data/a.tsv"), Path("/home/someone/b.tsv"))
    assert config.encoder.path == Path("/home/someone/mine")


def test_a_link_to_a_run_file_finds_the_data_beside_its_target(tmp_path):
    (tmp_path / "package").mkdir()
    target = write(tmp_path / "package", '[data]\ntrain = "a.tsv"\n[encoder]\nname = "n"\n')
    (tmp_path / "link.toml").symlink_to(target)
    assert load_run_file(tmp_path / "link.toml").data.train == (tmp_path / "package/a.tsv",)


# === Defaults ===


def test_defaults_are_those_of_the_documentation():
    config = parse_run_config(SMALLEST)
    assert config.encoder.sequence_length == 128
    assert config.head.kind is Head.SOFTMAX
    assert config.training.learning_rate is None
    assert config.export.graph is Graph.RAGGED
    assert (config.data.text, config.data.label, config.data.text_pair) == ("text", "label", None)


@pytest.mark.parametrize(
    ("head", "chosen", "metric"),
    [
        ("softmax", None, "accuracy"),
        ("multilabel", None, "accuracy"),
        ("regression", None, "spearman"),
        ("softmax", "macro_f1", "macro_f1"),
        ("regression", "loss", "loss"),
    ],
)
def test_the_best_epoch_is_chosen_by_the_heads_own_metric(head, chosen, metric):
    training = {} if chosen is None else {"best_metric": chosen}
    assert parse_run_config(SMALLEST | {"head": {"kind": head}, "training": training}).best_metric == metric


@pytest.mark.parametrize(("head", "metric"), [("regression", "accuracy"), ("softmax", "spearman")])
def test_a_metric_that_the_head_does_not_have_is_refused(head, metric):
    tables = SMALLEST | {"head": {"kind": head}, "training": {"best_metric": metric}}
    [problem] = problems_of(tables)
    assert f"training.best_metric {metric!r}" in problem


@pytest.mark.parametrize(
    ("padding", "strategy", "dynamic"),
    [("longest", "one_device", True), ("longest", "tpu", False), ("fixed", "one_device", False)],
)
def test_a_tpu_gets_one_shape(padding, strategy, dynamic):
    config = parse_run_config(SMALLEST | {"training": {"padding": padding, "strategy": strategy}})
    assert config.training.dynamic_padding is dynamic
