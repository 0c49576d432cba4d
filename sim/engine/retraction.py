"""Who gives way when decoding lacks blocks, by engine and policy."""

from __future__ import annotations

from collections.abc import Iterable

from sim.engine.plan import EngineLimits
from sim.engine.request import Request, State, output_tokens


def gives_way(limits: EngineLimits, running: dict[Request, None], step: int) -> Request:
    """The running request that is put back, in the order of the engine.

    vLLM and TensorRT-LLM (MAX_UTILIZATION): the newest; under the policy `priority` the one of the lowest class, and of
    these the last to arrive. SGLang: of the decoding requests the one with fewest output tokens, then with the longest
    prompt, then the newest (`ScheduleBatch.retract_decode`), under `priority` the lowest class first; the newest prompt
    only where nobody decodes. SGLang would end the last decoding request with an error instead.
    """
    if limits.scheduler == "sglang":
        decoding = [request for request in reversed(running) if request.state is State.DECODE]
        if decoding:
            by_class = limits.scheduling_policy == "priority"
            return min(
                decoding,
                key=lambda one: (-one.priority if by_class else 0, output_tokens(one, step), -one.input_tokens),
            )
    elif limits.scheduling_policy == "priority":
        return max(running, key=_class_and_arrival)
    return next(reversed(running))


def displaced(running: Iterable[Request], urgent: Request, threshold: int) -> list[Request]:
    """Running requests that a waiting one may displace, in the order in which they go: lowest class, newest first."""
    lower = [request for request in running if request.priority - urgent.priority > threshold]
    return sorted(lower, key=_class_and_arrival, reverse=True)


def _class_and_arrival(request: Request) -> tuple[int, int]:
    return request.priority, request.ticket
