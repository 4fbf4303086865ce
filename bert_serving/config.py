"""Run files: everything that decides a training run, in TOML, checked before any work starts.

A run file holds the tables `[data]`, `[encoder]`, `[head]`, `[training]` and `[export]`; `docs/run_files.md` lists the keys.
Paths are relative to the run file, or to `data.folder` for data files.
"""

import json
import re
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from bert_serving.contract import DEFAULT_MINIMUM_TF_SERVING, Graph, Head, Pooling, Precision
from bert_serving.errors import RenamedWarning, RunFileError

Paths = Annotated[tuple[Path, ...], Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]
# numpy's generators take no other.
Seed = Annotated[int, Field(ge=0, lt=2**32)]


_KAGGLE_HANDLE = re.compile(r"[\w-]+/[\w-]+/tensorflow2/[\w.-]+/\d+", re.IGNORECASE)


def is_kaggle_handle(value: str) -> bool:
    """Whether this is kagglehub's name of a model: owner/model/tensorFlow2/variation/version."""
    return _KAGGLE_HANDLE.fullmatch(value) is not None


def is_address(value: str) -> bool:
    """Whether this names something to fetch rather than a place on this machine."""
    return "://" in value or is_kaggle_handle(value)


def _as_place(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and not is_address(value) else value


Place = Annotated[Path | str, BeforeValidator(_as_place)]
"""a path, or an address as text"""


def check_preprocessing(name: str | None, path: Path | None, preprocessing: Path | str | None) -> None:
    """Makes sure that an encoder of this name or path may have this preprocessing.

    Raises:
        ValueError: it may not.
    """
    if preprocessing is None:
        return
    if path is None and not is_address(str(name)):
        raise ValueError("preprocessing belongs to path or to an address; a name of the catalog brings its own")
    if (path is None) == isinstance(preprocessing, Path):
        raise ValueError(
            f"preprocessing of a {'name is an address' if path is None else 'path is a path'}, got {preprocessing}"
        )


class Table(BaseModel):
    """A table of a run file: frozen, strict about unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    renamed_keys: ClassVar[Mapping[str, str]] = {}
    """keys of earlier versions, each with its name of today"""

    @model_validator(mode="before")
    @classmethod
    def _with_new_keys(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if twice := [f"{new} and {old}" for old, new in cls.renamed_keys.items() if old in given and new in given]:
            raise ValueError(f"{', '.join(twice)} are one key under two names; remove the second")
        return {cls.renamed_keys.get(key, key): value for key, value in given.items()}


def tuple_of(value: Any) -> Any:
    """A single path or word as a tuple of one; anything else as it is."""
    return (value,) if isinstance(value, str | Path) else value


class DataConfig(Table):
    """Where the labeled text is and how its columns are named."""

    renamed_keys: ClassVar[Mapping[str, str]] = {"validation_share": "validation_fraction", "rows": "max_train_rows"}

    folder: Path = Path()
    """the paths below are relative to it; itself it is relative to the run file"""
    train: Paths
    """files (TSV, CSV, JSON lines, Parquet; .gz too) or label folders"""
    validation: tuple[Path, ...] = ()
    """absent: `validation_fraction` of the training rows, stratified by label"""
    test: tuple[Path, ...] = ()
    """absent: scores are measured on the validation rows"""
    text: str = "text"
    """column of the text"""
    text_pair: str | None = None
    """second text column, for pairs of texts"""
    label: str = "label"
    """for multilabel heads a column of lists, or of labels joined by commas"""
    labels: tuple[str, ...] | None = None
    """all labels in the order of the model's outputs; absent: sorted, as found in the training rows"""
    validation_fraction: Share = 0.2
    """share of the training rows that becomes validation data when there is no validation file"""
    max_train_rows: Positive | None = None
    """use only so many training rows, chosen by the seed"""

    _listed = field_validator("train", "validation", "test", "labels", mode="before")(tuple_of)


class EncoderConfig(Table):
    """Which pretrained encoder to start from."""

    renamed_keys: ClassVar[Mapping[str, str]] = {"normalise": "normalizer"}

    name: str | None = None
    """a name of the catalog (`bert-serving encoders list`), an address of TF Hub or Kaggle, a handle of kagglehub, `hf://owner/name`"""
    path: Path | None = None
    """instead of a name: a folder that `encoders convert` takes, an encoder folder, a run folder, or an archive of one of them"""
    preprocessing: Place | None = None
    """the preprocessing SavedModel of `path`, where it lies elsewhere; of a name that is an address: the address of its preprocessing"""
    trusted: bool = False
    """load a SavedModel from elsewhere although its graph may read or write files or run code"""
    trainable: bool = True
    """false: only the head learns"""
    sequence_length: Annotated[int, Field(ge=4)] = 128
    """texts are cut at so many tokens, [CLS] and [SEP] included"""
    cache_tokens: bool = False
    """keep the word pieces of the data in the cache: the next run on the same texts starts at once"""
    cache_features: bool = False
    """of a frozen encoder: run it over each text once, without dropout, keep its features in the cache, and let the head learn from them"""
    normalizer: str | None = None
    """a function that changes texts before all else, as `module:function` or `file.py:function` (docs/training.md)"""

    @field_validator("normalizer")
    @classmethod
    def _names_a_function(cls, value: str | None) -> str | None:
        if value is not None and not all(value.rpartition(":")):
            raise ValueError(f"expected module:function or file.py:function, got {value!r}")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> "EncoderConfig":
        if (self.name is None) == (self.path is None):
            raise ValueError(f"give either name or path, got name={self.name!r} and path={self.path!r}")
        check_preprocessing(self.name, self.path, self.preprocessing)
        return self


class HeadConfig(Table):
    """What is predicted from the encoder's pooled output."""

    kind: Head = Head.SOFTMAX
    """softmax: one of C labels; binary: one of two from one logit; multilabel: any of C; regression: a number"""
    pooling: Pooling = Pooling.POOLER
    """what the head sees: the encoder's pooled output, the sequence output at [CLS], or its mean or maximum over the text's tokens"""
    blocks: Annotated[int, Field(ge=0)] = 0
    """so many new Transformer blocks on the encoder's sequence output, before the pooling; for a frozen encoder"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """rate between the pooled vector and the dense layer"""


class TrainingConfig(Table):
    """How the classifier learns."""

    renamed_keys: ClassVar[Mapping[str, str]] = {
        "warmup_share": "warmup_ratio",
        "gradient_norm": "max_grad_norm",
        "adversarial_norm": "adversarial_epsilon",
        "average_epochs": "average_last_epochs",
        "unfreeze_layers": "gradual_unfreezing",
    }

    epochs: Positive = 3
    """times that each row is seen; the learning rate reaches zero at the end of the last"""
    batch_size: Positive = 32
    """rows of a step, over all devices together"""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """peak of the schedule; absent: chosen by the encoder's width"""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """share of all steps in which the learning rate rises from zero"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """of kernels and embeddings; biases and layer normalizations have none"""
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    """gradients are scaled down to this global norm; 0 switches it off"""
    adversarial_epsilon: Annotated[float, Field(ge=0)] = 0.0
    """learn each batch again with its word embeddings moved so far towards a higher loss; 1 helps small data, in twice the time"""
    average_last_epochs: Positive = 1
    """the mean of the last so many epochs' weights competes with the single epochs, and is kept where validation prefers it"""
    gradual_unfreezing: Positive | None = None
    """the head learns alone in the first epoch, and in each further one so many more of the encoder's layers, from the last to the first"""
    class_weights: bool = False
    """weigh rows by the inverse frequency of their label"""
    early_stopping: Positive | None = None
    """stop after so many epochs without a better `best_metric`"""
    best_metric: Literal["accuracy", "macro_f1", "loss", "spearman"] | None = None
    """decides which epoch's weights are kept; absent: accuracy, for regression spearman"""
    seed: Seed = 0
    """fixes splits, the head's first weights, the order of rows and dropout"""
    padding: Literal["longest", "fixed"] = "longest"
    """pad to the longest text of the batch, or always to the sequence length"""
    strategy: Literal["one_device", "mirrored", "multi_worker", "tpu"] = "one_device"
    """`tf.distribute` strategy; multi_worker reads TF_CONFIG"""
    devices: tuple[str, ...] | None = None
    """for mirrored: the devices to use, such as "GPU:0"; absent: all"""
    tpu: str = "local"
    """for tpu: name or address of the TPU"""
    mixed_precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """number format of the matrix products; variables stay float32"""
    xla: bool = False
    """compile the training step; pays where compilation is cheap against the run"""

    _listed = field_validator("devices", mode="before")(tuple_of)

    @property
    def dynamic_padding(self) -> bool:
        """Whether batches are padded to their longest text; a TPU wants one shape."""
        return self.padding == "longest" and self.strategy != "tpu"


class ExportConfig(Table):
    """What the SavedModel looks like."""

    renamed_keys: ClassVar[Mapping[str, str]] = {
        "largest_difference": "max_probability_difference",
        "changed_labels": "max_label_change_rate",
    }

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "classifier"
    """the model's name on the server"""
    graph: Graph = Graph.RAGGED
    """padded: to the sequence length; trimmed: to the longest text of the batch; ragged: no padding outside attention, for BERT encoders"""
    precision: Precision = Precision.FLOAT32
    """of the ragged graph's matrix products; bfloat16 is for processors that compute with it, int8 for those with VNNI, auto measures"""
    max_probability_difference: Annotated[float, Field(gt=0)] | None = None
    """refuse an export with a probability that far from the model in memory; absent: 1e-5 in float32, 0.02 in bfloat16, 0.5 in int8"""
    max_label_change_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    """refuse an export that answers more than this share of validation rows otherwise than the model; absent: 0.002, int8 0.005"""
    minimum_tf_serving: Annotated[str, Field(pattern=r"^\d+\.\d+$")] = DEFAULT_MINIMUM_TF_SERVING
    """verification refuses operations that this version of TensorFlow Serving lacks"""


class RunConfig(Table):
    """A whole run file."""

    data: DataConfig
    encoder: EncoderConfig
    head: HeadConfig = HeadConfig()
    training: TrainingConfig = TrainingConfig()
    export: ExportConfig = ExportConfig()

    @model_validator(mode="after")
    def _head_fits(self) -> "RunConfig":
        head, problems = self.head.kind, []
        if head is Head.BINARY and self.data.labels is not None and len(self.data.labels) != 2:
            problems.append(f"a binary head needs exactly 2 labels, data.labels has {len(self.data.labels)}")
        if head in (Head.MULTILABEL, Head.REGRESSION) and self.training.class_weights:
            problems.append(f"training.class_weights has no meaning for a {head} head")
        if self.head.blocks and self.head.pooling is Pooling.POOLER:
            problems.append(
                f"head.blocks is {self.head.blocks}, and the pooler sees the encoder alone; set head.pooling to cls, mean or max"
            )
        if self.encoder.cache_features:
            problems += self._feature_problems()
        if self.training.gradual_unfreezing and not self.encoder.trainable:
            problems.append(
                "training.gradual_unfreezing has no meaning for a frozen encoder; leave out encoder.trainable = false"
            )
        if self.training.gradual_unfreezing and self.training.adversarial_epsilon:
            problems.append(
                "training.gradual_unfreezing and training.adversarial_epsilon do not go together; leave out one"
            )
        if self.training.adversarial_epsilon:
            problems += self._adversarial_problems()
        wanted = ("spearman", "loss") if head is Head.REGRESSION else ("accuracy", "macro_f1", "loss")
        if self.best_metric not in wanted:
            problems.append(
                f"training.best_metric {self.best_metric!r} is not measured for a {head} head; use one of {', '.join(wanted)}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _feature_problems(self) -> list[str]:
        allowed = (
            ("encoder.trainable", self.encoder.trainable, False),
            ("head.blocks", self.head.blocks, 0),
            ("training.strategy", self.training.strategy, "one_device"),
            ("training.mixed_precision", self.training.mixed_precision, "float32"),
        )
        return [
            f"encoder.cache_features needs {key} = {json.dumps(wanted)}, got {json.dumps(value)}"
            for key, value, wanted in allowed
            if value != wanted
        ]

    def _adversarial_problems(self) -> list[str]:
        allowed = (
            ("encoder.trainable", self.encoder.trainable, True),
            ("training.strategy", self.training.strategy, "one_device"),
            ("training.mixed_precision", self.training.mixed_precision != "float16", True),
        )
        return [
            f"training.adversarial_epsilon needs a trainable encoder on one device without float16; change {key} or leave it out"
            for key, value, wanted in allowed
            if value != wanted
        ]

    @property
    def best_metric(self) -> str:
        """Name of the validation metric that decides which epoch is kept."""
        default = "spearman" if self.head.kind is Head.REGRESSION else "accuracy"
        return self.training.best_metric or default


def load_run_file(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Reads a run file, applies `table.key=value` overrides and makes its paths absolute.

    Keys of earlier versions are taken, with a `RenamedWarning` that names the new ones.

    Raises:
        RunFileError: the file is missing, is no TOML, or has wrong, missing or unknown keys; lists all of them.
    """
    tables = read_tables(Path(path), overrides, RunConfig)
    config = parse_run_config(tables, source=str(path))
    # The run file of the demo is a link into the package: its data lies beside the link's target.
    return _with_absolute_paths(config, Path(path).resolve().parent)


def read_tables(path: Path, overrides: Sequence[str], model: type[BaseModel]) -> dict[str, Any]:
    """The tables of a run file with the overrides in them, unchecked but for keys of earlier versions.

    Raises:
        RunFileError: the file is missing or is no TOML, or an override has another form.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunFileError(str(path), [f"cannot read the run file: {reason}; check the path"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFileError(str(path), [f"is not valid TOML: {error}"]) from None
    for each in overrides:
        override(tables, each)
    for name, field in model.model_fields.items():
        table = tables.get(name)
        for old, new in getattr(field.annotation, "renamed_keys", {}).items():
            if isinstance(table, dict) and old in table:
                warnings.warn(f"{path}: {name}.{old} is now {name}.{new}", RenamedWarning, stacklevel=3)
    return tables


def parse_run_config(tables: Mapping[str, Any], source: str = "run file") -> RunConfig:
    """Checks the tables of a run file.

    Raises:
        RunFileError: with one problem for each wrong, missing or unknown key.
    """
    try:
        return RunConfig.model_validate(tables)
    except ValidationError as error:
        raise RunFileError(source, [describe_problem(problem) for problem in error.errors()]) from None


def dump_run_config(config: RunConfig) -> str:
    """Writes a run file with every key resolved, so that it reproduces the run."""
    lines = []
    for table, keys in config.model_dump(mode="json").items():
        lines.append(f"[{table}]")
        # A JSON string, number, boolean or list of them is TOML too; TOML has no null, absent says the same.
        # Only DEL, which JSON leaves as it is, must be escaped in TOML.
        lines += [
            f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
            for key, value in keys.items()
            if value is not None and value != []
        ]
        lines.append("")
    return "\n".join(lines)


def override(tables: dict[str, Any], text: str) -> None:
    """Sets the key of `table.key=value`.

    Raises:
        RunFileError: the text has another form.
    """
    name, separator, value = text.partition("=")
    table, dot, key = name.strip().partition(".")
    if not separator or not table or not dot or not key:
        raise RunFileError("--set", [f"expected table.key=value such as training.epochs=5, got {text!r}"])
    if not isinstance(tables.setdefault(table, {}), dict):
        raise RunFileError("--set", [f"{table!r} is not a table of the run file, got {text!r}"])
    try:
        tables[table][key] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        tables[table][key] = value  # a bare word such as mirrored or a path


def describe_problem(problem: Any) -> str:
    """One line for one of pydantic's errors: key, what is wrong, the value received."""
    where = ".".join(str(part) for part in problem["loc"]) or "run file"
    match problem["type"]:
        case "extra_forbidden":
            return f"{where}: unknown key; remove it or correct its spelling (docs/run_files.md lists all)"
        case "missing":
            return f"{where}: missing; add it"
        case "value_error":
            return f"{where}: {problem['ctx']['error']}"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{where}: {message}, got {problem['input']!r}"


def _with_absolute_paths(config: RunConfig, base: Path) -> RunConfig:
    folder = base / config.data.folder.expanduser()
    data = config.data.model_copy(
        update={"folder": folder}
        | {
            split: tuple(folder / path.expanduser() for path in getattr(config.data, split))
            for split in ("train", "validation", "test")
        }
    )
    places: dict[str, Any] = {
        key: base / value.expanduser()
        for key in ("path", "preprocessing")
        if isinstance(value := getattr(config.encoder, key), Path)
    }
    module, _, function = (config.encoder.normalizer or "").rpartition(":")
    if module.endswith(".py"):
        places["normalizer"] = f"{base / Path(module).expanduser()}:{function}"
    encoder = config.encoder.model_copy(update=places)
    return config.model_copy(update={"data": data, "encoder": encoder})
