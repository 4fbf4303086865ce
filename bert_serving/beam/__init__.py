"""Apache Beam: a transform that scores texts in a pipeline, its model handler, and jobs over whole collections of files.

`ScoreTexts` and `ClassifierHandler` have examples.
"""

from bert_serving.extras import naming_extras

with naming_extras("bert_serving.beam", "beam"):
    from bert_serving.beam.handler import ClassifierHandler
    from bert_serving.beam.transform import ScoredTexts, ScoreTexts
    from bert_serving.scoring.answers import Answer

__all__ = ["Answer", "ClassifierHandler", "ScoreTexts", "ScoredTexts"]
