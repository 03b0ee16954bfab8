"""Attention as a function, with the names and defaults of ``torch.nn.functional``."""

from __future__ import annotations

from typing import Any

from . import _core
from ._options import check_flag, check_integer, check_number, check_pair, check_text


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    return_weights: bool = False,
    return_lse: bool = False,
    causal_alignment: str | None = None,
    causal_offset: int | None = None,
    window: tuple[int, int] | None = None,
    softcap: float = 0.0,
    alibi_slopes: Any = None,
    sinks: Any = None,
    key_lengths: Any = None,
    out: Any = None,
    path: str = "automatic",
    isa: str | None = None,
    threads: int = 0,
) -> Any:
    """Computes ``softmax(scale * query @ key.T) @ value``.

    Up to ``enable_gqa`` the parameters are those of ``torch.nn.functional.scaled_dot_product_attention``;
    the keyword options go beyond it.

    Args:
        query: (..., H, L, E), of 2 to 6 dimensions; float32, float64, float16 or bfloat16.
        key: (..., S, E). Dimensions before the last two are broadcast.
        value: (..., S, Ev).
        attn_mask: broadcasts to (..., H, L, S). Bools: True attends. Floating-point numbers are added to
            the scores, and minus infinity blocks.
        dropout_p: must be 0 until training lands.
        is_causal: query i sees keys up to i + offset. An error together with ``attn_mask``.
        scale: 1 / sqrt(E) unless given.
        enable_gqa: H is a multiple of the key's heads; each serves a group of query heads.
        return_weights: also return the weights (..., H, L, S) after the softmax.
        return_lse: also return the logarithm (..., H, L) of each softmax's denominator.
        causal_alignment: ``"top_left"`` (offset 0, torch's meaning and the default of ``is_causal``) or
            ``"bottom_right"`` (offset S - L, FlashAttention's meaning). Windows and ALiBi count from
            there too, and need it when L != S.
        causal_offset: the offset itself: the number of keys before the first query, as in a KV cache.
        window: (left, right): a query at position p sees keys p - left to p + right; -1 is no bound.
        softcap: scores become softcap * tanh(scores / softcap); 0 leaves them as they are.
        alibi_slopes: (H,): adds -slope * |i + offset - j| to the scores.
        sinks: (H,): a logit that takes part in the softmax of every row, and has no value.
        key_lengths: (B,), int32 or int64: keys at or past an entry's length are blocked, and not read.
        out: an array to write the output into; it is returned.
        path: ``"automatic"``, ``"fused"`` or ``"reference"``.
        isa: the instruction set of the fused path, as ``"avx2"``; by default the best, or the one that the
            environment variable ``ATTENTION_ISA`` names.
        threads: 0 takes the default (``set_num_threads``). The result does not depend on it.

    Returns:
        The output (..., H, L, Ev) in the query's kind of array; or a tuple (output, weights),
        (output, lse) or (output, weights, lse), as asked for. A row that sees no key is 0.

    Raises:
        TypeError: an argument is no CPU array, has a dtype that does not fit, or requires a gradient.
        ValueError: shapes or options break a rule, or ``out`` is read-only or overlaps an input.

    Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1.
    """
    function = "scaled_dot_product_attention"
    check_flag(function, "is_causal", is_causal)
    check_flag(function, "enable_gqa", enable_gqa)
    check_number(function, "scale", scale, optional=True)
    check_number(function, "softcap", softcap)
    check_text(function, "causal_alignment", causal_alignment, optional=True)
    check_integer(function, "causal_offset", causal_offset, optional=True)
    check_pair(function, "window", window)
    check_text(function, "path", path)
    check_text(function, "isa", isa, optional=True)
    check_integer(function, "threads", threads)
    if dropout_p != 0.0:
        raise ValueError(f"{function}: dropout_p must be 0 until training lands; found {dropout_p}")
    if attn_mask is not None and is_causal:
        raise ValueError(f"{function}: attn_mask must be None when is_causal is True; found both")
    if causal_alignment is not None and causal_offset is not None:
        raise ValueError(f"{function}: give causal_alignment or causal_offset; found both")
    if is_causal and causal_alignment is None and causal_offset is None:
        causal_alignment = "top_left"
    result, weights, lse = _core.sdpa(
        query,
        key,
        value,
        attn_mask=attn_mask,
        is_causal=bool(is_causal),
        scale=scale,
        enable_gqa=bool(enable_gqa),
        return_weights=return_weights,
        return_lse=return_lse,
        causal_alignment=causal_alignment,
        causal_offset=causal_offset,
        window=(-1, -1) if window is None else tuple(window),
        softcap=softcap,
        alibi_slopes=alibi_slopes,
        sinks=sinks,
        key_lengths=key_lengths,
        out=out,
        path=path,
        isa=isa,
        threads=threads,
    )
    if out is not None:
        result = out
    wanted = (result, *([weights] if return_weights else []), *([lse] if return_lse else []))
    return wanted if len(wanted) > 1 else result
