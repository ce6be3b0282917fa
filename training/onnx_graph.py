"""From a torch model to the ONNX graph that the CPU runs: products with weights in 8-bit integers, the rest in fp32.

Every token's vector is quantised by a scale of its own when it is computed, every column of a matrix by one of its own
beforehand. ONNX Runtime's dynamic quantisation has one scale for all tokens of a batch: its scores are twice as far
from those in fp32, and it is no faster (training/LOG.md).
"""

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from transformers import PreTrainedModel

# Smaller tensors (biases, norms) are kept as they are: together they are 0.1 % of the weights.
_HALVED_FROM: Final = 4096
# ONNX Runtime's own operators: its product of integers scales the result on the way out, which saves a pass.
_RUNTIME: Final = "com.microsoft"
_MATRIX_AXES: Final = 2
# 255 * 128 fits into 16 bits with a sign; two weights that are rounded up may add 1.
_PAIR_MAX: Final = 127.0
_ZERO_POINT: Final = 128
# Of a row or column of zeros.
_LEAST_SCALE: Final = 1e-9


# It warns of four operators of torchvision, which no text encoder has.
logging.getLogger("torch.onnx._internal.exporter._registration").addFilter(
    lambda record: "torchvision" not in record.getMessage()
)


class _Logits(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def write_onnx(model: PreTrainedModel, path: Path, *, quantised: bool = True) -> None:
    """Write the graph of a fine-tuned encoder, `quantised` or all in fp32; see `write_graph`.

    Its weights should be fp16 values already.
    """
    # The eager attention is the form that ONNX Runtime fuses best: 245 against 230 sentences a second with sdpa.
    model.set_attn_implementation("eager")
    graph = traced(_Logits(model))
    if quantised:
        quantise(graph)
    write_graph(graph, path)


def traced(module: torch.nn.Module) -> onnx.ModelProto:
    """The graph from `input_ids` and `attention_mask`, shape (batch, tokens), to `logits`, shape (batch, 3)."""
    ids = torch.ones((2, 16), dtype=torch.long)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = Path(folder) / "model.onnx"
        torch.onnx.export(
            module,
            (ids, torch.ones_like(ids)),
            exported,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes={"input_ids": axes, "attention_mask": axes},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        graph = onnx.load(exported)
    _strip_traces(graph)
    return graph


def write_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Write a graph, its large fp32 weights rounded to fp16."""
    store_in_half(graph)
    data = path.with_name(f"{path.name}.data")
    data.unlink(missing_ok=True)  # onnx would append to it
    # Beside the graph, not in it: ONNX Runtime maps the file, and scoring one article takes 30 MB less memory.
    onnx.save(graph, path, save_as_external_data=True, location=data.name, size_threshold=_HALVED_FROM)
    onnx.checker.check_model(path)


def quantise(model: onnx.ModelProto) -> None:
    """Turn products of activations with large weight matrices into 8-bit ones, in place.

    Row r of the activations becomes q = round(x / s_r) + 128 with s_r = max|x| / 127, column c of a matrix w becomes
    round(w / s_c) with s_c from `_column_scales`, and the product (q - 128) w is scaled back by s_r and s_c.
    """
    graph = model.graph
    large = (one for one in graph.initializer if np.prod(one.dims) >= _HALVED_FROM)
    weights = {one.name: one for one in large if len(one.dims) == _MATRIX_AXES}
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, onnx.TensorProto] = {}
    quantised: set[str] = set()

    def constant(name: str, value: Any, dtype: Any) -> str:
        constants[name] = numpy_helper.from_array(np.asarray(value, dtype), name)
        return name

    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            nodes.append(node)
            continue
        x, w = node.input
        matrix = numpy_helper.to_array(weights[w]).astype(np.float32)
        if x not in quantised:
            quantised.add(x)
            nodes += _quantised_rows(x, matrix.shape[0], constant)
        scale = _column_scales(matrix)
        operands = [
            f"{x}_q",
            constant(f"{w}_q", np.round(matrix / scale), np.int8),
            constant("one", 1, np.float32),
            constant(f"{w}_scale", scale, np.float32),
            constant("zero_point", _ZERO_POINT, np.uint8),
        ]
        product = f"{node.output[0]}_unscaled"
        nodes.append(helper.make_node("MatMulIntegerToFloat", operands, [product], domain=_RUNTIME))
        nodes.append(helper.make_node("Mul", [product, f"{x}_scale"], list(node.output)))
    used = {name for node in nodes for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    for part, content in (
        (graph.initializer, [*kept, *constants.values()]),
        (graph.node, nodes),
        (graph.value_info, []),
    ):
        del part[:]
        part.extend(content)
    if quantised:
        model.opset_import.append(helper.make_opsetid(_RUNTIME, 1))


def _column_scales(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The finest scales that keep 8-bit products right on processors with AVX2 but no VNNI, shape (columns,).

    These multiply the activations of rows 2i and 2i + 1, up to 255, by their weights and add the two in 16 bits. So two
    weights of one sign must not exceed 128 together: on 400 news sentences scores are 0.0027 off on average, against
    0.0032 with weights of 7 bits, and 0.0033 with weights of 8 bits that overflow.
    """
    even, odd = matrix[0::2], np.resize(matrix[1::2], matrix[0::2].shape)
    sums = np.where(even * odd > 0, np.abs(even + odd), 0).max(axis=0)
    largest = np.maximum(sums, np.abs(matrix).max(axis=0))
    scales: npt.NDArray[np.float32] = np.maximum(largest / _PAIR_MAX, _LEAST_SCALE)
    return scales


def _quantised_rows(x: str, columns: int, constant: Callable[[str, Any, Any], str]) -> list[onnx.NodeProto]:
    """Nodes that make `{x}_q`, the rows of x in 8 bits, and `{x}_scale`, their scales."""
    last = constant("last_axis", [-1], np.int64)
    flat = constant(f"rows_of_{columns}", [-1, columns], np.int64)
    least, share = constant("least_scale", _LEAST_SCALE, np.float32), constant("share", 1 / 127, np.float32)
    zero = constant("zero_point", _ZERO_POINT, np.uint8)
    return [
        helper.make_node("Abs", [x], [f"{x}_abs"]),
        helper.make_node("ReduceMax", [f"{x}_abs", last], [f"{x}_max"], keepdims=1),
        helper.make_node("Mul", [f"{x}_max", share], [f"{x}_any_scale"]),
        helper.make_node("Max", [f"{x}_any_scale", least], [f"{x}_scale"]),
        # QuantizeLinear has one scale a row only where rows are the first axis.
        helper.make_node("Reshape", [x, flat], [f"{x}_flat"]),
        helper.make_node("Reshape", [f"{x}_scale", last], [f"{x}_scales"]),
        helper.make_node("Shape", [f"{x}_scales"], [f"{x}_rows"]),
        helper.make_node("Expand", [zero, f"{x}_rows"], [f"{x}_zeros"]),
        helper.make_node("QuantizeLinear", [f"{x}_flat", f"{x}_scales", f"{x}_zeros"], [f"{x}_flat_q"], axis=0),
        helper.make_node("Shape", [x], [f"{x}_shape"]),
        helper.make_node("Reshape", [f"{x}_flat_q", f"{x}_shape"], [f"{x}_q"]),
    ]


def _strip_traces(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: stack traces, with the paths of the machine that it ran on."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""


def store_in_half(model: onnx.ModelProto) -> None:
    """Turn large fp32 weights into fp16 ones, each followed by a cast back, in place.

    ONNX Runtime folds the casts of matrices when it loads the graph. The cast of an embedding table goes behind its
    lookup, so that the table stays in half precision in memory too.
    """
    graph = model.graph
    casts: list[onnx.NodeProto] = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _HALVED_FROM:
            continue
        users = [node for node in graph.node if weight.name in node.input]
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name)
        weight.CopyFrom(half)
        if all(node.op_type == "Gather" and node.input[0] == weight.name for node in users):
            for node in users:
                looked_up = node.output[0]
                node.output[0] = f"{looked_up}_half"
                casts.append(helper.make_node("Cast", [node.output[0]], [looked_up], to=TensorProto.FLOAT))
        else:
            restored = f"{weight.name}_single"
            casts.append(helper.make_node("Cast", [weight.name], [restored], to=TensorProto.FLOAT))
            for node in users:
                node.input[:] = [restored if name == weight.name else name for name in node.input]
    _insert(graph, casts)


def _insert(graph: onnx.GraphProto, casts: list[onnx.NodeProto]) -> None:
    """Put each cast behind the node that it reads from, so that the graph stays in topological order."""
    behind = {node.input[0]: node for node in casts}
    ordered = [node for node in casts if not any(node.input[0] in other.output for other in graph.node)]
    for node in graph.node:
        ordered.append(node)
        ordered += [behind[name] for name in node.output if name in behind]
    del graph.node[:]
    graph.node.extend(ordered)
