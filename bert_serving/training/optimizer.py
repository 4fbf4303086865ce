"""AdamW with warmup and linear decay, as BERT was fine-tuned with."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras
from official.nlp import optimization

from bert_serving.config import OptimizerConfig, TrainingConfig
from bert_serving.errors import TrainingError
from bert_serving.training.techniques.layer_rates import LayerRates

# Peak learning rates by the encoder's hidden size: Turc et al. (arXiv:1908.08962) search 3e-4 to 3e-5 for small BERTs, which
# need the larger values; Devlin et al. (arXiv:1810.04805) use 5e-5 to 2e-5 for hidden sizes of 768 and 1024.
_LEARNING_RATES = ((256, 3e-4), (512, 1e-4), (768, 3e-5))
_WIDEST_LEARNING_RATE = 2e-5
# A dense layer alone has no pretrained weights to spoil.
_HEAD_LEARNING_RATE = 1e-3
# A batch's pairs are a steadier guide than its labels alone, and the steps are few: chosen on validation rows of emotion and
# SST-2, 16 rows of each label.
_CONTRASTIVE_FACTOR = 3

# As in google-research/bert, with the names of its successor.
_NOT_DECAYED = ("LayerNorm", "layer_norm", "bias")
_BLOCK = re.compile(r"(?:^|/)(transformer/layer_\d+)/")
_TENSORS_OF_A_BLOCK = 16
_DECAYED_OF_A_BLOCK = 6


@dataclass(frozen=True)
class Schedule:
    """Steps and peak of the learning rate.

    Attributes:
        steps: optimizer steps of the whole run.
        warmup_steps: steps of linear rise from 0.
        peak: learning rate at the end of the rise.
    """

    steps: int
    warmup_steps: int
    peak: float


def default_learning_rate(width: int, *, trainable: bool = True) -> float:
    """Peak learning rate for an encoder with a hidden size of `width`; that of the head alone when it is not trainable."""
    if not trainable:
        return _HEAD_LEARNING_RATE
    return next((rate for limit, rate in _LEARNING_RATES if width <= limit), _WIDEST_LEARNING_RATE)


def plan_schedule(config: OptimizerConfig, *, steps: int, width: int, trainable: bool) -> Schedule:
    """The learning rate schedule of a run of so many steps: linear warmup, then linear decay."""
    default = default_learning_rate(width, trainable=trainable)
    if isinstance(config, TrainingConfig) and config.method == "contrastive":
        default *= _CONTRASTIVE_FACTOR
    peak = config.learning_rate or default
    return Schedule(steps, int(steps * config.warmup_ratio), peak)


def create_optimizer(
    schedule: Schedule, config: OptimizerConfig, layer_rates: LayerRates | None = None
) -> tf_keras.optimizers.legacy.Optimizer:
    """AdamW: linear warmup, linear decay to zero, decoupled weight decay, gradient clipping by global norm.

    The recipe is that of tf-models-official: the decay counts from step 0, so that the learning rate drops by the warmup ratio
    when the warmup ends, as in google-research/bert.

    Args:
        schedule: of the learning rate.
        config: weight decay, clipping and number format.
        layer_rates: by what the learning rate of each variable, and with it its weight decay, is multiplied; None for 1.
    """
    recipe = optimization.create_optimizer(schedule.peak, schedule.steps, schedule.warmup_steps)
    # AdamWeightDecay clips the gradients of each replica separately, and none under loss scaling; Keras always clips their sum.
    settings = recipe.get_config() | {"weight_decay_rate": config.weight_decay, "gradient_clip_norm": 0.0}
    optimizer = _AdamW(**settings | {"learning_rate": recipe.learning_rate}, exclude_from_weight_decay=_NOT_DECAYED)
    optimizer.layer_rates = layer_rates
    optimizer.global_clipnorm = config.max_grad_norm or None
    if isinstance(config, TrainingConfig) and config.mixed_precision == "float16":
        return tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


class _AdamW(optimization.AdamWeightDecay):  # type: ignore[misc]  # the base class has no annotations
    """The same update in fewer passes over the memory, which is what the update of an embedding table takes its time for."""

    layer_rates: LayerRates | None = None

    def _resource_apply_dense(self, grad: tf.Tensor, var: tf.Variable, apply_state: Any = None) -> Any:
        return super()._resource_apply_dense(grad, var, self._state_of(var, apply_state))

    def _state_of(self, var: tf.Variable, apply_state: Any) -> Any:
        """The step's numbers, with the learning rate of a variable's layer."""
        factor = 1.0 if self.layer_rates is None else self.layer_rates.of(var.name)
        if factor == 1:
            return apply_state
        key = (var.device, var.dtype.base_dtype)
        numbers = (apply_state or {}).get(key) or self._fallback_apply_state(*key)
        return {**(apply_state or {}), key: {**numbers, "lr_t": numbers["lr_t"] * factor}}

    def _decay_weights_op(self, var: tf.Variable, learning_rate: tf.Tensor, apply_state: Any) -> Any:
        if not self._do_use_weight_decay(var.name):
            return tf.no_op()
        rate = apply_state[(var.device, var.dtype.base_dtype)]["weight_decay_rate"]
        # The numbers first: one pass over the variable, not two.
        return var.assign_sub((learning_rate * rate) * var, use_locking=self._use_locking)

    def _resource_apply_sparse(
        self, grad: tf.Tensor, var: tf.Variable, indices: tf.Tensor, apply_state: Any = None
    ) -> Any:
        # Every row moves in each step, by its momentum. Keras does that in nine operations, each with a copy of the table; for a
        # dense gradient TensorFlow has one.
        dense = tf.scatter_nd(indices[:, tf.newaxis], grad, tf.shape(var, out_type=indices.dtype))
        return self._resource_apply_dense(dense, var, apply_state)


def check_decay_exclusions(optimizer: tf_keras.optimizers.legacy.Optimizer, variables: Sequence[tf.Variable]) -> None:
    """Checks that biases and layer normalizations of each Transformer block have no weight decay.

    The optimizer knows them by name only: a renamed layer would be decayed silently.

    Raises:
        TrainingError: a block has other than 6 decayed tensors of 16.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.weight_decay_rate:
        return
    blocks: dict[str, list[bool]] = {}
    for variable in variables:
        if match := _BLOCK.search(variable.name):
            is_decayed = inner._do_use_weight_decay(variable.name)  # noqa: SLF001  the optimizer's own rule
            blocks.setdefault(match[1], []).append(is_decayed)
    for block, decayed in blocks.items():
        if len(decayed) == _TENSORS_OF_A_BLOCK and sum(decayed) != _DECAYED_OF_A_BLOCK:
            raise TrainingError(
                f"{block}: weight decay would touch {sum(decayed)} of its {len(decayed)} tensors, expected {_DECAYED_OF_A_BLOCK} "
                "kernels; name layer normalizations 'layer_norm' and biases 'bias', or set training.weight_decay=0"
            )
