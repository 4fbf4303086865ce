"""Golden texts: edge cases with the answers of the model in memory, stored in the export.

With them anyone who has a copy of the export can check that it still gives the same answers.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bert_serving.contract import GOLDEN_FILE
from bert_serving.errors import ExportError

TEXTS: tuple[bytes, ...] = (
    b"",
    b"hello",
    "My parcel never arrived \U0001f62d\U0001f62d what now?".encode(),
    "我的自行车坏了，可以退款吗？".encode(),
    b"word " * 5000,
    b"tab\tnewline\nnull\x00bell\x07 escape\x1b end",
    b"broken \xff\xfe utf-8 \xe4\xb8",
    "naïve café, ÜBER straße, no\u00a0break, zero\u200bwidth".encode(),
    b"[CLS] [SEP] [MASK] [PAD]",
    b"x" * 300,
    "مرحبا بالعالم — שלום עולם".encode(),
    b"How long does shipping take? The page said two days, it has been nine.",
)
SEVERAL_WINDOWS = " ".join(
    f"Page {page} of the report: {9 * page} bikes, {page % 7} films." for page in range(90)
).encode()
"""golden text for a classifier that reads long texts in windows, which differ from each other in this one"""


@dataclass(frozen=True)
class Golden:
    """Texts and the answers expected for them.

    Attributes:
        texts: strings as bytes; some are not valid UTF-8.
        pairs: second texts, or None.
        logits: float32 [N, outputs].
        probabilities: float32 [N, C].
        pooled: float32 [N, H].
    """

    texts: tuple[bytes, ...]
    pairs: tuple[bytes, ...] | None
    logits: np.ndarray
    probabilities: np.ndarray
    pooled: np.ndarray

    def save(self, folder: Path) -> None:
        """Writes the golden file of an export."""
        value = {
            "texts": _encode(self.texts),
            "pairs": None if self.pairs is None else _encode(self.pairs),
            "logits": self.logits.tolist(),
            "probabilities": self.probabilities.tolist(),
            "pooled": self.pooled.tolist(),
        }
        (folder / GOLDEN_FILE).write_text(json.dumps(value) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Golden | None":
        """Reads the golden file of an export; None when there is none.

        Raises:
            ExportError: the file is damaged.
        """
        path = folder / GOLDEN_FILE
        if not path.is_file():
            return None
        try:
            value = json.loads(path.read_text("utf-8"))
            return cls(
                texts=_decode(value["texts"]),
                pairs=None if value["pairs"] is None else _decode(value["pairs"]),
                **{name: np.array(value[name], np.float32) for name in ("logits", "probabilities", "pooled")},
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ExportError(f"{path}: damaged: {error}; export again") from None


def _encode(texts: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(text).decode("ascii") for text in texts]


def _decode(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(base64.b64decode(text) for text in texts)
