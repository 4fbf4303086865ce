"""Loads the classifier of a run folder."""

import dataclasses
from pathlib import Path

from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier
from bert_serving.config import RunConfig
from bert_serving.contract import Pooling, WindowPooling
from bert_serving.data.windows import plan_windows
from bert_serving.encoders.architecture import assign_weights, load_architecture
from bert_serving.encoders.loading import LoadedEncoder, load_encoder, network_from
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.encoders.trust import check_harmless
from bert_serving.errors import EncoderError, RunFolderError
from bert_serving.text.normalization import find_normalization, is_normalized
from bert_serving.text.preprocessing import Preprocessing, load_preprocessing
from bert_serving.training.run_folder import RunFolder


def load_classifier(
    run: RunFolder, *, preprocessing: Preprocessing | None = None, with_thresholds: bool = True
) -> Classifier:
    """The classifier of a complete run, with the best epoch's weights, its scaling and thresholds, in float32 on one device.

    Args:
        run: the run's folder.
        preprocessing: the run's, where it is loaded already.
        with_thresholds: whether it predicts labels by the run's fitted thresholds.

    Raises:
        RunFolderError: the run is not complete, or its files are damaged.
        EncoderError: its preprocessing reads or writes files or runs code, and encoder.trusted is not set.
    """
    config = run.config()
    run.check_complete()
    if not config.encoder.trusted:
        check_harmless(run.preprocessing)
    encoder = _encoder_of(run, config)
    options = dataclasses.replace(
        classifier_options(config, run.labels()),
        scaling=run.scaling(),
        thresholds=run.thresholds() if with_thresholds else (),
    )
    classifier = build_classifier(encoder, preprocessing or load_run_preprocessing(run.preprocessing, config), options)
    try:
        assign_weights(classifier.token_model, read_safetensors(run.weights))
    except EncoderError as error:
        raise RunFolderError(f"{run.weights}: {error}; train again") from None
    return classifier


def _encoder_of(run: RunFolder, config: RunConfig) -> LoadedEncoder:
    if run.description.is_file():
        architecture = load_architecture(run.description)
        return LoadedEncoder(network_from(architecture, blank=True), architecture)
    folder = find_encoder_folder(config.encoder)
    if folder.sha256 != run.facts()["encoder"]["sha256"]:
        raise RunFolderError(f"{run.path}: the encoder {folder.encoder} is not the one that was trained; restore it")
    return load_encoder(folder, rebuild=False)


def load_run_preprocessing(folder: Path, config: RunConfig) -> Preprocessing:
    """A run's preprocessing; the run file's normalizer is part of its graph, or plain Python that is imported again."""
    if config.encoder.normalizer is None or is_normalized(folder, config.encoder.normalizer):
        return load_preprocessing(folder)
    normalization = find_normalization(config.encoder.normalizer)
    if normalization.in_graph:
        raise RunFolderError(
            f"{folder}: was made with a normalization in Python, {normalization.name} is one in TensorFlow now; train it anew"
        )
    return load_preprocessing(folder, rewrite=normalization.function)


def classifier_options(config: RunConfig, labels: tuple[str, ...]) -> ClassifierOptions:
    """The classifier's options in a run file."""
    data, length = config.data, config.encoder.sequence_length
    return ClassifierOptions(
        labels=labels,
        head=config.head.kind,
        sequence_length=length,
        pairs=data.text_pair is not None,
        pooling=config.head.pooling or Pooling.POOLER,
        blocks=config.head.blocks,
        dropout=config.head.dropout,
        seed=config.training.seed,
        long_texts=data.long_texts,
        windows=plan_windows(data, length),
        window_pooling=config.head.window_pooling or WindowPooling.MEAN,
    )
