"""Random two-layer encoders of every family in Hugging Face's format."""

from collections.abc import Sequence
from pathlib import Path

from bert_serving.text.learned_vocabulary import count_words, learn_vocabulary
from support.hugging_face_folders import CLASSES, fairseq_model, sentencepiece_model, write_fine_tuned
from support.modernbert import write_byte_level_classifier

FAMILIES = (*CLASSES, "modernbert")
LONGEST = 64
"""tokens of a text"""
_TOKENS = 600
# Special tokens that fairseq has beside those of the SentencePiece model.
_FAIRSEQ = {"xlm-roberta": 2, "camembert": 5}


def write_family_encoder(folder: Path, family: str, texts: Sequence[str] | None = None) -> None:
    """Writes an encoder for texts of up to 64 tokens, whose vocabulary is learned from texts, or is of the tests' words.

    Byte-level BPE knows all texts without learning, byte by byte.
    """
    positions = {"max_position_embeddings": LONGEST + 2 * (family == "roberta" or family in _FAIRSEQ)}
    if family == "modernbert":
        write_byte_level_classifier(folder, num_hidden_layers=2, **positions)
    elif family == "roberta" or texts is None:
        write_fine_tuned(folder, family, **positions)
    elif family in _FAIRSEQ:
        write_fine_tuned(folder, family, vocab_size=_TOKENS + _FAIRSEQ[family], **positions)
        (folder / "sentencepiece.bpe.model").write_bytes(fairseq_model(texts, _TOKENS))
    elif family == "albert":
        write_fine_tuned(folder, family, vocab_size=_TOKENS, **positions)
        (folder / "spiece.model").write_bytes(sentencepiece_model(texts, _TOKENS))
    else:
        tokens = learn_vocabulary(count_words(texts, lower_case=True), _TOKENS)
        write_fine_tuned(folder, family, vocab_size=len(tokens), **positions)
        (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", "utf-8")
