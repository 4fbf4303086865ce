"""The transform `ScoreTexts`: texts of a pipeline in, answers and failed rows out."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bert_serving.beam.handler import ClassifierHandler
from bert_serving.io.quiet_import import quiet_import
from bert_serving.scoring.answers import Answer, check_pairs

with quiet_import():
    import apache_beam as beam
    from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
    from apache_beam.typehints.decorators import no_annotations

_SCORED, _FAILED = "scored", "failed"


class ScoredTexts(NamedTuple):
    """The outputs of `ScoreTexts`.

    Attributes:
        scored: a dict for each scored element: `element`, `label`, `probability`, `probabilities` (name to value; for
            regression `value`), `model`, `version`.
        failed: a dict for each other element: `element`, `reason`, `element_sha256` (of its repr).
    """

    scored: beam.PCollection
    failed: beam.PCollection


class ScoreTexts(beam.PTransform):
    """Scores the texts of a pipeline with an export; an element that fails goes to `failed`, and costs no other.

    Elements are strings, or with `text` mappings (dicts, also `beam.Row`) that have a text under that name. The result is a
    `ScoredTexts`.

    ```python
    import apache_beam as beam
    from bert_serving.beam import ScoreTexts

    reviews = [{"id": 1, "review": "a good film"}, {"id": 2, "review": ""}]
    with beam.Pipeline() as pipeline:
        answers = pipeline | beam.Create(reviews) | ScoreTexts("models/tiny", text="review")
        answers.scored | "Print" >> beam.Map(lambda answer: print(answer["element"]["id"], answer["label"]))
        answers.failed | "Print failed" >> beam.Map(print)
    ```
    """

    def __init__(self, model: str, *, text: str | None = None, text_pair: str | None = None, batch_tokens: int = 4096):
        """Finds the model.

        Args:
            model: folder of an export, or of its versions; also s3:// and gs://.
            text: name of the text in elements that are mappings; None for elements that are strings.
            text_pair: name of the second text, for a model of pairs.
            batch_tokens: number of tokens of a batch.

        Raises:
            InputError, ExportError, DataError: there is no such export, or it takes pairs of texts and `text_pair` is None, or
                the other way round.
        """
        super().__init__()
        self._handler = ClassifierHandler(model, batch_tokens=batch_tokens)
        check_pairs(self._handler.files, text_pair)
        self._text, self._text_pair = text, text_pair

    # Beam would warn that it makes nothing of annotations with several outputs.
    @no_annotations  # type: ignore[untyped-decorator]
    def expand(self, elements: beam.PCollection) -> ScoredTexts:
        """Keys each text by its element, scores it, and divides the answers."""
        answers = (
            elements
            | "Take the texts" >> beam.Map(_keyed, self._text, self._text_pair)
            | "Score" >> RunInference(KeyedModelHandler(self._handler))
            | "Divide" >> beam.FlatMap(_divided, self._handler.files).with_outputs(_SCORED, _FAILED)
        )
        return ScoredTexts(answers[_SCORED], answers[_FAILED])


def _keyed(element: Any, text: str | None, text_pair: str | None) -> tuple[Any, Any]:
    if text is None:
        return element, element
    values = element if isinstance(element, Mapping) else element._asdict()
    first = values.get(text)
    return element, first if text_pair is None else (first, values.get(text_pair))


@no_annotations  # type: ignore[untyped-decorator]
def _divided(answered: tuple[Any, Answer], files: Any) -> Iterable[beam.pvalue.TaggedOutput]:
    element, answer = answered
    if answer.failure is not None:
        digest = hashlib.sha256(repr(element).encode("utf-8", "surrogatepass")).hexdigest()
        yield beam.pvalue.TaggedOutput(
            _FAILED, {"element": element, "reason": answer.failure, "element_sha256": digest}
        )
        return
    names = files.labels or ("value",)
    yield beam.pvalue.TaggedOutput(
        _SCORED,
        {
            "element": element,
            "label": answer.label,
            "probability": answer.probability,
            "probabilities": dict(zip(names, answer.probabilities, strict=True)),
            "model": files.name,
            "version": files.version,
        },
    )
