"""A classifier to build, fit and ask in memory: TensorFlow's tutorial "Classify text with BERT" as one object."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving import notebook
from bert_serving.api.predictor import Predictor
from bert_serving.api.progress import observer_of
from bert_serving.config import RunConfig
from bert_serving.contract import Head
from bert_serving.data.in_memory import labeled_table
from bert_serving.data.splits import check_labels, take_validation
from bert_serving.data.table import LabeledTable
from bert_serving.errors import InputError
from bert_serving.model.model import Model, classifier_model
from bert_serving.observer import Observer
from bert_serving.run_file import parse_tables
from bert_serving.saved_model.manifest import EncoderOrigin

if TYPE_CHECKING:
    import tf_keras

    from bert_serving.classifier import Classifier
    from bert_serving.training.loop import Examples

# ruff: noqa: PLC0415
# TensorFlow is imported when something needs it.


_OWNER = "_text_classifier"


def classifier_of(model: Any) -> "TextClassifier | None":
    """The classifier that a Keras model is the `model` of; None for any other object."""
    return getattr(model, _OWNER, None)


class TextClassifier(Predictor):
    """Strings in, labels and probabilities out: preprocessing, a BERT encoder, dropout and a dense head.

    `build_classifier` makes one; `model` is its Keras model, for a program that compiles and fits it itself.

    Attributes:
        encoder: name, digest and license of the pretrained encoder.

    ```python
    import bert_serving as bs

    classifier = bs.build_classifier("encoders/tiny", labels=["neg", "pos"], sequence_length=16)
    print(classifier.labels, classifier.head, classifier.encoder.name)
    print(classifier.predict(["a good film"])[0].probabilities)
    ```
    """

    def __init__(self, classifier: "Classifier", encoder: EncoderOrigin, frozen_layers: int = 0):
        """Wraps a classifier; use `build_classifier`."""
        self.encoder = encoder
        self._classifier = classifier
        self._frozen_layers = frozen_layers
        self._validation: LabeledTable | None = None

    @property
    def model(self) -> "tf_keras.Model":
        """The Keras model (`tf_keras`): strings [B], or a list of two for pairs, to logits [B, outputs].

        Compile it with `loss`, or any loss `from_logits`, and an optimizer of `tf_keras` or `create_optimizer`.

        ```python
        import tensorflow as tf

        import bert_serving as bs

        classifier = bs.build_classifier("encoders/tiny", labels=["neg", "pos"])
        optimizer = bs.create_optimizer(3e-5, train_steps=100)
        classifier.model.compile(optimizer, loss=classifier.loss, metrics=["accuracy"])
        print(classifier.model(tf.constant(["a good film"])).shape)
        ```
        """
        model = self._classifier.model
        # Whoever is given the Keras model alone finds labels and preprocessing again.
        setattr(model, _OWNER, self)
        return model

    @property
    def loss(self) -> "tf_keras.losses.Loss":
        """The loss between labels and logits that fits the head: softmax takes class numbers, int [B]; others float [B, outputs]."""
        from bert_serving.classifier import loss_of

        return loss_of(self.head)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the probabilities in order; empty for a regression."""
        return self._classifier.options.labels

    @property
    def head(self) -> Head:
        """What the dense layer predicts."""
        return self._classifier.options.head

    @property
    def sequence_length(self) -> int:
        """Number of tokens at which texts are truncated."""
        return self._classifier.options.sequence_length

    @property
    def classifier(self) -> "Classifier":
        """Its parts: encoder, preprocessing and the Keras model of token ids."""
        return self._classifier

    @property
    def validation(self) -> LabeledTable | None:
        """The validation rows of the last `fit`, on which an export is compared with this model; None before."""
        return self._validation

    def fit(
        self,
        data: Any,
        validation: Any = None,
        *,
        text: str = "text",
        label: str | Sequence[str] = "label",
        text_pair: str | None = None,
        epochs: int = 3,
        batch_size: int = 32,
        learning_rate: float | None = None,
        validation_fraction: float = 0.2,
        thresholds: str = "fixed",
        progress: bool | Observer | None = None,
        **settings: Any,
    ) -> list[dict[str, Any]]:
        """Fine-tunes the classifier: AdamW with warmup, batches of texts of similar length, the best epoch's weights are kept.

        Args:
            data: labeled rows, in any form that `evaluate` takes.
            validation: the rows that decide which epoch is the best; None for a part of `data`.
            text: name of the text column, where the data has names.
            label: name of the label column, or names of columns of 0 and 1 for a multilabel head.
            text_pair: name of the second text column, for pairs.
            epochs: passes over the data; the learning rate decays to zero at the end of the last.
            batch_size: rows of a step.
            learning_rate: its peak; None for a value that fits the encoder's size.
            validation_fraction: part of `data` that is held out where `validation` is None.
            thresholds: `fixed`, or `fitted`: labels are predicted by thresholds that give the greatest macro F1 on the validation rows.
            progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.
            settings: further keys of a run file's [training], such as `weight_decay`, `class_weights` or `early_stopping`;
                `method="contrastive"` for few labels.

        Returns:
            a row for each epoch: loss, validation scores, seconds, rows per second.

        Raises:
            DataError: the rows cannot be read, or a label is not among `labels`.
            InputError: a setting is wrong.
            TrainingError: the loss is not a finite number.

        ```python
        import bert_serving as bs

        rows = [("a good film", "pos"), ("a bad film", "neg")] * 20
        classifier = bs.build_classifier("encoders/tiny", labels=["neg", "pos"], sequence_length=16)
        history = classifier.fit(rows, epochs=2, batch_size=8)
        print(history[-1]["val_accuracy"])
        ```
        """
        training = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, **settings}
        config = self._config(training, validation_fraction, thresholds)
        observer = observer_of(progress)
        if text_pair is None and self._classifier.options.pairs:
            text_pair = "text_pair"
        names = {"text": text, "label": label, "text_pair": text_pair}
        with observer.stage("Reading the data"):
            train = self._table(data, names)
            if validation is not None:
                held_out = self._table(validation, names)
            else:
                train, held_out = take_validation(train, config.data, self.head, config.training.seed)
        try:
            # Of another training, and no part of what is trained.
            self._classifier = self._classifier.with_thresholds(())
            history = self._fit(train, held_out, config, observer)
            if config.head.thresholds == "fitted":
                self._fit_thresholds(held_out, config, observer)
        finally:
            observer.close()
        self._validation = held_out
        return history

    def _config(self, training: dict[str, Any], validation_fraction: float, thresholds: str) -> RunConfig:
        """The settings as a run file has them, which checks that they fit each other and the classifier."""
        if other := [key for key in ("strategy", "mixed_precision", "devices", "tpu") if key in training]:
            raise InputError(
                f"fit trains on one device in float32, got {other[0]}={training[other[0]]!r}; use train, or leave it out"
            )
        options, windows = self._classifier.options, self._classifier.options.windows
        tables = {
            "data": {
                "train": ["memory"],
                "validation_fraction": validation_fraction,
                "text_pair": "text_pair" if options.pairs else None,
                "long_texts": options.long_texts,
                "window_overlap": windows and windows.overlap,
                "max_windows": windows and windows.most,
            },
            "encoder": {
                "name": self.encoder.name,
                "sequence_length": options.sequence_length,
                "trainable": bool(self._classifier.encoder.layer.trainable),
                "frozen_layers": self._frozen_layers,
            },
            "head": {
                "kind": self.head,
                "pooling": options.pooling,
                "window_pooling": options.window_pooling if windows else None,
                "thresholds": thresholds,
            },
            "training": training,
        }
        return parse_tables(tables, RunConfig, "fit")

    def _table(self, data: Any, names: dict[str, Any]) -> LabeledTable:
        table = labeled_table(data, self.head, self.labels, **names)
        check_labels(table, self.labels, self.head)
        return table

    def _fit(
        self, train: LabeledTable, held_out: LabeledTable, config: RunConfig, observer: Observer
    ) -> list[dict[str, Any]]:
        from bert_serving.training.frozen_layers import with_layer_outputs
        from bert_serving.training.learning_model import plan_learning
        from bert_serving.training.loop import fit
        from bert_serving.training.run_folder import RunFolder
        from bert_serving.training.strategy import create_strategy

        classifier, frozen = self._classifier, self._frozen_layers
        with observer.stage("Tokenizing"):
            rows = {"train": self._examples(train, config), "validation": self._examples(held_out)}
        with tempfile.TemporaryDirectory(prefix="bert-serving-") as folder:
            if frozen:
                tokens = {name: examples.rows for name, examples in rows.items()}
                outputs = with_layer_outputs(classifier, tokens, frozen, Path(folder), observer)
                rows = {name: dataclasses.replace(rows[name], rows=outputs[name]) for name in rows}
            return fit(
                classifier,
                train=rows["train"],
                validation=rows["validation"],
                config=config.bounded_training,
                best_metric=config.best_metric,
                run=RunFolder(Path(folder)),
                strategy=create_strategy(config.training),
                observer=observer,
                learning=plan_learning(classifier, rows["train"].rows, config.bounded_training, frozen),
            )

    def _fit_thresholds(self, held_out: LabeledTable, config: RunConfig, observer: Observer) -> None:
        from bert_serving.training.techniques.run_thresholds import thresholds_of

        values = self._classifier.predict(held_out.texts, held_out.pairs)
        fit = thresholds_of(self.head, self.labels, held_out, values, config.training.seed)
        observer.note(fit.summary())
        self._classifier = self._classifier.with_thresholds(fit.thresholds)

    def _examples(self, table: LabeledTable, config: RunConfig | None = None) -> "Examples":
        from bert_serving.classifier import targets_of
        from bert_serving.training.loop import Examples, class_weights

        tokens, _ = self._classifier.tokenize(table.texts, table.pairs)
        targets = targets_of(self.head, self.labels, table.labels)
        kind = config is not None and config.training.class_weights
        return Examples(tokens, targets, class_weights(targets, len(self.labels), kind) if kind else None)

    def _opened(self) -> Model:
        return classifier_model("the classifier", self._classifier)

    def __repr__(self) -> str:
        """Encoder, labels and head."""
        return f"TextClassifier({self.encoder.name!r}, labels={list(self.labels)}, head={self.head.value!r})"

    def _repr_html_(self) -> str:
        facts = [
            ("encoder", self.encoder.name),
            ("labels", ", ".join(self.labels) or "none: it predicts a number"),
            ("head", self.head.value),
            ("sequence length", self.sequence_length),
            ("parameters", f"{self._classifier.token_model.count_params():,}"),
        ]
        return notebook.facts(facts, "TextClassifier")
