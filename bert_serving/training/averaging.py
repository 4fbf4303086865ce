"""Stochastic weight averaging: the mean of several epochs' weights, often a little better on new texts than any one of them.

After Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization"
(https://arxiv.org/abs/1803.05407), with the learning rate schedule unchanged.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tf_keras


def assign_average(model: tf_keras.Model, epochs: Sequence[int], read: Callable[[int], None]) -> None:
    """Gives a model's trainable variables the mean of their values after some epochs.

    Args:
        model: the model.
        epochs: numbers of the epochs, at least one.
        read: restores the model to its state after an epoch.
    """
    sums = [np.zeros(variable.shape) for variable in model.trainable_variables]
    for epoch in epochs:
        read(epoch)
        for total, variable in zip(sums, model.trainable_variables, strict=True):
            total += variable.numpy()
    for variable, total in zip(model.trainable_variables, sums, strict=True):
        variable.assign((total / len(epochs)).astype(variable.dtype.as_numpy_dtype))
