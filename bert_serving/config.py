"""The keys of training's run files: everything that decides a training run, checked before any work starts.

A run file holds the tables `[data]`, `[encoder]`, `[head]`, `[training]`, `[export]` and `[tune]`; `docs/reference/run_files.md` lists the
keys and is generated from the docstrings here. Paths are relative to the run file, or to `data.folder` for data files.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bert_serving.contract import DEFAULT_MINIMUM_TF_SERVING, Graph, Head, LongTexts, Pooling, Precision, WindowPooling
from bert_serving.names import MODEL
from bert_serving.run_file import (
    FilesTable,
    Paths,
    Positive,
    RunFile,
    Seed,
    Share,
    Table,
    parse_tables,
    read_run_file,
    tuple_of,
)
from bert_serving.search_space import TuneConfig, space_problems

FEWEST_CONTRASTED = 4
"""rows of the smallest batch of contrastive training: two pairs"""

# 32 windows of 512 tokens, the most that a text has by default.
_WINDOWS_BATCH_TOKENS = 16384
_KAGGLE_HANDLE = re.compile(r"[\w-]+/[\w-]+/tensorflow2/[\w.-]+/\d+", re.IGNORECASE)


def is_kaggle_handle(value: str) -> bool:
    """Whether this is kagglehub's name of a model: owner/model/tensorFlow2/variation/version."""
    return _KAGGLE_HANDLE.fullmatch(value) is not None


def is_address(value: str) -> bool:
    """Whether this names something to download, not a path on this machine."""
    return "://" in value or is_kaggle_handle(value)


def _path_or_address(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and not is_address(value) else value


PathOrAddress = Annotated[Path | str, BeforeValidator(_path_or_address)]
"""a path, or an address as text"""


class EncoderSource(Table):
    """The pretrained encoder that a run or pretraining starts from."""

    alternatives: ClassVar[frozenset[str]] = frozenset({"name", "path"})

    name: str | None = None
    """name in the encoder catalog (`bert-serving encoders list`), TF Hub or Kaggle address, kagglehub handle, or Hugging
    Face Hub model (`hf://owner/name`)"""
    path: Path | None = None
    """path of the encoder, instead of `name`: an encoder folder, a run folder, anything that `encoders convert` takes, or an
    archive of one of them"""
    preprocessing: PathOrAddress | None = None
    """preprocessing SavedModel, where it is not part of `path`; for a `name` that is an address: the address of its
    preprocessing"""
    trusted: bool = False
    """trust a SavedModel from elsewhere: load it although its graph can read or write files or run code"""

    def check_preprocessing(self) -> None:
        """Checks that this name or path may have this preprocessing.

        Raises:
            ValueError: it may not.
        """
        if self.preprocessing is None:
            return
        if self.path is None and not is_address(str(self.name)):
            raise ValueError("preprocessing belongs to path or to an address; a name of the catalog brings its own")
        if (self.path is None) == isinstance(self.preprocessing, Path):
            kind = "name is an address" if self.path is None else "path is a path"
            raise ValueError(f"preprocessing of a {kind}, got {self.preprocessing}")


class OptimizerConfig(Table):
    """AdamW and its learning rate schedule."""

    renamed_keys: ClassVar[Mapping[str, str]] = {"warmup_share": "warmup_ratio", "gradient_norm": "max_grad_norm"}

    epochs: Positive = 3
    """number of epochs: passes over the training data; the learning rate decays linearly to zero at the end of the last"""
    batch_size: Positive = 32
    """batch size: rows of a training step, over all devices together"""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """peak learning rate of AdamW, reached after warmup; absent: chosen by the encoder's hidden size"""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """learning rate warmup: fraction of all steps in which the learning rate rises linearly from zero"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """decoupled weight decay of kernels and embeddings; biases and layer normalizations have none"""
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    """gradient clipping: gradients are scaled down to this global norm; 0 switches clipping off"""
    seed: Seed = 0
    """random seed of data splits, new weights, the order of rows and dropout"""


class DataConfig(FilesTable):
    """Files of the labeled text, their columns and splits."""

    renamed_keys: ClassVar[Mapping[str, str]] = {"validation_share": "validation_fraction", "rows": "max_train_rows"}

    train: Paths
    """training data: files (TSV, CSV, JSON lines, Parquet; also as .gz) or folders with a subfolder per label"""
    validation: tuple[Path, ...] = ()
    """validation data; absent: `validation_fraction` of the training rows, stratified by label"""
    test: tuple[Path, ...] = ()
    """test data; absent: scores are measured on the validation rows"""
    text: str = "text"
    """name of the text column"""
    text_pair: str | None = None
    """name of the second text column, for pairs of texts"""
    label: str | tuple[str, ...] = "label"
    """name of the label column; for multilabel heads it holds lists, or labels joined by commas. A list of names: a column of
    0 and 1 for each label of a multilabel head"""
    labels: tuple[str, ...] | None = None
    """all labels in the order of the model's outputs; absent: the labels of the training rows, sorted"""
    validation_fraction: Share = 0.2
    """validation split: fraction of the training rows that becomes validation data when there is no validation file"""
    max_train_rows: Positive | None = None
    """subsample the training data to at most this many rows, drawn with the seed"""
    max_rows_per_label: Positive | None = None
    """subsample the training data to at most this many rows of each label, drawn with the seed; not for regression"""
    seed: Seed | None = None
    """random seed of the validation split, of `max_train_rows` and of `max_rows_per_label`, so that runs with other values of
    `training.seed` have the same rows; absent: `training.seed`"""
    long_texts: LongTexts = LongTexts.TRUNCATE
    """what is read of a text with more tokens than `encoder.sequence_length`: `truncate` its first tokens, `head_and_tail` the
    first quarter and the last three quarters of what fits, `windows` all of it, in overlapping windows whose vectors are pooled
    (docs/how_to/training.md)"""
    window_overlap: Annotated[int, Field(ge=0)] | None = None
    """windows: tokens that neighboring windows share; absent: an eighth of the sequence length"""
    max_windows: Annotated[int, Field(ge=2)] | None = None
    """windows: at most this many for each text; of a longer text evenly spaced ones, the first and the last among them;
    absent: 32"""

    _listed = field_validator("train", "validation", "test", "labels", mode="before")(tuple_of)

    @field_validator("label", mode="before")
    @classmethod
    def _names_columns(cls, label: Any) -> Any:
        names = tuple_of(label)
        if not (isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names)):
            raise ValueError(f"expected the name of a column or a list of such names, got {label!r}")
        return label

    @field_validator("labels", mode="before")
    @classmethod
    def _named(cls, labels: Any) -> Any:
        """Numbers and booleans among the labels as text, as a JSON file has them."""
        if not isinstance(labels, list | tuple):
            return labels
        return tuple(json.dumps(label) if isinstance(label, bool | int | float) else label for label in labels)


class EncoderConfig(EncoderSource):
    """The pretrained encoder to start from, and how it reads texts."""

    renamed_keys: ClassVar[Mapping[str, str]] = {"normalise": "normalizer"}

    trainable: bool = True
    """fine-tune the encoder; false: freeze it, so that only the head learns"""
    sequence_length: Annotated[int, Field(ge=4)] = 128
    """maximum sequence length: longer texts are truncated to this many tokens, [CLS] and [SEP] included"""
    frozen_layers: Annotated[int, Field(ge=0)] = 0
    """layer freezing: the embeddings and this many Transformer layers, counted from the first, are not trained; their output for
    each text is computed once, without dropout, and reused in every epoch; 0 trains all layers"""
    reinitialized_layers: Annotated[int, Field(ge=0)] = 0
    """re-initialization: the encoder's last layers, this many of them, and its pooler where the head uses it, start from new
    weights instead of pretrained ones; for few training rows; 0 keeps all layers"""
    cache_tokens: bool = False
    """cache the tokenized data on disk, so that the next run on the same texts skips tokenization"""
    cache_features: bool = False
    """feature extraction with a frozen encoder: run it over each text once, without dropout, cache its features on disk and
    train only the head on them"""
    normalizer: str | None = None
    """text normalization before tokenization: a function, as `module:function` or `file.py:function` (docs/how_to/training.md)"""

    prefix: str | None = None
    """text before every text, as some sentence encoders were trained with, such as `"query: "` for E5 (`bert-serving encoders
    list`); part of the serving graph, after the normalizer"""

    @field_validator("normalizer")
    @classmethod
    def _names_a_function(cls, value: str | None) -> str | None:
        if value is not None and not all(value.rpartition(":")):
            raise ValueError(f"expected module:function or file.py:function, got {value!r}")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.name is None) == (self.path is None):
            raise ValueError(f"give either name or path, got name={self.name!r} and path={self.path!r}")
        self.check_preprocessing()
        return self

    def resolve_paths(self, base: Path) -> Self:
        """Returns the table with its relative paths, and that of the normalizer's file, made absolute below `base`."""
        config = super().resolve_paths(base)
        module, _, function = (config.normalizer or "").rpartition(":")
        if not module.endswith(".py"):
            return config
        return config.model_copy(update={"normalizer": f"{base / Path(module).expanduser()}:{function}"})


class HeadConfig(Table):
    """The classification head on top of the encoder."""

    kind: Head = Head.SOFTMAX
    """task of the head: `softmax` is single-label classification with C labels, `binary` with two labels and one logit,
    `multilabel` assigns any of C labels, `regression` predicts a number"""
    pooling: Pooling | None = None
    """pooling, the vector that the head sees: the encoder's pooled output, the [CLS] vector of the sequence output, or the
    mean or maximum of the sequence output over the text's tokens; absent: that of the catalog (`bert-serving encoders list`), or
    of a sentence-transformers folder, else `pooler`"""
    blocks: Annotated[int, Field(ge=0)] = 0
    """number of new Transformer blocks between the encoder's sequence output and the pooling; for a frozen encoder"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """dropout rate between the pooled vector and the dense layer"""
    thresholds: Literal["fixed", "fitted"] = "fixed"
    """decision thresholds: `fixed` predicts the likeliest label, with a multilabel head those of at least 0.5; `fitted` fits one
    for each label on the validation rows after training, for the F1 of the label (multilabel) or the macro F1, and keeps them
    if that is more than chance"""
    window_pooling: WindowPooling | None = None
    """with `data.long_texts = "windows"`: how the pooled vectors of a text's windows become one: their `mean` or `max`, or
    `attention`, the mean weighted by a learned score of each window; absent: `mean`"""


class TrainingConfig(OptimizerConfig):
    """How the classifier is trained."""

    renamed_keys: ClassVar[Mapping[str, str]] = {
        **OptimizerConfig.renamed_keys,
        "adversarial_norm": "adversarial_epsilon",
        "average_epochs": "average_last_epochs",
        "unfreeze_layers": "gradual_unfreezing",
    }

    method: Literal["fine_tuning", "contrastive"] = "fine_tuning"
    """`fine_tuning` trains encoder and head together; `contrastive` is for few labels: it trains the encoder to give texts of the
    same label similar vectors, at three times the usual learning rate where none is given, and then fits the head as a logistic
    regression on them (docs/how_to/training.md)"""
    contrastive_iterations: Positive | None = None
    """contrastive training: how often each training row is compared with others in an epoch; absent: chosen by the number of
    training rows"""
    adversarial_epsilon: Annotated[float, Field(ge=0)] = 0.0
    """adversarial training (FGM): each batch is trained on a second time with a perturbation of this norm on the word
    embeddings; 1 helps small data sets and doubles the training time; 0 switches it off"""
    average_last_epochs: Positive = 1
    """stochastic weight averaging over this many last epochs; the averaged weights are kept if they beat the best epoch on
    validation data"""
    gradual_unfreezing: Positive | None = None
    """gradual unfreezing: only the head is trained in the first epoch; each further epoch unfreezes this many more encoder
    layers, from the last to the first"""
    layerwise_learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """layer-wise learning rate decay: the last Transformer layer, the pooler and the head have the whole learning rate, each layer
    below the rate of the one above it times this, the embeddings the lowest; 1 gives all layers the same"""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """label smoothing of the training loss: this fraction of a label's probability is spread over all labels, with a sigmoid
    over yes and no; the validation loss stays that of the labels as they are; 0 switches it off"""
    class_weights: Literal[True, False, "effective_number"] = False
    """class weights for imbalanced data: each row's loss is weighted by the inverse frequency of its label; "effective_number"
    by the inverse effective number of the label's rows (class-balanced loss), which weighs rare labels less than `true` does"""
    early_stopping: Positive | None = None
    """early stopping patience: stop after this many epochs without improvement of `best_metric`"""
    best_metric: Literal["accuracy", "macro_f1", "loss", "spearman"] | None = None
    """validation metric that selects the best epoch, whose weights are kept; absent: accuracy, for regression spearman"""
    max_batch_tokens: Positive | None = None
    """bounds the memory of a training step: a batch has at most `batch_size` texts, and at most so many tokens, padding
    included, unless one text alone has more; texts count the same in batches of any size; absent: no bound, with
    `data.long_texts = "windows"` 16384"""
    padding: Literal["longest", "fixed"] = "longest"
    """`longest` is dynamic padding to the longest text of the batch, `fixed` pads to the sequence length"""
    strategy: Literal["one_device", "mirrored", "multi_worker", "tpu"] = "one_device"
    """distributed training: the `tf.distribute` strategy; multi_worker reads TF_CONFIG"""
    worker_timeout: Annotated[float, Field(ge=5)] = 600.0
    """multi_worker: seconds to wait for the other workers at the start, and after which a worker without a sign of life is lost"""
    devices: tuple[str, ...] | None = None
    """devices of the mirrored strategy, such as "GPU:0"; absent: all"""
    tpu: str = "local"
    """name or address of the TPU for the tpu strategy"""
    mixed_precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """mixed precision: number format of the matrix products; variables stay float32"""
    xla: bool = False
    """compile the training step with XLA; pays off when compilation is short compared with the run"""

    _listed = field_validator("devices", mode="before")(tuple_of)

    @property
    def dynamic_padding(self) -> bool:
        """Whether batches are padded to their longest text; a TPU needs one shape."""
        return self.padding == "longest" and self.strategy != "tpu"


class ExportConfig(Table):
    """The exported SavedModel."""

    renamed_keys: ClassVar[Mapping[str, str]] = {
        "largest_difference": "max_probability_difference",
        "changed_labels": "max_label_change_rate",
    }

    name: str = "classifier"
    """model name on the server"""
    graph: Graph = Graph.RAGGED
    """padding in the serving graph: `padded` pads to the sequence length, `trimmed` to the longest text of the batch, `ragged`
    pads only inside attention and is for BERT encoders"""
    precision: Precision = Precision.FLOAT32
    """number format of the ragged graph's matrix products: `bfloat16` is for processors with native bfloat16, `int8`
    (quantization) for processors with VNNI, `auto` measures and takes the fastest"""
    max_metric_loss: Annotated[float, Field(ge=0, le=1)] | None = None
    """refuse the export if the metric of the head on labeled validation rows gets worse by more than this, and by more than
    chance: accuracy (multilabel: subset accuracy), for regression the mean absolute error in standard deviations of the labels;
    absent: 0.01 in bfloat16 and int8, no limit in float32"""
    max_log_loss_increase: Annotated[float, Field(ge=0)] | None = None
    """calibration: refuse the export if the log loss on labeled validation rows increases by more than this, and by more than
    chance; in nats; absent: 0.02 in bfloat16 and int8, no limit in float32"""
    max_mean_probability_difference: Annotated[float, Field(gt=0)] | None = None
    """refuse the export if probabilities of validation rows differ by more than this from the model in memory, in the mean over
    the rows of the largest difference in each; absent: 0.02 in bfloat16 and int8 with labeled validation rows, else no limit"""
    max_probability_difference: Annotated[float, Field(gt=0)] | None = None
    """verification tolerance: refuse the export if a probability differs by more than this from the model in memory; absent:
    1e-5 in float32; no limit in bfloat16 and int8 with labeled validation rows, 0.02 and 0.5 without"""
    max_label_change_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    """verification tolerance: refuse the export if a larger fraction of validation rows gets another label than from the model
    in memory; absent: 0.002 in float32; no limit in bfloat16 and int8 with labeled validation rows, 0.002 and 0.005 without"""
    minimum_tf_serving: Annotated[str, Field(pattern=r"^\d+\.\d+$")] = DEFAULT_MINIMUM_TF_SERVING
    """oldest TensorFlow Serving version to support: verification refuses operations that this version lacks"""

    @field_validator("name")
    @classmethod
    def _names_a_model(cls, value: str) -> str:
        if problem := MODEL.problem(value):
            raise ValueError(problem)
        return value


class RunConfig(RunFile):
    """A whole run file.

    ```python
    import bert_serving as bs

    config = bs.RunConfig.model_validate(
        {"data": {"train": ["train.tsv"]}, "encoder": {"name": "all-MiniLM-L6-v2"}, "training": {"epochs": 2}}
    )
    print(config.training.epochs, config.head.kind)
    ```

    It is read from TOML by `bert_serving.config.load_run_file`, which names every problem at once:

    ```python
    from bert_serving.config import load_run_file

    config = load_run_file("tiny.toml", ["training.epochs=3"])
    ```
    """

    page: ClassVar[str] = "docs/reference/run_files.md"

    data: DataConfig
    encoder: EncoderConfig
    head: HeadConfig = HeadConfig()
    training: TrainingConfig = TrainingConfig()
    export: ExportConfig = ExportConfig()
    # Not part of a run: run folders and their comparisons do without it.
    tune: TuneConfig = Field(default=TuneConfig(), exclude=True)

    @model_validator(mode="after")
    def _tables_fit(self) -> Self:
        problems = [
            *self._head_problems(),
            *self._long_text_problems(),
            *self._learning_problems(),
            *self._contrastive_problems(),
            *self._metric_problems(),
            *space_problems(self.tune.space, SEARCHABLE),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _head_problems(self) -> list[str]:
        head, problems = self.head.kind, []
        if head is Head.BINARY and self.data.labels is not None and len(self.data.labels) != 2:
            problems.append(f"a binary head needs exactly 2 labels, data.labels has {len(self.data.labels)}")
        if head is not Head.MULTILABEL and not isinstance(self.data.label, str):
            problems.append(
                f"data.label lists {len(self.data.label)} columns of 0 and 1, which is for a multilabel head, not for a {head} "
                'head; set head.kind to "multilabel", or name one column'
            )
        if head in (Head.MULTILABEL, Head.REGRESSION) and self.training.class_weights:
            problems.append(f"training.class_weights has no meaning for a {head} head")
        if head is Head.REGRESSION and self.data.max_rows_per_label is not None:
            problems.append("data.max_rows_per_label has no meaning for a regression head; use data.max_train_rows")
        if head is Head.REGRESSION and self.training.label_smoothing:
            problems.append(
                f"training.label_smoothing is {self.training.label_smoothing:g}, and a regression head has no labels; leave it out"
            )
        if head is Head.REGRESSION and self.head.thresholds == "fitted":
            problems.append('head.thresholds is "fitted", and a regression head has no labels; leave it out')
        if self.head.blocks and self.head.pooling in (None, Pooling.POOLER):
            problems.append(
                f"head.blocks is {self.head.blocks}, and the pooler sees the encoder alone; set head.pooling to cls, mean or max"
            )
        return problems

    @property
    def bounded_training(self) -> TrainingConfig:
        """The table `training`, with the bound of a batch that windows have by default."""
        if self.data.long_texts is not LongTexts.WINDOWS or self.training.max_batch_tokens is not None:
            return self.training
        return self.training.model_copy(update={"max_batch_tokens": _WINDOWS_BATCH_TOKENS})

    def _long_text_problems(self) -> list[str]:
        data = self.data
        if data.long_texts is LongTexts.WINDOWS:
            return self._window_problems()
        keys = (
            ("data.window_overlap", data.window_overlap),
            ("data.max_windows", data.max_windows),
            ("head.window_pooling", self.head.window_pooling),
        )
        problems = [
            f'{key} is {json.dumps(value)}, which is for data.long_texts = "windows", got "{data.long_texts}"; leave it out'
            for key, value in keys
            if value is not None
        ]
        if data.long_texts is LongTexts.HEAD_AND_TAIL and data.text_pair is not None:
            problems.append(
                f'data.long_texts = "head_and_tail" is for single texts, and data.text_pair is "{data.text_pair}"; leave out one'
            )
        if data.long_texts is LongTexts.HEAD_AND_TAIL and self.encoder.cache_features:
            problems.append(
                'encoder.cache_features reads truncated texts, got data.long_texts = "head_and_tail"; leave out one of them'
            )
        return problems

    def _window_problems(self) -> list[str]:
        data, training = self.data, self.training
        inside = self.encoder.sequence_length - 2
        conflicts = (
            ("data.text_pair", data.text_pair, None),
            ("encoder.cache_features", self.encoder.cache_features, False),
            ("training.strategy", training.strategy, "one_device"),
            ("training.xla", training.xla, False),
        )
        problems = [
            f'data.long_texts = "windows" needs {key} = {json.dumps(needed)}, got {json.dumps(value)}'
            if needed is not None
            else f'data.long_texts = "windows" is for single texts, and {key} is {json.dumps(value)}; leave out one'
            for key, value, needed in conflicts
            if value != needed
        ]
        if data.window_overlap is not None and data.window_overlap >= inside:
            problems.append(
                f"data.window_overlap is {data.window_overlap}, and a window of encoder.sequence_length "
                f"{self.encoder.sequence_length} has {inside} tokens of the text; lower it"
            )
        return problems

    def _learning_problems(self) -> list[str]:
        encoder, training, problems = self.encoder, self.training, []
        if encoder.cache_features:
            required = (
                ("encoder.trainable", encoder.trainable, False),
                ("head.blocks", self.head.blocks, 0),
                ("training.strategy", training.strategy, "one_device"),
                ("training.mixed_precision", training.mixed_precision, "float32"),
            )
            problems += [
                f"encoder.cache_features needs {key} = {json.dumps(needed)}, got {json.dumps(value)}"
                for key, value, needed in required
                if value != needed
            ]
        if encoder.frozen_layers:
            # A frozen encoder has no layers left to freeze; the others change the layers or the embeddings below.
            conflicts = (
                ("encoder.trainable", encoder.trainable, True),
                ("training.gradual_unfreezing", training.gradual_unfreezing, None),
                ("training.adversarial_epsilon", training.adversarial_epsilon, 0),
            )
            problems += [
                f"encoder.frozen_layers is {encoder.frozen_layers}, which does not go with {key} = {json.dumps(value)}; "
                "leave out one of them"
                for key, value, allowed in conflicts
                if value != allowed
            ]
        if not encoder.trainable:
            of_layers = (
                ("encoder.reinitialized_layers", encoder.reinitialized_layers, 0),
                ("training.layerwise_learning_rate_decay", training.layerwise_learning_rate_decay, 1),
            )
            problems += [
                f"{key} is {value:g}, and a frozen encoder's layers are not trained; leave it out, or encoder.trainable = false"
                for key, value, off in of_layers
                if value != off
            ]
        if training.max_batch_tokens is not None and training.max_batch_tokens < encoder.sequence_length:
            problems.append(
                f"training.max_batch_tokens is {training.max_batch_tokens}, less than one text of encoder.sequence_length "
                f"{encoder.sequence_length}; raise it"
            )
        if training.max_batch_tokens is not None and training.strategy == "tpu":
            problems.append(
                "training.max_batch_tokens makes batches of several sizes, and a TPU needs one; lower training.batch_size instead"
            )
        if training.xla and training.strategy == "multi_worker":
            problems.append("training.xla cannot compile the sums over workers of multi_worker; leave out one of them")
        if training.gradual_unfreezing and not encoder.trainable:
            problems.append(
                "training.gradual_unfreezing has no meaning for a frozen encoder; leave out encoder.trainable = false"
            )
        if training.adversarial_epsilon:
            if training.gradual_unfreezing:
                problems.append(
                    "training.gradual_unfreezing and training.adversarial_epsilon do not go together; leave out one"
                )
            refused = (
                ("encoder.trainable", not encoder.trainable),
                ("training.strategy", training.strategy != "one_device"),
                ("training.mixed_precision", training.mixed_precision == "float16"),
            )
            problems += [
                f"training.adversarial_epsilon needs a trainable encoder on one device without float16; change {key} or leave it out"
                for key, is_conflict in refused
                if is_conflict
            ]
        return problems

    def _contrastive_problems(self) -> list[str]:
        training = self.training
        if training.method != "contrastive":
            if training.contrastive_iterations is None:
                return []
            return [
                f"training.contrastive_iterations is {training.contrastive_iterations}, and is for contrastive training; leave it "
                'out, or set training.method to "contrastive"'
            ]
        problems = []
        if self.head.kind is Head.REGRESSION:
            problems.append(
                'training.method "contrastive" compares labels, and a regression head has none; leave it out'
            )
        if training.batch_size < FEWEST_CONTRASTED:
            problems.append(
                f"training.batch_size is {training.batch_size}, and contrastive training compares pairs of rows of a batch; give at "
                f"least {FEWEST_CONTRASTED}"
            )
        # What has no meaning without the loss of the head, or where the training step is another one.
        required = (
            ("encoder.trainable", self.encoder.trainable, True),
            ("encoder.cache_features", self.encoder.cache_features, False),
            ("head.blocks", self.head.blocks, 0),
            ("head.dropout", self.head.dropout, HeadConfig().dropout),
            ("training.adversarial_epsilon", training.adversarial_epsilon, 0),
            ("training.average_last_epochs", training.average_last_epochs, 1),
            ("training.label_smoothing", training.label_smoothing, 0),
            ("training.max_batch_tokens", training.max_batch_tokens, None),
            ("training.gradual_unfreezing", training.gradual_unfreezing, None),
            ("training.strategy", training.strategy, "one_device"),
            ("training.mixed_precision", training.mixed_precision, "float32"),
            ("training.xla", training.xla, False),
        )
        problems += [
            f'training.method "contrastive" does not go with {key} = {json.dumps(value)}; leave out one of them'
            for key, value, allowed in required
            if value != allowed
        ]
        if self.data.long_texts is LongTexts.WINDOWS:
            problems.append(
                'training.method "contrastive" does not go with data.long_texts = "windows"; use head_and_tail'
            )
        return problems

    def _metric_problems(self) -> list[str]:
        head = self.head.kind
        metrics = ("spearman", "loss") if head is Head.REGRESSION else ("accuracy", "macro_f1", "loss")
        if self.best_metric in metrics:
            return []
        return [
            f"training.best_metric {self.best_metric!r} is not measured for a {head} head; use one of {', '.join(metrics)}"
        ]

    @property
    def best_metric(self) -> str:
        """Name of the validation metric that decides which epoch is kept."""
        default = "spearman" if self.head.kind is Head.REGRESSION else "accuracy"
        return self.training.best_metric or default


SEARCHABLE: Mapping[str, type[Table]] = {
    "data": DataConfig,
    "encoder": EncoderConfig,
    "head": HeadConfig,
    "training": TrainingConfig,
    "export": ExportConfig,
}
"""the tables whose keys `[tune]` may name, and those of which it says that it may not"""


def load_run_file(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Reads a run file, applies `table.key=value` overrides and makes its paths absolute.

    Keys of earlier versions are accepted, with a `RenamedWarning` that names the new ones.

    Raises:
        RunFileError: the file is missing, not valid TOML, or has wrong, missing or unknown keys; lists all of them.
    """
    return read_run_file(Path(path), overrides, RunConfig)


def parse_run_config(tables: Mapping[str, Any], source: str = "run file") -> RunConfig:
    """Validates the tables of a run file.

    Raises:
        RunFileError: with one problem for each wrong, missing or unknown key.
    """
    return parse_tables(tables, RunConfig, source)
