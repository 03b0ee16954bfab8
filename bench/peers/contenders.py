"""The library and its peers behind one interface: each prepares a call on the same NumPy arrays.

Whatever a library wants once (its own layout, a compiled model, bound inputs) is prepared outside of the
timing. Every peer computes in float32: where a library would take a narrower type, that is switched off.
"""

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import numpy as np

from problems import Arrays, aligned

Call = Callable[[], Any]


class Contender(ABC):
    """One way to compute attention. The constructor raises ImportError if the library is not installed."""

    name: str
    # Does it hold the L x S scores or weights of one head or more, for full and for causal attention?
    materialises: dict[str, bool] = {"full": False, "causal": False}
    package: str

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @property
    def version(self) -> str:
        """The version of the package."""
        return importlib.metadata.version(self.package)

    @abstractmethod
    def prepare(self, arrays: Arrays, causal: bool) -> Call:
        """A call without arguments that computes the attention."""

    def to_numpy(self, result: Any) -> np.ndarray:
        """What the call returned, as (B, H, L, D)."""
        return np.asarray(result)

    def around(self) -> AbstractContextManager:
        """What has to be in force while the call runs, entered once for many calls."""
        return nullcontext()


class AttentionCpp(Contender):
    """This library."""

    name = "attention_cpp"
    package = "attention-cpp"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import attention_cpp

        self.module = attention_cpp
        attention_cpp.set_num_threads(threads)

    def prepare(self, arrays: Arrays, causal: bool) -> Call:
        attend = self.module.scaled_dot_product_attention
        q, k, v = arrays
        return lambda: attend(q, k, v, is_causal=causal)


class Torch(Contender):
    """PyTorch with the backend that it chooses by itself."""

    name = "torch"
    package = "torch"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import torch

        self.torch = torch
        torch.set_num_threads(threads)

    def prepare(self, arrays: Arrays, causal: bool) -> Call:
        q, k, v = (self.torch.from_numpy(array) for array in arrays)
        attend = self.torch.nn.functional.scaled_dot_product_attention
        return lambda: attend(q, k, v, is_causal=causal)

    def around(self) -> AbstractContextManager:
        return self.torch.inference_mode()


class TorchMath(Torch):
    """PyTorch's plain formula."""

    name = "torch_math"
    materialises = {"full": True, "causal": True}

    def around(self) -> AbstractContextManager:
        attention = self.torch.nn.attention
        settings = ExitStack()
        settings.enter_context(super().around())
        settings.enter_context(attention.sdpa_kernel([attention.SDPBackend.MATH]))
        return settings


class OnnxRuntime(Contender):
    """ONNX Runtime: the operator Attention of ONNX opset 23."""

    name = "onnxruntime"
    package = "onnxruntime"
    materialises = {"full": True, "causal": True}

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import onnx
        import onnxruntime

        self.onnx = onnx
        self.runtime = onnxruntime

    def node(self, heads: int, causal: bool) -> Any:
        """The node of the model."""
        return self.onnx.helper.make_node("Attention", ["q", "k", "v"], ["out"], is_causal=int(causal))

    def laid_out(self, array: np.ndarray) -> np.ndarray:
        """The array as the operator wants it."""
        return array

    def to_numpy(self, result: Any) -> np.ndarray:
        return result.numpy()

    def session(self, inputs: dict[str, np.ndarray], node: Any) -> Any:
        """A session that computes the one node on inputs of these shapes."""
        helper = self.onnx.helper
        float32 = self.onnx.TensorProto.FLOAT
        values = [helper.make_tensor_value_info(name, float32, x.shape) for name, x in inputs.items()]
        out = helper.make_tensor_value_info("out", float32, inputs["q"].shape)
        opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(helper.make_graph([node], "attention", values, [out]), opset_imports=opsets)
        model.ir_version = 11  # The one that came with opset 23; the package may write a newer one.
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        return self.runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def prepare(self, arrays: Arrays, causal: bool) -> Call:
        inputs = {name: self.laid_out(x) for name, x in zip("qkv", arrays)}
        session = self.session(inputs, self.node(arrays.q.shape[1], causal))
        ort_value = self.runtime.OrtValue
        values = {name: ort_value.ortvalue_from_numpy(x) for name, x in inputs.items()}
        values["out"] = ort_value.ortvalue_from_shape_and_type(inputs["q"].shape, np.float32)
        binding = session.io_binding()
        for name in "qkv":
            binding.bind_ortvalue_input(name, values[name])
        binding.bind_ortvalue_output("out", values["out"])

        def call() -> Any:
            # The binding only points to the values' memory: this function keeps all of them alive.
            session.run_with_iobinding(binding)
            return values["out"]

        return call


class OnnxRuntimeMha(OnnxRuntime):
    """ONNX Runtime: its own operator MultiHeadAttention, on (B, L, H D)."""

    name = "onnxruntime_mha"
    materialises = {"full": False, "causal": True}

    def node(self, heads: int, causal: bool) -> Any:
        self.heads = heads
        return self.onnx.helper.make_node(
            "MultiHeadAttention", ["q", "k", "v"], ["out"], domain="com.microsoft", num_heads=heads,
            unidirectional=int(causal)
        )

    def laid_out(self, array: np.ndarray) -> np.ndarray:
        B, H, length, D = array.shape
        return aligned(array.transpose(0, 2, 1, 3).reshape(B, length, H * D))

    def to_numpy(self, result: Any) -> np.ndarray:
        out = result.numpy()
        return out.reshape(*out.shape[:2], self.heads, -1).transpose(0, 2, 1, 3)


class Jax(Contender):
    """JAX: jax.nn.dot_product_attention, compiled, on (B, L, H, D)."""

    name = "jax"
    package = "jax"
    materialises = {"full": True, "causal": True}

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import jax

        self.jax = jax

    def prepare(self, arrays: Arrays, causal: bool) -> Call:
        jax = self.jax
        inputs = [jax.device_put(aligned(x.transpose(0, 2, 1, 3))) for x in arrays]
        attend = jax.jit(lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=causal))
        compiled = attend.lower(*inputs).compile()
        return lambda: compiled(*inputs).block_until_ready()

    def to_numpy(self, result: Any) -> np.ndarray:
        return np.asarray(result).transpose(0, 2, 1, 3)


class OpenVino(Contender):
    """OpenVINO: ScaledDotProductAttention of opset 13 on the CPU."""

    name = "openvino"
    package = "openvino"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import openvino
        from openvino import opset13

        self.openvino = openvino
        self.opset = opset13
        self.core = openvino.Core()
        # float32: on a CPU with 16-bit products the default is bfloat16.
        self.settings = {
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False
        }

    def prepare(self, arrays: Arrays, causal: bool) -> Call:
        inputs = [self.opset.parameter(list(x.shape), np.float32) for x in arrays]
        node = self.opset.scaled_dot_product_attention(*inputs, causal=causal)
        model = self.openvino.Model([node], inputs, "attention")
        request = self.core.compile_model(model, "CPU", self.settings).create_infer_request()
        for index, x in enumerate(arrays):
            request.set_input_tensor(index, self.openvino.Tensor(x, shared_memory=True))

        def call() -> Any:
            request.infer()
            return request

        return call

    def to_numpy(self, result: Any) -> np.ndarray:
        return result.get_output_tensor(0).data


ALL: list[type[Contender]] = [AttentionCpp, Torch, TorchMath, OnnxRuntime, OnnxRuntimeMha, Jax, OpenVino]
