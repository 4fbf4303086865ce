"""Words before byte-level BPE as KerasHub's `BytePairTokenizer` has them in a `tf.data` pipeline, so in `fit` and `predict`.

They differ from GPT-2's: a run of white space that ends in a newline or a no-break space is one word, a text ends at the first NUL,
and the Devanagari digit six, which KerasHub puts where a text is to be cut, is lost where it stands alone or last in a number. Special
tokens in a text count as such.
https://github.com/keras-team/keras-hub, `tokenizers/byte_pair_tokenizer.py`, `split_strings_for_bpe`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import tensorflow as tf
from sentencepiece import sentencepiece_model_pb2

from bert_serving.text.byte_level_bpe import SEPARATOR, byte_level_model

# A cut, and the spaces that `\s` of TensorFlow's regular expressions lacks.
_CUT = "\u096c"
_WIDE = r"\x{a0}\x{2009}\x{202f}\x{3000}"
_WORD = rf"'s|'t|'re|'ve|'m|'ll|'d|[\s{_WIDE}]+[\n\r\t\f{_CUT}{_WIDE}]| ?\p{{L}}+| ?[\p{{N}}]+| ?[^\s\p{{L}}\p{{N}}{_WIDE}]+"
_LAST_SPACE = rf"[ \t\r\f\v{_CUT}{_WIDE}]$"


@dataclass(frozen=True)
class KerasHubWordRules:
    """How a text is split into words.

    Attributes:
        special: tokens that stay whole.
        add_prefix_space: put a space before each text.
        lower_case: always False, as vocabularies of bytes are cased.
    """

    special: tuple[str, ...] = ()
    add_prefix_space: bool = False
    lower_case: ClassVar[bool] = False

    def apply(self, texts: tf.Tensor) -> tf.Tensor:
        """The texts, string [B]: nothing is normalized."""
        return texts

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Words of texts of valid UTF-8, string [B, (words)], in a graph; each byte is one of the characters U+0000 to U+00FF."""
        if self.add_prefix_space:
            texts = tf.strings.join([" ", texts])
        texts = tf.strings.regex_replace(texts, rf"( )([^\s{_WIDE}])", rf"{_CUT}\1\2")
        texts = tf.strings.regex_replace(texts, rf"(\s{_WIDE})$", rf"\1{_CUT}")
        # Where KerasHub splits a text, it ends at the first NUL.
        texts = tf.strings.regex_replace(texts, r"(?s)\x00.*", "")
        # Special tokens become words of letters, which are not split further.
        for token, alias in _aliases(self.special).items():
            texts = tf.strings.regex_replace(texts, re.escape(token), SEPARATOR + alias.encode("utf-8") + SEPARATOR)
        texts = tf.strings.regex_replace(texts, _WORD, SEPARATOR + rb"\0" + SEPARATOR)
        words = tf.strings.split(texts, SEPARATOR)
        parts = tf.strings.split(tf.strings.regex_replace(words.values, _LAST_SPACE, SEPARATOR + rb"\0"), SEPARATOR)
        words = words.with_values(parts).merge_dims(1, 2)
        words = tf.ragged.boolean_mask(words, (words != _CUT) & (words != ""))
        letters = words.values
        for token, alias in _aliases(self.special).items():
            letters = tf.strings.regex_replace(letters, alias, token.replace("\\", r"\\"))
        letters = tf.strings.unicode_transcode(
            letters, "ISO-8859-1", "UTF-8", errors="strict", replace_control_characters=False
        )
        return words.with_values(letters)


def keras_hub_byte_model(tokens: Sequence[str], merges: Sequence[tuple[str, str]], special: Sequence[str]) -> bytes:
    """Serializes the SentencePiece model that gives the token ids of words of `KerasHubWordRules`.

    Args:
        tokens: in the order of their ids, in GPT-2's letters; special tokens as they are written.
        merges: rules, the first one applied first.
        special: tokens that words are searched for.

    Raises:
        ValueError: the tokens lack a byte or a special token, or a special token can be made of a text.
    """
    if missing := [token for token in special if token not in tokens]:
        raise ValueError(f"the vocabulary of {len(tokens)} tokens lacks {', '.join(missing)}")
    # SentencePiece needs one, though no text has unknown bytes.
    unknown = next(name for name in ("<unk>", "<none>", "<no token>") if name not in special)
    known = [*tokens] if unknown in tokens else [*tokens, unknown]
    model = sentencepiece_model_pb2.ModelProto.FromString(byte_level_model(known, merges, {*special, unknown}, unknown))
    for token in special:
        piece = model.pieces[known.index(token)]
        piece.piece = token.encode("utf-8").decode("latin-1")
        piece.type = sentencepiece_model_pb2.ModelProto.SentencePiece.USER_DEFINED
    content: bytes = model.SerializeToString()
    return content


def _aliases(special: Sequence[str]) -> Mapping[str, str]:
    """KerasHub's own, so that texts with one of them are split in the same way."""
    return {
        token: "\u0134" + "".join(chr(ord("A") + int(digit)) for digit in str(number))
        for number, token in enumerate(special)
    }
