"""Records the logits that transformers' ModernBERT gives for tiny random classifiers: `modernbert_reference.json` beside this file.

PYTHONPATH=tests:. python tests/recorded/record_modernbert_reference.py     (needs torch and transformers beside TensorFlow)
"""

import json
import platform
import tempfile
from pathlib import Path

import torch
import transformers
from support.classifier_answers import transformers_answers
from support.modernbert import VARIANTS, token_rows, write_byte_level_classifier, write_modernbert

TARGET = Path(__file__).with_name("modernbert_reference.json")


def logits_of(folder: Path, attention: str) -> list[list[float]]:
    """Logits of `token_rows`, padded to the longest."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation=attention)
    rows = token_rows()
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.no_grad():
        return model.eval()(input_ids=ids, attention_mask=mask).logits.tolist()


def main() -> None:
    """Writes the reference."""
    logits = {}
    for name, changes in VARIANTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            write_modernbert(Path(scratch) / "model", **changes)
            logits[name] = logits_of(Path(scratch) / "model", "eager")
    with tempfile.TemporaryDirectory() as scratch:
        write_byte_level_classifier(Path(scratch))
        answers = {kind: transformers_answers(Path(scratch), pairs=kind == "pairs") for kind in ("singles", "pairs")}
    made_with = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    rounded = {name: [[round(value, 7) for value in row] for row in rows] for name, rows in logits.items()}
    TARGET.write_text(json.dumps({"made_with": made_with, "logits": rounded, "answers": answers}) + "\n", "utf-8")


if __name__ == "__main__":
    main()
