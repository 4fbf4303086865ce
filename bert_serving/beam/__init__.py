"""Apache Beam: a transform that scores texts in a pipeline, its model handler, and jobs over whole collections of files.

import apache_beam as beam
from bert_serving.beam import ScoreTexts

with beam.Pipeline() as pipeline:
    answers = pipeline | beam.Create(["a good film"]) | ScoreTexts("models/tiny")
    answers.scored | beam.Map(print)
"""

from bert_serving.extras import naming_extras

with naming_extras("bert_serving.beam", "beam"):
    from bert_serving.beam.handler import ClassifierHandler
    from bert_serving.beam.transform import ScoredTexts, ScoreTexts
    from bert_serving.scoring.answers import Answer

__all__ = ["Answer", "ClassifierHandler", "ScoreTexts", "ScoredTexts"]
