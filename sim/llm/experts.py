"""How many different experts a batch touches."""

from __future__ import annotations

from math import expm1, log1p


def distinct_experts(num_experts: int, num_experts_per_token: int, tokens: float) -> float:
    """Expected number of distinct routed experts that `tokens` tokens hit in one layer.

    Parameters
    ----------
    num_experts, num_experts_per_token : E and K, with 0 <= K <= E.
    tokens : tokens in the batch, B >= 0.

    Returns
    -------
    E * (1 - (1 - K/E)^B): routing is uniform and independent per token, which makes it an upper bound for real routing.
    Checked: E = 256, K = 8, B = 64 gives 222.4425; E = 8, K = 2, B = 8 gives 7.199.
    """
    if num_experts == 0:
        return 0.0
    if num_experts_per_token == num_experts:
        return float(num_experts) if tokens > 0 else 0.0
    # expm1 keeps tiny batches exact where 1 - (1 - x) would cancel.
    return -num_experts * expm1(tokens * log1p(-num_experts_per_token / num_experts))
