"""Processor seconds and memory of a ModernBERT encoder on one long text.

    python benchmarks/long_sequences.py --tokens 2048 8192

Random weights in the size of ModernBERT-base, float32, each line in a process of its own:

    blocks   local attention in blocks, global attention in steps, as exports have it
    global   all layers with global attention in steps
    whole    local attention in blocks, each global layer's matrix of scores at once

Memory is the highest of the process, less that after a text of 16 tokens.
"""

import argparse
import multiprocessing
import resource
import time

_KINDS = ("blocks", "global", "whole")
_MEBI = 1024


def measure(kind: str, tokens: int) -> tuple[float, float]:
    """Processor seconds and MiB of one text."""
    import numpy as np
    import tensorflow as tf

    from bert_serving import contract
    from bert_serving.encoders.architecture import build_network
    from bert_serving.encoders.modernbert import attention
    from bert_serving.encoders.modernbert.architecture import ModernBertArchitecture

    if kind == "whole":
        attention._SCORES = 2**31 - 1
    layers = tuple(kind == "global" or number % 3 == 0 for number in range(22))
    network = build_network(ModernBertArchitecture(50368, 768, 12, 1152, 8192, layers, has_pooler=True))
    specification = {name: tf.TensorSpec([None, None], tf.int32) for name in contract.TOKEN_INPUTS}
    encode = tf.function(lambda inputs: network(inputs)[contract.POOLED_OUTPUT], input_signature=[specification])

    def seconds(length: int) -> float:
        ids = tf.constant(np.random.default_rng(0).integers(3, 50000, (1, length)), tf.int32)
        inputs = dict(zip(contract.TOKEN_INPUTS, (ids, tf.ones_like(ids), tf.zeros_like(ids)), strict=True))
        start = time.process_time()
        encode(inputs).numpy()
        return time.process_time() - start

    seconds(16)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken = seconds(tokens)
    return taken, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / _MEBI


def main() -> None:
    """Prints a line for each kind and length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 8192])
    parser.add_argument("--kinds", choices=_KINDS, nargs="+", default=_KINDS)
    arguments = parser.parse_args()
    for tokens in arguments.tokens:
        for kind in arguments.kinds:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, memory = pool.apply(measure, (kind, tokens))
            print(f"{kind:8} {tokens:6} tokens {seconds:7.1f} s {memory:7.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
