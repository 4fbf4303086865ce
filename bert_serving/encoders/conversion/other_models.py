"""Models of Hugging Face that cannot be converted: what each is, by its config.json."""

from collections.abc import Mapping
from typing import Any

from bert_serving.encoders.conversion.families import FAMILIES
from bert_serving.encoders.modernbert.architecture import MODEL_TYPE

SUPPORTED = (*FAMILIES, MODEL_TYPE)

_DECODER = "a decoder, which generates text"
_BOTH = "an encoder with a decoder, which generates text"
_IMAGES = "an image model"
_SOUND = "a model of speech"
_POSITIONS = "an encoder whose attention has relative positions"

_KINDS = {
    _DECODER: (
        "gpt2 gpt_neo gptj gpt_neox gpt_oss llama llama4 mistral mixtral qwen2 qwen2_moe qwen3 qwen3_moe gemma gemma2 gemma3 gemma3_text "
        "phi phi3 falcon bloom opt stablelm starcoder2 cohere olmo olmo2 granite mamba mpt openai-gpt ctrl deepseek_v2 deepseek_v3 smollm3"
    ),
    _BOTH: "t5 mt5 umt5 longt5 bart mbart pegasus marian m2m_100 blenderbot led prophetnet encoder-decoder switch_transformers",
    _IMAGES: "vit deit beit swin swinv2 resnet convnext convnextv2 dinov2 clip siglip blip detr segformer mobilenet_v2 efficientnet",
    _SOUND: "wav2vec2 whisper hubert wavlm speech_to_text",
    _POSITIONS: "deberta deberta-v2 mpnet xlnet",
}
_BY_TYPE = {name: kind for kind, names in _KINDS.items() for name in names.split()}
# Ends of a class in transformers, for families that are not listed.
_BY_ENDING = {
    "ForCausalLM": _DECODER,
    "LMHeadModel": _DECODER,
    "ForConditionalGeneration": _BOTH,
    "ForImageClassification": _IMAGES,
    "ForObjectDetection": _IMAGES,
    "ForAudioClassification": _SOUND,
    "ForCTC": _SOUND,
}
_TASKS = {
    "ForTokenClassification": "labels tokens, not texts",
    "ForQuestionAnswering": "finds answers in a text",
    "ForMaskedLM": "predicts hidden tokens",
    "ForPreTraining": "predicts hidden tokens",
    "ForNextSentencePrediction": "predicts whether texts belong together",
    "ForMultipleChoice": "chooses one of several texts",
}


def other_model(config: Mapping[str, Any]) -> str | None:
    """What a model of an unsupported family is; None for one that is supported, or of a family that is not known.

    >>> other_model({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}).split(";")[0]
    "model_type is 'gpt2' (GPT2LMHeadModel), a decoder, which generates text"
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type in SUPPORTED:
        return None
    names = class_names(config)
    kind = _BY_TYPE.get(model_type) or next(
        (kind for ending, kind in _BY_ENDING.items() if any(name.endswith(ending) for name in names)), None
    )
    if kind is None:
        return None
    named = f" ({', '.join(names)})" if names else ""
    return (
        f"model_type is {model_type!r}{named}, {kind}; only {', '.join(SUPPORTED)} can be converted, so fine-tune one of these on the same "
        "labeled texts"
    )


def other_task(config: Mapping[str, Any]) -> str | None:
    """What a model with another head than a classifier's does; None where its class does not tell."""
    return next(
        (task for ending, task in _TASKS.items() if any(name.endswith(ending) for name in class_names(config))), None
    )


def class_names(config: Mapping[str, Any]) -> list[str]:
    """Its classes in transformers."""
    names = config.get("architectures")
    return [str(name) for name in names] if isinstance(names, list) else []
