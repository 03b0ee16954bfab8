"""Attention as modules: those of the tutorials, and torch.nn.MultiheadAttention's twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._core import Generator


def _copied(array: Any) -> NDArray[Any]:
    """A copy as NumPy sees it; tensors may require a gradient, and have any floating dtype."""
    if hasattr(array, "detach"):
        array = array.detach()
        array = (array.float() if array.is_floating_point() else array).numpy()
    return np.array(array)


def _load(parameters: Mapping[str, NDArray[np.float32]], state: Mapping[str, Any], owner: str) -> None:
    """Copies `state` into `parameters`: all of it, or (after an error) nothing."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{owner}: the state must be a mapping of names to arrays; found {type(state).__name__}")
    arrays = {name: _copied(array) for name, array in state.items()}
    missing = sorted(parameters.keys() - arrays.keys())
    unknown = sorted(arrays.keys() - parameters.keys())
    if missing or unknown:
        raise ValueError(
            f"{owner}: the parameters must be {', '.join(parameters)}; "
            f"found {len(missing)} missing {missing}, {len(unknown)} unknown {unknown}"
        )
    for name, array in arrays.items():
        if array.shape != parameters[name].shape:
            raise ValueError(
                f"{owner}: {name} must have the shape {parameters[name].shape}; found {array.shape}"
            )
        if array.dtype.kind != "f":
            raise TypeError(f"{owner}: {name} must hold floating-point numbers; found {array.dtype}")
    for name, array in arrays.items():
        parameters[name][...] = array


class ScaledDotProductAttention:
    """``softmax(query @ key.T / sqrt(D)) @ value``, and the weights beside it."""

    def forward(
        self, query: Any, key: Any, value: Any, mask: Any = None, *, scale: float | None = None
    ) -> tuple[Any, Any]:
        """Returns (output, attention_weights).

        Args:
            query: (L, D), (B, L, D) or (B, H, L, D), float32.
            key: (..., S, D), of the same rank.
            value: (..., S, Dv).
            mask: (L, S), (B, L, S) or (B, H, L, S), of any dtype: 0 blocks, 1 keeps. A row that sees no
                key gives output 0 and weights 0.
            scale: 1 / sqrt(D) unless given.

        Raises:
            TypeError: an argument is no CPU array of float32.
            ValueError: shapes do not fit, or the mask holds a value other than 0 and 1.
        """
        return _core.attend(query, key, value, mask, scale)

    __call__ = forward


class MultiHeadAttention(_core.MultiHeadAttention):
    """The module of the tutorials: W_q, W_k, W_v, W_o, batch first, weights for each head.

    The same seed gives the parameters of four ``torch.nn.Linear`` made in the order W_q, W_k, W_v, W_o,
    bit for bit (``initialisation="torch_mha"``: of ``torch.nn.MultiheadAttention``).

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        kdim: int | None = None,
        vdim: int | None = None,
        bias: bool = True,
        initialisation: str = "torch_linear",
        generator: Generator | None = None,
    ) -> None:
        """Raises ValueError unless num_heads divides embed_dim and all sizes are positive."""
        super().__init__(embed_dim, num_heads, kdim, vdim, bias, False, False, True, initialisation, generator)

    def forward(self, query: Any, key: Any, value: Any, mask: Any = None) -> tuple[Any, Any]:
        """Returns (output (B, L, E), attention_weights (B, H, L, S)).

        Args:
            query: (B, L, E), float32.
            key: (B, S, kdim).
            value: (B, S, vdim).
            mask: as in ScaledDotProductAttention.forward.
        """
        return super().forward(query, key, value, mask)

    __call__ = forward

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """W_q.weight, W_q.bias, ..., W_o.bias: arrays that write into the module."""
        return super().parameters()

    def load_parameters(self, state: Mapping[str, Any]) -> None:
        """Copies arrays with the names and shapes of ``parameters()``. Nothing is changed by an error."""
        _load(self.parameters(), state, "MultiHeadAttention")

    @classmethod
    def from_linears(cls, num_heads: int, W_q: Any, W_k: Any, W_v: Any, W_o: Any) -> MultiHeadAttention:
        """A module with the parameters of four ``torch.nn.Linear`` (anything with weight and bias)."""
        embed_dim, kdim, vdim = (layer.weight.shape[1] for layer in (W_o, W_k, W_v))
        layers = {"W_q": W_q, "W_k": W_k, "W_v": W_v, "W_o": W_o}
        with_bias = [layer.bias is not None for layer in layers.values()]
        if any(with_bias) != all(with_bias):
            raise ValueError("MultiHeadAttention: all four layers must have a bias, or none; found some")
        module = cls(embed_dim, num_heads, kdim=kdim, vdim=vdim, bias=all(with_bias), generator=Generator())
        state = {f"{name}.weight": layer.weight for name, layer in layers.items()}
        if all(with_bias):
            state |= {f"{name}.bias": layer.bias for name, layer in layers.items()}
        module.load_parameters(state)
        return module


class MultiheadAttention(_core.MultiHeadAttention):
    """The twin of ``torch.nn.MultiheadAttention``: its arguments, its masks, its parameters.

    The same seed gives torch's parameters (bias_k and bias_v within 4 ulp, all others bit for bit).
    ``dropout`` must be 0 until training lands.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Raises ValueError unless num_heads divides embed_dim and all sizes are positive."""
        if dropout != 0.0:
            raise ValueError(f"MultiheadAttention: dropout must be 0 until training lands; found {dropout}")
        super().__init__(
            embed_dim, num_heads, kdim, vdim, bias, add_bias_kv, add_zero_attn, batch_first, "torch_mha", generator
        )

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any | None]:
        """Returns (output, weights): weights (B, L, S'), (B, H, L, S') if not averaged, or None.

        Args:
            query: (L, B, E), (B, L, E) if batch_first, or (L, E) without a batch.
            key, value: likewise, of kdim and vdim features.
            key_padding_mask: (B, S). Bools: True is ignored. Numbers are added to the scores.
            attn_mask: (L, S) or (B * H, L, S). Bools: True is blocked. Numbers are added to the scores.
            is_causal: torch's hint that attn_mask is causal. Needs attn_mask, which is applied as it is.

        A query that sees no key gives weights 0 (torch: NaN).
        """
        if is_causal and attn_mask is None:
            raise ValueError("MultiheadAttention: is_causal must come with attn_mask; found None")
        return super().forward_as_torch(
            query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights
        )

    __call__ = forward

    def state_dict(self) -> dict[str, NDArray[np.float32]]:
        """The parameters under torch's names: arrays that write into the module."""
        return super().torch_parameters()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copies the state of a ``torch.nn.MultiheadAttention``. Nothing is changed by an error."""
        _load(self.state_dict(), state, "MultiheadAttention")

    @classmethod
    def from_torch(cls, module: Any) -> MultiheadAttention:
        """A module with the options and parameters of a ``torch.nn.MultiheadAttention``."""
        twin = cls(
            module.embed_dim,
            module.num_heads,
            bias=module.in_proj_bias is not None,
            add_bias_kv=module.bias_k is not None,
            add_zero_attn=module.add_zero_attn,
            kdim=module.kdim,
            vdim=module.vdim,
            batch_first=module.batch_first,
            generator=Generator(),
        )
        twin.load_state_dict(module.state_dict())
        return twin
