"""SetFit on rows that `few_labels.py` wrote; run by it, in an interpreter that has setfit.

    python benchmarks/setfit_few_labels.py --model models/all-MiniLM-L6-v2 --train rows.tsv \\
        --test test.tsv --iterations 20 --seed 0

Prints one line of JSON: accuracy on the test rows, and minutes. SetFit's own defaults otherwise:
CosineSimilarityLoss, body_learning_rate 2e-5, batches of 16, one epoch, a LogisticRegression on
the embeddings; the sentence-transformers model has mean pooling and normalized vectors, as the
original all-MiniLM-L6-v2 has. Without --iterations: sampling_strategy "oversampling", SetFit's
default, whose pairs grow with the square of the rows.
"""

import argparse
import csv
import json
import os
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description="SetFit on the rows of a file.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--iterations", type=int, help="num_iterations: pairs of each kind for each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()

    import torch
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, models
    from setfit import SetFitModel, Trainer, TrainingArguments
    from sklearn.linear_model import LogisticRegression

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    texts, labels = read_rows(arguments.train)
    test_texts, test_labels = read_rows(arguments.test)
    transformer = models.Transformer(str(arguments.model), max_seq_length=128)
    pooling = models.Pooling(transformer.get_word_embedding_dimension(), "mean")
    body = SentenceTransformer(modules=[transformer, pooling, models.Normalize()], device="cpu")
    model = SetFitModel(model_body=body, model_head=LogisticRegression())
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            batch_size=16,
            num_epochs=1,
            num_iterations=arguments.iterations,
            seed=arguments.seed,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        )
        rows = Dataset.from_dict({"text": texts, "label": labels})
        Trainer(model=model, args=settings, train_dataset=rows).train()
    minutes = (time.monotonic() - started) / 60
    predicted = [str(label) for label in model.predict(test_texts, show_progress_bar=False)]
    accuracy = sum(map(str.__eq__, predicted, test_labels)) / len(test_labels)
    print(json.dumps({"accuracy": accuracy, "minutes": minutes}))


def read_rows(path: Path) -> tuple[list[str], list[str]]:
    """Texts and labels of a TSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["text"] for row in rows], [row["label"] for row in rows]


if __name__ == "__main__":
    main()
