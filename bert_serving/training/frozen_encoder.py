"""The encoder of a run, or one by name or path, with its weights frozen."""

from pathlib import Path

from bert_serving.config import EncoderConfig
from bert_serving.encoders.conversion.run_folder import weights_sha256
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.features.frozen import FrozenEncoder
from bert_serving.observer import Observer
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.training.loading import load_classifier
from bert_serving.training.run_folder import RunFolder

_SEQUENCE_LENGTH = 128


def frozen_run_encoder(run: RunFolder, sequence_length: int | None = None) -> FrozenEncoder:
    """The fine-tuned encoder of a complete run.

    Args:
        run: the run folder.
        sequence_length: number of tokens at which texts are truncated; None for the run's own.

    Raises:
        RunFolderError: the run is not complete, or its files are damaged.
        EncoderError: the sequence length is over the encoder's maximum.
    """
    classifier = load_classifier(run)
    return FrozenEncoder(
        f"the encoder of {run.path.resolve().name}",
        weights_sha256(run.path),
        classifier.encoder,
        classifier.preprocessing,
        sequence_length or classifier.options.sequence_length,
    )


def frozen_encoder(source: str, sequence_length: int | None = None, *, observer: Observer) -> FrozenEncoder:
    """A pretrained encoder; fetched if it is not cached.

    Args:
        source: folder, or name as a run file's `encoder.name`.
        sequence_length: number of tokens at which texts are truncated; None for 128, or the
            encoder's maximum if that is less.
        observer: told of the download.

    Raises:
        EncoderError, SourceError: the encoder cannot be loaded or fetched, or the sequence length
            is over its maximum.
    """
    path = Path(source)
    config = EncoderConfig(path=path) if path.exists() else EncoderConfig(name=source)
    folder = find_encoder_folder(config, passed_over=observer.note, progress=observer.download)
    encoder = load_encoder(folder, trainable=False)
    length = sequence_length or min(_SEQUENCE_LENGTH, encoder.positions or _SEQUENCE_LENGTH)
    return FrozenEncoder(folder.name, folder.sha256, encoder, load_preprocessing(folder.preprocessing), length)
