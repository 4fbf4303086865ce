"""Run files of pretraining: unlabeled text, an encoder to start from or a size, masking, training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

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
    read_tables,
    tuple_of,
)
from bert_serving.errors import EncoderError, RunFileError

PositionInitializer = Literal["random", "sinusoids"]


def sinusoids_fit(hidden_size: int) -> bool:
    """Whether vectors of a width can hold sinusoids: as many sines as cosines, of two waves at least."""
    return hidden_size >= 4 and hidden_size % 2 == 0


class TextConfig(Table):
    """Where the unlabeled text is."""

    renamed_keys: ClassVar[Mapping[str, str]] = {"validation_share": "validation_fraction", "rows": "max_train_rows"}

    folder: Path = Path()
    """the paths below are relative to it; itself it is relative to the run file"""
    train: Paths
    """plain text (a text a line), tables, or folders of .txt files"""
    validation: tuple[Path, ...] = ()
    """absent: `validation_fraction` of the training texts"""
    text: str = "text"
    """column of the tables"""
    validation_fraction: Share = 0.05
    """share of the training texts that is measured instead, chosen by the seed"""
    max_train_rows: Positive | None = None
    """use only so many training texts, chosen by the seed"""

    _listed = field_validator("train", "validation", mode="before")(tuple_of)


class StartConfig(Table):
    """What pretraining starts from: an encoder by name or path, or random weights of a size."""

    renamed_keys: ClassVar[Mapping[str, str]] = {
        "layers": "num_hidden_layers",
        "width": "hidden_size",
        "heads": "num_attention_heads",
        "inner_width": "intermediate_size",
        "positions": "max_position_embeddings",
    }

    name: str | None = None
    """a name of the catalog or any handle: pretraining goes on with its weights"""
    path: Path | None = None
    """instead of a name: any folder that `encoder.path` of a training run takes"""
    preprocessing: Place | None = None
    """the preprocessing SavedModel of `path`, where it lies elsewhere; of a name that is an address: the address of its preprocessing"""
    trusted: bool = False
    """load a SavedModel from elsewhere although its graph may read or write files or run code"""
    num_hidden_layers: Positive | None = None
    """instead of both: layers of a new encoder"""
    hidden_size: Positive | None = None
    """of a new encoder: size of a token's vector"""
    num_attention_heads: Positive | None = None
    """of a new encoder: attention heads of each layer"""
    intermediate_size: Positive | None = None
    """of a new encoder, between a layer's dense layers; absent: 4 times hidden_size"""
    max_position_embeddings: Annotated[int, Field(ge=4)] = 512
    """of a new encoder: longest sequence, in tokens"""
    position_initializer: PositionInitializer = "random"
    """of a new encoder: its first position embeddings. `sinusoids`: what finds a neighbor at one position finds it at each,
    so that a small encoder learns from long rows too"""
    vocabulary: Path | None = None
    """of a new encoder: its WordPiece file (`bert-serving vocabulary` learns one)"""
    lower_case: bool = True
    """of a new encoder: lower-case and strip accents first"""

    @model_validator(mode="after")
    def _one_start(self) -> "StartConfig":
        size = {
            "num_hidden_layers": self.num_hidden_layers,
            "hidden_size": self.hidden_size,
            "num_attention_heads": self.num_attention_heads,
            "vocabulary": self.vocabulary,
        }
        given = [self.name is not None, self.path is not None, any(value is not None for value in size.values())]
        if sum(given) != 1:
            raise ValueError(
                "give exactly one of name, path, or a size (num_hidden_layers, hidden_size, num_attention_heads, vocabulary)"
            )
        if given[2] and (self.preprocessing is not None or self.trusted):
            raise ValueError("preprocessing and trusted belong to name or path; a new encoder has its vocabulary")
        if not given[2] and "position_initializer" in self.model_fields_set:
            raise ValueError("position_initializer belongs to a new encoder; name and path have their positions")
        check_preprocessing(self.name, self.path, self.preprocessing)
        if missing := [key for key, value in size.items() if value is None and given[2]]:
            raise ValueError(f"a new encoder needs {', '.join(missing)} too")
        if self.hidden_size and self.num_attention_heads and self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} does not divide hidden_size {self.hidden_size}"
            )
        if self.position_initializer == "sinusoids" and self.hidden_size and not sinusoids_fit(self.hidden_size):
            raise ValueError(f"sinusoids need an even hidden_size of at least 4, not {self.hidden_size}")
        return self


class MaskingConfig(Table):
    """Which word pieces are to be guessed."""

    renamed_keys: ClassVar[Mapping[str, str]] = {
        "share": "mask_selection_rate",
        "mask_share": "mask_token_rate",
        "random_share": "random_token_rate",
    }

    mask_selection_rate: Share = 0.15
    """of a row's word pieces"""
    mask_token_rate: Annotated[float, Field(ge=0, le=1)] = 0.8
    """of those, so many are shown as [MASK]"""
    random_token_rate: Annotated[float, Field(ge=0, le=1)] = 0.1
    """of those, so many as another word piece; the rest stays as it is"""
    whole_words: bool = False
    """mask all word pieces of a word or none"""
    packed: bool = True
    """rows of full length, with several texts in each and [SEP] between them; false: a row for each text, cut"""
    sequence_length: Annotated[int, Field(ge=8)] = 128
    """word pieces of a row, [CLS] and [SEP] included"""

    @model_validator(mode="after")
    def _shares_fit(self) -> "MaskingConfig":
        if self.mask_token_rate + self.random_token_rate > 1:
            raise ValueError(
                f"mask_token_rate {self.mask_token_rate} and random_token_rate {self.random_token_rate} are over 1 together"
            )
        return self


class LearningConfig(Table):
    """How it learns; masks are drawn anew in each epoch."""

    renamed_keys: ClassVar[Mapping[str, str]] = {"warmup_share": "warmup_ratio", "gradient_norm": "max_grad_norm"}

    epochs: Positive = 3
    """times that each row is seen"""
    batch_size: Positive = 64
    """rows of a step"""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """peak of the schedule"""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """share of all steps in which the learning rate rises from zero"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """of kernels and embeddings"""
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
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
    tables = read_tables(path, overrides, PretrainingConfig)
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
