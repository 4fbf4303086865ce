"""Building a classifier in memory, and the optimizer that BERT is fine-tuned with."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving.api.classifier import TextClassifier
from bert_serving.api.progress import observer_of
from bert_serving.config import EncoderConfig, OptimizerConfig, RunConfig, is_address
from bert_serving.contract import Head, LongTexts, Pooling, WindowPooling
from bert_serving.encoders.default_pooling import with_pooling
from bert_serving.errors import InputError
from bert_serving.io.cache import cached_intact, folder_sha256
from bert_serving.observer import Observer
from bert_serving.run_file import parse_tables
from bert_serving.saved_model.manifest import EncoderOrigin

if TYPE_CHECKING:
    import tf_keras

# ruff: noqa: PLC0415
# TensorFlow is imported when something needs it.


def build_classifier(
    encoder: str | os.PathLike[str],
    labels: Sequence[str] = (),
    *,
    head: Head | str = Head.SOFTMAX,
    sequence_length: int = 128,
    pairs: bool = False,
    pooling: Pooling | str | None = None,
    dropout: float = 0.1,
    trainable: bool = True,
    frozen_layers: int = 0,
    reinitialized_layers: int = 0,
    long_texts: LongTexts | str = LongTexts.TRUNCATE,
    window_overlap: int | None = None,
    max_windows: int | None = None,
    window_pooling: WindowPooling | str | None = None,
    preprocessing: str | os.PathLike[str] | None = None,
    prefix: str | None = None,
    seed: int = 0,
    progress: bool | Observer | None = None,
) -> TextClassifier:
    """Builds a text classifier on a pretrained encoder: preprocessing, encoder, dropout, dense head.

    Args:
        encoder: a name of the catalog (`bert-serving encoders list`), an address (`hf://owner/name`, TF Hub, Kaggle), or a path of
            an encoder, a Hugging Face folder, a run folder or an archive.
        labels: names of the outputs in order; empty for a regression.
        head: `softmax` (one of the labels), `binary` (two labels, one logit), `multilabel` or `regression`.
        sequence_length: tokens that the encoder reads at once, special ones included.
        pairs: whether a row has two texts.
        pooling: what the head sees: `pooler`, `cls`, `mean` or `max`; None: that of the catalog or of a sentence-transformers folder,
            else `pooler`.
        dropout: rate between the pooled output and the dense layer.
        trainable: fine-tune the encoder; False trains the head alone.
        frozen_layers: the embeddings and this many first layers are not trained.
        reinitialized_layers: this many last layers, and the pooler, start from random weights.
        long_texts: what is read of a text with more tokens than `sequence_length`: `truncate` its first tokens, `head_and_tail` the
            first quarter and the last three quarters of what fits, `windows` all of it, in windows whose vectors are pooled.
        window_overlap: tokens that neighboring windows share; None for an eighth of `sequence_length`.
        max_windows: most windows of a text; None for 32.
        window_pooling: `mean`, `max` or `attention`; None for `mean`.
        preprocessing: SavedModel of the preprocessing, where the encoder comes without one.
        prefix: text before every text, as some sentence encoders were trained with, such as `"query: "` for E5; part of the
            exported graph.
        seed: of the head's initial weights and of dropout.
        progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.

    Raises:
        InputError: an argument is wrong.
        EncoderError: the encoder is unknown, damaged, or too short for `sequence_length`.
        SourceError: no source of the encoder could deliver it.

    ```python
    import bert_serving as bs

    classifier = bs.build_classifier("encoders/tiny", labels=["neg", "pos"])
    print(classifier.labels)
    ```
    """
    kind = _member(Head, head, "head")
    names = _checked_labels(labels, kind)
    observer = observer_of(progress)
    tables = {
        "data": {
            "train": ["memory"],
            "text_pair": "text_pair" if pairs else None,
            "long_texts": _member(LongTexts, long_texts, "long_texts"),
            "window_overlap": window_overlap,
            "max_windows": max_windows,
        },
        "encoder": {
            **_source(encoder),
            "preprocessing": None if preprocessing is None else os.fspath(preprocessing),
            "sequence_length": sequence_length,
            "prefix": prefix,
            "trainable": trainable,
            "frozen_layers": frozen_layers,
            "reinitialized_layers": reinitialized_layers,
        },
        "head": {
            "kind": kind,
            "dropout": dropout,
            "pooling": None if pooling is None else _member(Pooling, pooling, "pooling"),
            "window_pooling": window_pooling and _member(WindowPooling, window_pooling, "window_pooling"),
        },
        "training": {"seed": seed},
    }
    config = with_pooling(parse_tables(tables, RunConfig, "build_classifier"))
    with observer.stage("Starting TensorFlow"):
        from bert_serving.encoders.lookup import find_encoder_folder
        from bert_serving.text.preprocessing import load_preprocessing
        from bert_serving.training.new_classifier import new_classifier
    with observer.stage("Preparing the encoder"):
        folder = find_encoder_folder(config.encoder, passed_over=observer.note, progress=observer.download)
        prepared = load_preprocessing(_prefixed(folder.preprocessing, config.encoder))
        built = new_classifier(config, names, folder, prepared)
    licensing = folder.licensing
    origin = EncoderOrigin(
        name=folder.name, sha256=folder.sha256, license=licensing.license, languages=licensing.languages
    )
    return TextClassifier(built, origin, frozen_layers)


def create_optimizer(
    learning_rate: float,
    *,
    train_steps: int,
    warmup_steps: int | None = None,
    weight_decay: float = 0.01,
    max_grad_norm: float = 1.0,
) -> "tf_keras.optimizers.legacy.Optimizer":
    """AdamW as BERT was fine-tuned with: linear warmup, linear decay to zero, decoupled weight decay, gradient clipping.

    Args:
        learning_rate: its peak.
        train_steps: optimizer steps of the whole training: batches of an epoch times epochs.
        warmup_steps: steps in which the learning rate rises from zero; None for a tenth of all.
        weight_decay: of kernels and embeddings; biases and layer normalizations have none.
        max_grad_norm: gradients are scaled down to this global norm; 0 switches it off.

    Raises:
        InputError: a number is out of its range.

    ```python
    import bert_serving as bs

    optimizer = bs.create_optimizer(3e-5, train_steps=1_000, warmup_steps=100)
    ```
    """
    if train_steps < 1:
        raise InputError(f"train_steps is {train_steps}; give the number of batches of an epoch times the epochs")
    warmup = train_steps // 10 if warmup_steps is None else warmup_steps
    if not 0 <= warmup < train_steps:
        raise InputError(f"warmup_steps is {warmup}; give a number from 0 to below train_steps, {train_steps}")
    tables = {"learning_rate": learning_rate, "weight_decay": weight_decay, "max_grad_norm": max_grad_norm}
    config = parse_tables(tables, OptimizerConfig, "create_optimizer")
    from bert_serving.training import optimizer

    return optimizer.create_optimizer(optimizer.Schedule(train_steps, warmup, learning_rate), config)


def _prefixed(preprocessing: Path, config: EncoderConfig) -> Path:
    """The preprocessing behind the prefix; it lies in the cache, as an export copies its files."""
    prefix = config.prefix
    if not prefix:
        return preprocessing
    from bert_serving.text.normalization import write_prefixed

    digest = hashlib.sha256(f"{folder_sha256(preprocessing)} {prefix}".encode()).hexdigest()
    return cached_intact(f"prefixed-{digest}", lambda target: write_prefixed(preprocessing, prefix, target))


def _source(encoder: str | os.PathLike[str]) -> dict[str, str]:
    """The key of a run file's table `encoder` for the encoder."""
    given = os.fspath(encoder)
    is_path = not is_address(given) and (not isinstance(encoder, str) or Path(given).exists() or os.sep in given)
    return {"path" if is_path else "name": given}


def _member(kind: Any, value: str, name: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{name} is {value!r}; give one of {', '.join(kind)}") from None


def _checked_labels(labels: Sequence[str], head: Head) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise InputError(f"labels is {labels!r}; give a list of names")
    names = tuple(labels)
    if wrong := [name for name in names if not isinstance(name, str) or not name.strip()]:
        raise InputError(f"labels has {wrong[0]!r}; give names")
    if len(set(names)) < len(names):
        raise InputError(f"labels names one twice: {', '.join(names)}")
    fewest = {Head.REGRESSION: 0, Head.MULTILABEL: 1}.get(head, 2)
    most = {Head.REGRESSION: 0, Head.BINARY: 2}.get(head, len(names))
    if not fewest <= len(names) <= most:
        needed = "no" if not most and head is Head.REGRESSION else "2" if head is Head.BINARY else f"at least {fewest}"
        raise InputError(f"a {head} head needs {needed} labels, got {len(names)}")
    return names
