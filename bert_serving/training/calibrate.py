"""Temperature scaling of a run, fitted on its validation split."""

import tensorflow as tf

from bert_serving.classifier import probabilities
from bert_serving.contract import Head
from bert_serving.data.splits import load_validation
from bert_serving.data.table import table_sha256
from bert_serving.errors import InputError, RunFolderError
from bert_serving.evaluation.temperature import TemperatureFit, fit_temperature
from bert_serving.observer import Observer
from bert_serving.training.loading import load_classifier
from bert_serving.training.run_folder import CALIBRATION, RunFolder
from bert_serving.training.techniques.run_thresholds import thresholds_of


def calibrate(run: RunFolder, *, observer: Observer | None = None) -> TemperatureFit:
    """Fits temperature scaling on a complete run's validation rows and writes it to the run folder's calibration.json.

    From then on `load_classifier`, and with it evaluation and export, compute probabilities from scaled logits. The predicted
    labels do not change; neither do the logits. Thresholds of a run with head.thresholds = "fitted" are fitted anew, on the
    calibrated probabilities: with a sigmoid, whose order of rows stays the same, they predict the same labels.

    Raises:
        RunFolderError: the run is not complete, or its validation data changed since it was trained.
        DataError: the validation data cannot be read.
        InputError: a regression head; or no temperature fits the rows.
    """
    observer = observer or Observer()
    config = run.config()
    head = config.head.kind
    if head is Head.REGRESSION:
        raise InputError(f"{run.path}: a regression head has no probabilities to calibrate; there is nothing to do")
    run.check_complete()
    with observer.stage("Reading the data"):
        validation = load_validation(config.data, head, config.training.seed)
        if run.facts()["data_sha256"].get("validation") != table_sha256(validation):
            raise RunFolderError(f"{run.path}: the validation data changed since this run was trained; restore it")
    with observer.stage("Loading the run"):
        # Its thresholds, which may be of another calibration, are fitted anew.
        classifier = load_classifier(run, with_thresholds=False)
    with observer.stage("Predicting"):
        logits = classifier.predict_tokens(classifier.tokenize(validation.texts, validation.pairs)[0])
    fit = fit_temperature(head, classifier.options.labels, validation, logits)
    written = fit.to_json()
    if config.head.thresholds == "fitted":
        calibrated = probabilities(head, tf.constant(logits), fit.scaling).numpy()
        thresholds = thresholds_of(head, classifier.options.labels, validation, calibrated, config.training.seed)
        observer.note(thresholds.summary())
        written |= {"thresholds": thresholds.to_json()}
    run.write_json(CALIBRATION, written)
    return fit
