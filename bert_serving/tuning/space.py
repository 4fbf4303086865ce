"""The search space of a run file: its defaults, Optuna's distributions, and a run file with chosen values."""

import json
import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from bert_serving.config import SEARCHABLE, RunConfig
from bert_serving.encoders.default_pooling import with_pooling
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.search_space import Choices, Range, is_integer
from bert_serving.training.optimizer import default_learning_rate

Space = dict[str, Range | Choices]
_LEARNING_RATE = "training.learning_rate"
# Devlin et al. 2018 (arXiv:1810.04805, A.3) search 2 to 4 epochs and batches of 16 and 32; Zhang et al. 2020
# (arXiv:2006.05987) find that small data sets need more epochs; 5 is the limit here, since each takes its time.
_EPOCHS = 2, 5
_BATCH_SIZES = 16, 32
# Of the rate that training would take: as far as Devlin et al.'s and Turc et al.'s (arXiv:1908.08962) grids go, and beyond.
_LEARNING_RATE_FACTOR = 4
_DROPOUT = 0.0, 0.3
_WARMUP = 0.0, 0.2
# Of encoders that are used as they are, whose size is not known before they are built: BERT base.
_USUAL_WIDTH = 768


def default_space(config: RunConfig, learning_rate: float) -> Space:
    """What is searched where the run file has no `[tune]`: learning rate, epochs, batch size, dropout and warmup.

    Every range holds the run file's own value. The pooling is not searched: that of the encoder's training is the default.

    Args:
        config: the run file.
        learning_rate: the peak that the run file's training has, given or by default.
    """
    training, low, high = config.training, *_EPOCHS
    return {
        _LEARNING_RATE: Range(
            low=learning_rate / _LEARNING_RATE_FACTOR, high=learning_rate * _LEARNING_RATE_FACTOR, log=True
        ),
        "training.epochs": Range(low=min(low, training.epochs), high=max(high, training.epochs)),
        "training.batch_size": tuple(sorted({*_BATCH_SIZES, training.batch_size})),
        "training.warmup_ratio": _around(training.warmup_ratio, *_WARMUP),
        "head.dropout": _around(config.head.dropout, *_DROPOUT),
    }


def _around(value: float, low: float, high: float) -> Range:
    return Range(low=min(low, value), high=max(high, value))


def peak_learning_rate(config: RunConfig) -> float:
    """The peak learning rate of a run file, given or by the encoder's hidden size.

    Raises:
        EncoderError, SourceError: the encoder cannot be loaded or fetched.
    """
    if config.training.learning_rate is not None:
        return config.training.learning_rate
    folder = find_encoder_folder(config.encoder)
    architecture = folder.architecture or load_encoder(folder, trainable=config.encoder.trainable).architecture
    width = _USUAL_WIDTH if architecture is None else architecture.hidden_size
    return default_learning_rate(width, trainable=config.encoder.trainable)


def own_values(config: RunConfig, space: Mapping[str, Range | Choices]) -> dict[str, Any] | None:
    """The run file's own values of the keys that are searched; None where one is absent or outside the space."""
    tables, values = with_pooling(config).model_dump(mode="json"), {}
    for key, dimension in space.items():
        table, _, name = key.partition(".")
        value = tables[table][name]
        if key == _LEARNING_RATE and value is None:
            value = peak_learning_rate(config)
        is_inside = dimension.holds(value) if isinstance(dimension, Range) else value in dimension
        if not is_inside:
            return None
        values[key] = value
    return values


def distributions(space: Mapping[str, Range | Choices]) -> dict[str, BaseDistribution]:
    """The space as Optuna takes it."""
    return {key: _distribution(key, dimension) for key, dimension in space.items()}


def _distribution(key: str, dimension: Range | Choices) -> BaseDistribution:
    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension)
    low, high, step = dimension.low, dimension.high, dimension.step
    if step is not None:
        # The last step that is not past the end, which Optuna would warn of.
        high = low + math.floor((high - low) / step + 1e-9) * step
    if is_integer(SEARCHABLE, key):
        return IntDistribution(int(low), int(high), log=dimension.log, step=int(step or 1))
    return FloatDistribution(float(low), float(high), log=dimension.log, step=None if step is None else float(step))


def suggest(trial: optuna.Trial, space: Mapping[str, Range | Choices]) -> dict[str, Any]:
    """The trial's value of each key."""
    values: dict[str, Any] = {}
    for key, each in distributions(space).items():
        if isinstance(each, IntDistribution):
            values[key] = trial.suggest_int(key, each.low, each.high, log=each.log, step=each.step)
        elif isinstance(each, FloatDistribution):
            values[key] = trial.suggest_float(key, each.low, each.high, log=each.log, step=each.step)
        elif isinstance(each, CategoricalDistribution):
            values[key] = trial.suggest_categorical(key, each.choices)
    return values


def space_text(space: Mapping[str, Range | Choices]) -> dict[str, str]:
    """Each key's values as JSON, to keep and to compare."""
    return {
        key: json.dumps(each.model_dump(exclude_none=True) if isinstance(each, Range) else list(each))
        for key, each in space.items()
    }


def space_of(text: Mapping[str, str]) -> Space:
    """What `space_text` was made from."""
    loaded = {key: json.loads(value) for key, value in text.items()}
    return {key: Range(**each) if isinstance(each, dict) else tuple(each) for key, each in loaded.items()}
