"""The keys of pretraining's run files: unlabeled text, an encoder to start from or a size, masking, training.

`docs/reference/pretraining_files.md` lists the keys and is generated from the docstrings here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from bert_serving.config import EncoderSource, OptimizerConfig
from bert_serving.errors import EncoderError
from bert_serving.run_file import FilesTable, Paths, Positive, RunFile, Share, Table, read_run_file, tuple_of

PositionInitializer = Literal["random", "sinusoids"]


def sinusoids_fit(hidden_size: int) -> bool:
    """Whether vectors of a size can hold sinusoids: as many sines as cosines, of two waves at least."""
    return hidden_size >= 4 and hidden_size % 2 == 0


class TextConfig(FilesTable):
    """Files of the unlabeled text."""

    renamed_keys: ClassVar[Mapping[str, str]] = {"validation_share": "validation_fraction", "rows": "max_train_rows"}

    train: Paths
    """training text: plain text files with one text per line, tables, or folders of .txt files"""
    validation: tuple[Path, ...] = ()
    """held-out text; absent: `validation_fraction` of the training texts"""
    text: str = "text"
    """name of the text column of tables"""
    validation_fraction: Share = 0.05
    """validation split: fraction of the training texts that is held out, drawn with the seed"""
    max_train_rows: Positive | None = None
    """subsample the training data to at most this many texts, drawn with the seed"""

    _listed = field_validator("train", "validation", mode="before")(tuple_of)


class StartConfig(EncoderSource):
    """What pretraining starts from: an encoder by name or path (continued pretraining), or random weights of a size."""

    renamed_keys: ClassVar[Mapping[str, str]] = {
        "layers": "num_hidden_layers",
        "width": "hidden_size",
        "heads": "num_attention_heads",
        "inner_width": "intermediate_size",
        "positions": "max_position_embeddings",
    }

    num_hidden_layers: Positive | None = None
    """new encoder, instead of `name` and `path`: number of Transformer layers"""
    hidden_size: Positive | None = None
    """new encoder: hidden size, the length of a token's vector"""
    num_attention_heads: Positive | None = None
    """new encoder: number of attention heads per layer"""
    intermediate_size: Positive | None = None
    """new encoder: size between the two feed-forward layers; absent: 4 times hidden_size"""
    max_position_embeddings: Annotated[int, Field(ge=4)] = 512
    """new encoder: number of position embeddings, the longest sequence in tokens"""
    position_initializer: PositionInitializer = "random"
    """new encoder: first position embeddings. With `sinusoids` the step to a neighbor is the same linear map at every position,
    so that a small encoder learns from long rows too"""
    vocabulary: Path | None = None
    """new encoder: WordPiece vocabulary file (`bert-serving vocabulary` learns one)"""
    lower_case: bool = True
    """new encoder: lowercase texts and strip accents first (uncased)"""

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        size = {
            "num_hidden_layers": self.num_hidden_layers,
            "hidden_size": self.hidden_size,
            "num_attention_heads": self.num_attention_heads,
            "vocabulary": self.vocabulary,
        }
        is_new = any(value is not None for value in size.values())
        if [self.name is not None, self.path is not None, is_new].count(True) != 1:
            raise ValueError(
                "give exactly one of name, path, or a size (num_hidden_layers, hidden_size, num_attention_heads, vocabulary)"
            )
        if is_new and (self.preprocessing is not None or self.trusted):
            raise ValueError("preprocessing and trusted belong to name or path; a new encoder has its vocabulary")
        if not is_new and "position_initializer" in self.model_fields_set:
            raise ValueError("position_initializer belongs to a new encoder; name and path have their positions")
        self.check_preprocessing()
        if missing := [key for key, value in size.items() if value is None and is_new]:
            raise ValueError(f"a new encoder needs {', '.join(missing)} too")
        if self.hidden_size and self.num_attention_heads and self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} does not divide hidden_size {self.hidden_size}"
            )
        if self.position_initializer == "sinusoids" and self.hidden_size and not sinusoids_fit(self.hidden_size):
            raise ValueError(f"sinusoids need an even hidden_size of at least 4, not {self.hidden_size}")
        return self


class MaskingConfig(Table):
    """Masked language modeling: which tokens (word pieces) the encoder must predict."""

    renamed_keys: ClassVar[Mapping[str, str]] = {
        "share": "mask_selection_rate",
        "mask_share": "mask_token_rate",
        "random_share": "random_token_rate",
    }

    mask_selection_rate: Share = 0.15
    """masking rate: fraction of a row's tokens that are selected for prediction"""
    mask_token_rate: Annotated[float, Field(ge=0, le=1)] = 0.8
    """fraction of the selected tokens that is replaced by [MASK]"""
    random_token_rate: Annotated[float, Field(ge=0, le=1)] = 0.1
    """fraction of the selected tokens that is replaced by random tokens; the rest stays unchanged"""
    whole_words: bool = False
    """whole word masking: select all tokens of a word or none"""
    packed: bool = True
    """sequence packing: rows of full length, with several texts in each and [SEP] between them; false: one truncated row per
    text"""
    sequence_length: Annotated[int, Field(ge=8)] = 128
    """maximum sequence length: tokens of a row, [CLS] and [SEP] included"""

    @model_validator(mode="after")
    def _rates_fit(self) -> Self:
        if self.mask_token_rate + self.random_token_rate > 1:
            raise ValueError(
                f"mask_token_rate {self.mask_token_rate} and random_token_rate {self.random_token_rate} are over 1 together"
            )
        return self


class LearningConfig(OptimizerConfig):
    """How the encoder is trained; masks are drawn anew in each epoch (dynamic masking)."""

    batch_size: Positive = 64
    """batch size: rows of a training step"""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """peak learning rate of AdamW, reached after warmup"""


class PretrainingConfig(RunFile):
    """A whole run file of pretraining."""

    page: ClassVar[str] = "docs/reference/pretraining_files.md"

    data: TextConfig
    encoder: StartConfig
    masking: MaskingConfig = MaskingConfig()
    training: LearningConfig = LearningConfig()


def load_pretraining_file(path: Path, overrides: Sequence[str] = ()) -> PretrainingConfig:
    """Reads a run file of pretraining, applies `table.key=value` overrides and makes its paths absolute.

    Raises:
        RunFileError: the file is missing, not valid TOML, or has wrong, missing or unknown keys; lists all of them.
    """
    return read_run_file(path, overrides, PretrainingConfig)


def check_vocabulary(start: StartConfig) -> None:
    """Makes sure that a new encoder's vocabulary is there.

    Raises:
        EncoderError: it is not.
    """
    if start.vocabulary is not None and not start.vocabulary.is_file():
        raise EncoderError(f"{start.vocabulary}: no such vocabulary; `bert-serving vocabulary` learns one")
