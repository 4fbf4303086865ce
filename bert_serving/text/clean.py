"""Cleaning of texts before any tokenizer, in a graph."""

import tensorflow as tf

SPACES = r"\t\n\v\f\r\x{85}\p{Z}"
"""white space of Unicode, as a part of a class in a regular expression"""


def valid_utf8(texts: tf.Tensor) -> tf.Tensor:
    """Removes invalid UTF-8 from strings [B], as everywhere in this project."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore", replace_control_characters=False)
