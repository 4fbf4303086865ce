"""The mean of several epochs' weights: often a little better on new texts than any one of them.

After Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization" (https://arxiv.org/abs/1803.05407), with
the learning rate schedule left as it is.
"""

from collections.abc import Callable, Iterable

import numpy as np
import tf_keras


def assign_average(model: tf_keras.Model, epochs: Iterable[int], read: Callable[[int], None]) -> None:
    """Gives a model's trainable variables the mean of their values after some epochs.

    Args:
        model: the model.
        epochs: at least one.
        read: sets the model back to how it was after an epoch.
    """
    sums, count = [np.zeros(variable.shape) for variable in model.trainable_variables], 0
    for epoch in epochs:
        read(epoch)
        for total, variable in zip(sums, model.trainable_variables, strict=True):
            total += variable.numpy()
        count += 1
    for variable, total in zip(model.trainable_variables, sums, strict=True):
        variable.assign((total / count).astype(variable.dtype.as_numpy_dtype))
