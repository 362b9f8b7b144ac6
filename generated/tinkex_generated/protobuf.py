# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The field numbers of the protobuf messages, and the numbers of their enums."""


class ForwardBackwardRequest:
    model_id = 1
    seq_id = 2
    data = 3
    loss_fn = 4
    loss_fn_config = 5
    forward_only = 6
    loss_fn_config_v2 = 7


class LossConfigValue:
    number = 1
    text = 2


class Datum:
    model_input = 1
    loss_fn_inputs = 2
    model_input_spans = 3
    loss_fn_input_spans = 4


class ProvenanceSpan:
    prompt_tokens = 1
    sampled_tokens = 2


class PromptProvenanceSpan:
    sequence_id = 1
    offset = 2
    length = 3


class SampledProvenanceSpan:
    sequence_id = 1
    offset = 2
    length = 3


class Chunk:
    encoded_text = 1
    image = 2
    dmel = 3


class EncodedTextChunk:
    tokens = 1


class ImageChunk:
    data = 1
    format = 2
    expected_tokens = 3
    override_dimensions = 4


class ImageDimensions:
    width = 1
    height = 2


class DmelChunk:
    dmel = 1


class Tensor:
    dense = 1
    sparse_csr = 2
    dtype = 3
    shape = 4


class SparseCsr:
    values = 1
    crow_indices = 2
    col_indices = 3


class DType:
    DTYPE_UNSPECIFIED = 0
    DTYPE_FLOAT32 = 1
    DTYPE_INT64 = 2
    DTYPE_INT32 = 3
    DTYPE_BFLOAT16 = 4


class ForwardBackwardOutput:
    loss_fn_output_type = 1
    loss_fn_outputs = 2
    metrics = 3


class ArrayRecord:
    type_tag = 1
    fields = 2
    num_datums = 3


class BatchedTensor:
    data = 1
    offsets = 2
    dtype = 3
    trailing_shape = 4


class SampleResponse:
    sequences = 1
    prompt_logprobs = 2
    topk_prompt_logprobs = 3
    prompt_cache_hit_tokens = 4
    target_prompt_logprobs = 5
    prompt_alt_tokens = 6


class SampledSequence:
    stop_reason = 1
    tokens = 2
    logprobs = 3
    topk_sampled_logprobs = 4


class StopReason:
    STOP_REASON_STOP = 0
    STOP_REASON_LENGTH = 1


class TopkLogprobs:
    token_ids = 1
    logprobs = 2
    k = 3
    length = 4


class PromptAltTokens:
    tokens = 1
    logprobs = 2
