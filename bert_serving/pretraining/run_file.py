"""Run files of pretraining: unlabelled text, an encoder to start from or a size, masking, training."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from bert_serving.config import (
    Paths,
    Place,
    Positive,
    Seed,
    Share,
    Table,
    TrainingConfig,
    check_preprocessing,
    describe_problem,
    override,
    tuple_of,
)
from bert_serving.errors import EncoderError, RunFileError

PositionInitializer = Literal["random", "sinusoids"]


def sinusoids_fit(width: int) -> bool:
    """Whether vectors of a width can hold sinusoids: as many sines as cosines, of two waves at least."""
    return width >= 4 and width % 2 == 0


class TextConfig(Table):
    """Where the unlabelled text is."""

    folder: Path = Path()
    """the paths below are relative to it; itself it is relative to the run file"""
    train: Paths
    """plain text (a text a line), tables, or folders of .txt files"""
    validation: tuple[Path, ...] = ()
    """absent: `validation_share` of the training texts"""
    text: str = "text"
    """column of the tables"""
    validation_share: Share = 0.05
    """share of the training texts that is measured instead, chosen by the seed"""
    rows: Positive | None = None
    """use only so many training texts, chosen by the seed"""

    _listed = field_validator("train", "validation", mode="before")(tuple_of)


class StartConfig(Table):
    """What pretraining starts from: an encoder by name or path, or random weights of a size."""

    name: str | None = None
    """a name of the catalog or any handle: pretraining goes on with its weights"""
    path: Path | None = None
    """instead of a name: any folder that `encoder.path` of a training run takes"""
    preprocessing: Place | None = None
    """the preprocessing SavedModel of `path`, where it lies elsewhere; of a name that is an address: the address of its preprocessing"""
    trusted: bool = False
    """load a SavedModel from elsewhere although its graph may read or write files or run code"""
    layers: Positive | None = None
    """instead of both: layers of a new encoder"""
    width: Positive | None = None
    """of a new encoder: size of a token's vector"""
    heads: Positive | None = None
    """of a new encoder: attention heads of each layer"""
    inner_width: Positive | None = None
    """of a new encoder, between a layer's dense layers; absent: 4 times the width"""
    positions: Annotated[int, Field(ge=4)] = 512
    """of a new encoder: longest sequence, in tokens"""
    position_initializer: PositionInitializer = "random"
    """of a new encoder: its first position embeddings. `sinusoids`: what finds a neighbour at one position finds it at each,
    so that a small encoder learns from long rows too"""
    vocabulary: Path | None = None
    """of a new encoder: its WordPiece file (`bert-serving vocabulary` learns one)"""
    lower_case: bool = True
    """of a new encoder: lower-case and strip accents first"""

    @model_validator(mode="after")
    def _one_start(self) -> "StartConfig":
        size = {"layers": self.layers, "width": self.width, "heads": self.heads, "vocabulary": self.vocabulary}
        given = [self.name is not None, self.path is not None, any(value is not None for value in size.values())]
        if sum(given) != 1:
            raise ValueError("give exactly one of name, path, or a size (layers, width, heads, vocabulary)")
        if given[2] and (self.preprocessing is not None or self.trusted):
            raise ValueError("preprocessing and trusted belong to name or path; a new encoder has its vocabulary")
        if not given[2] and "position_initializer" in self.model_fields_set:
            raise ValueError("position_initializer belongs to a new encoder; name and path have their positions")
        check_preprocessing(self.name, self.path, self.preprocessing)
        if missing := [key for key, value in size.items() if value is None and given[2]]:
            raise ValueError(f"a new encoder needs {', '.join(missing)} too")
        if self.width and self.heads and self.width % self.heads:
            raise ValueError(f"heads {self.heads} does not divide width {self.width}")
        if self.position_initializer == "sinusoids" and self.width and not sinusoids_fit(self.width):
            raise ValueError(f"sinusoids need an even width of at least 4, not {self.width}")
        return self


class MaskingConfig(Table):
    """Which word pieces are to be guessed."""

    share: Share = 0.15
    """of a row's word pieces"""
    mask_share: Annotated[float, Field(ge=0, le=1)] = 0.8
    """of those, so many are shown as [MASK]"""
    random_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """of those, so many as another word piece; the rest stays as it is"""
    whole_words: bool = False
    """mask all word pieces of a word or none"""
    packed: bool = True
    """rows of full length, with several texts in each and [SEP] between them; false: a row for each text, cut"""
    sequence_length: Annotated[int, Field(ge=8)] = 128
    """word pieces of a row, [CLS] and [SEP] included"""

    @model_validator(mode="after")
    def _shares_fit(self) -> "MaskingConfig":
        if self.mask_share + self.random_share > 1:
            raise ValueError(f"mask_share {self.mask_share} and random_share {self.random_share} are over 1 together")
        return self


class LearningConfig(Table):
    """How it learns; masks are drawn anew in each epoch."""

    epochs: Positive = 3
    """times that each row is seen"""
    batch_size: Positive = 64
    """rows of a step"""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """peak of the schedule"""
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """share of all steps in which the learning rate rises from zero"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """of kernels and embeddings"""
    gradient_norm: Annotated[float, Field(ge=0)] = 1.0
    """gradients are scaled down to this global norm; 0 switches it off"""
    seed: Seed = 0
    """fixes first weights, order of rows, masks and dropout"""

    def as_training(self) -> TrainingConfig:
        """The same for the optimizer that fine-tuning has."""
        return TrainingConfig(**self.model_dump())


class PretrainingConfig(Table):
    """A whole run file of pretraining."""

    data: TextConfig
    encoder: StartConfig
    masking: MaskingConfig = MaskingConfig()
    training: LearningConfig = LearningConfig()


def load_pretraining_file(path: Path, overrides: tuple[str, ...] = ()) -> PretrainingConfig:
    """Reads a run file of pretraining, applies `table.key=value` overrides and makes its paths absolute.

    Raises:
        RunFileError: the file is missing, is no TOML, or has wrong, missing or unknown keys; lists all of them.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RunFileError(str(path), [f"cannot read the run file: {error.strerror}; check the path"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFileError(str(path), [f"is not valid TOML: {error}"]) from None
    for each in overrides:
        override(tables, each)
    try:
        config = PretrainingConfig.model_validate(tables)
    except ValidationError as error:
        raise RunFileError(str(path), [describe_problem(problem) for problem in error.errors()]) from None
    base = path.resolve().parent
    folder = base / config.data.folder.expanduser()
    files = {
        name: tuple(folder / each.expanduser() for each in getattr(config.data, name))
        for name in ("train", "validation")
    }
    places = {
        key: base / value.expanduser()
        for key in ("path", "preprocessing", "vocabulary")
        if isinstance(value := getattr(config.encoder, key), Path)
    }
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"folder": folder} | files),
            "encoder": config.encoder.model_copy(update=places),
        }
    )


def check_vocabulary(start: StartConfig) -> None:
    """Makes sure that a new encoder's vocabulary is there.

    Raises:
        EncoderError: it is not.
    """
    if start.vocabulary is not None and not start.vocabulary.is_file():
        raise EncoderError(f"{start.vocabulary}: no such vocabulary; `bert-serving vocabulary` learns one")
