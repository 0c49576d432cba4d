"""The answer of a result in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from sim.report.figures import duration, listed, metric_figure, number, plain_number, plural
from sim.report.headline import limits_words
from sim.report.sections import FATES
from sim.report.tenants import tenant_sentence, worst_tenant
from sim.simulation.infeasible import Infeasible
from sim.study.metric import Metric
from sim.study.result import Result

WORTH_SAYING: Final = 0.01  # share of requests that go wrong before the headline says so
Level = Literal["good", "open", "bad"]
REASONS: Final = {
    "does_not_fit": "Does not fit",
    "does_not_start": "Does not start",
    "no_room_for_requests": "No room for requests",
    "request_too_long": "Requests too long",
    "over_capacity": "Over capacity",
    "empty_workload": "No load",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer.

    Attributes
    ----------
    level : `good`: inside the service level; `bad`: not, or it cannot work, or nothing completed; `open`: the interval
        holds the target, there is none, nothing was measured, or the level holds but requests were lost.
    title : a few words.
    sentence : the answer with its figure.
    fix : the smallest thing that would work; empty unless something does not.
    """

    level: Level
    title: str
    sentence: str
    fix: str = ""


def verdict(result: Result) -> Verdict:
    """The verdict of a result: what happened to the requests first, then the service level."""
    lost = losses(result.counts)
    if result.infeasible is not None:
        found = reason_verdict(result.infeasible)
        return replace(found, title=f"{found.title}, and {listed(lost)}") if lost else found
    if nothing := _nothing(result):
        return nothing
    judged = _judged(result)
    if not lost:
        return judged
    level: Level = "bad" if judged.level == "bad" or _mostly_lost(result) else "open"
    return Verdict(level, f"Fits, but {listed(lost)}", f"{judged.sentence} {_counted(result)}".strip())


def losses(counts: Mapping[str, int]) -> list[str]:
    """What went wrong with more than 1 % of the requests or attempts, as `12 % of requests failed`."""
    attempted = counts.get("attempted", 0)
    if attempted and not counts.get("completed", attempted):
        return ["nothing completed"]
    failed, abandoned, refused = (counts.get(name, 0) for name in ("failed", "abandoned", "refused"))
    how = " or ".join(word for word, count in (("failed", failed), ("were abandoned", abandoned)) if count)
    attempts = attempted + counts.get("retries", 0)
    shares = (
        (failed + abandoned, attempted, f"of requests {how}"),
        (refused, attempted, "of requests were refused as too long"),
        (counts.get("timeouts", 0), attempts, "of attempts timed out"),
        (counts.get("throttled", 0), attempts, "of attempts were over a tenant's limit"),
    )
    return [
        f"{_percent(part / total)} {words}" for part, total, words in shares if total and part > WORTH_SAYING * total
    ]


def _judged(result: Result) -> Verdict:
    """The service level alone."""
    attainment = _attainment(result)
    target = result.scenario.slo.attainment_frac
    worst = worst_tenant(result)
    limits, tenants = limits_words(result.scenario), ", or those of its tenant" if worst is not None else ""
    if not limits and result.scenario.workload.has_limits:
        limits, tenants = "those of each tenant", ""
    shown = metric_figure(attainment)
    if not limits:
        return Verdict("open", "Fits and keeps up", f"No service level is set; {shown.text} of requests completed.")
    within = f"the service level ({limits}{tenants}), the target being {plain_number(100 * target)} %"
    if attainment.value is None:
        return Verdict("open", "Nothing was measured", f"How many requests met {within}, cannot be said: {shown.note}.")
    low = attainment.value if attainment.low is None else attainment.low
    high = attainment.value if attainment.high is None else attainment.high
    sentence = f"{shown.text} of requests met {within}."
    if low >= target:
        good = Verdict("good", "Fits, keeps up, meets the service level", sentence)
        return _by_tenant(result, good, target) or good
    if high < target:
        return Verdict("bad", "Fits and keeps up, but misses the service level", sentence)
    return Verdict(
        "open", "Fits and keeps up, at the edge of the service level", f"{sentence} The interval holds the target."
    )


def _by_tenant(result: Result, good: Verdict, target: float) -> Verdict | None:
    """The verdict where all requests together meet the target and those of one tenant do not."""
    worst = worst_tenant(result)
    if worst is None:
        return None
    name, share, value = worst
    low = value if share.low is None else share.low
    high = value if share.high is None else share.high
    sentence = f"{good.sentence} {tenant_sentence(name, share, target)}"
    if high < target:
        return Verdict("bad", f"Fits and keeps up, but misses the service level of {name}", sentence)
    if low < target:
        title = f"Fits and keeps up, at the edge of the service level of {name}"
        return Verdict("open", title, f"{sentence} The interval holds the target.")
    return None


def _nothing(result: Result) -> Verdict | None:
    """The verdict where no request completed, or none of those measured."""
    counts = result.counts
    attempted, completed = counts.get("attempted", 0), counts.get("completed", 0)
    if "completed" in counts and attempted and not completed:
        sentence = f"None of {plural(attempted, 'request')} completed: {_counted(result)}"
        up = next((item for item in result.metrics if item.metric == "available_frac"), None)
        if up is not None and up.value is not None and up.value < 1.0:
            sentence += f" Replicas were available for {metric_figure(up).text} of the time."
        return Verdict("bad", "Nothing completed", sentence)
    if "measured" not in counts or counts["measured"]:
        return None
    warmup_s = result.scenario.run.warmup_s
    if not attempted:
        return Verdict("open", "Nothing was measured", "No request arrived, so there is nothing to judge.")
    return Verdict(
        "open",
        "Nothing was measured",
        f"{plural(completed, 'request')} of {attempted:,} completed, but none of those that arrived after the warm-up "
        f"of {duration(warmup_s)}: no latency and no service level can be judged. Shorten run.warmup_s, or simulate "
        "more.",
    )


def _mostly_lost(result: Result) -> bool:
    """Whether more requests were lost than the target allows, or most attempts timed out."""
    counts = result.counts
    attempted = counts.get("attempted", 0)
    lost = sum(counts.get(name, 0) for name in ("failed", "abandoned", "refused"))
    allowed = (1.0 - result.scenario.slo.attainment_frac) * attempted
    return lost > allowed or counts.get("timeouts", 0) > 0.5 * (attempted + counts.get("retries", 0))


def _counted(result: Result) -> str:
    """The fates other than completion, and the timeouts, in numbers; empty where there are none."""
    counts = result.counts
    words = [f"{counts[name]:,} {name}" for name in FATES if name != "completed" and counts.get(name)]
    if timeouts := counts.get("timeouts", 0):
        attempts = counts.get("attempted", 0) + counts.get("retries", 0)
        words.append(f"{timeouts:,} of {plural(attempts, 'attempt')} timed out")
    return f"{listed(words)[:1].upper()}{listed(words)[1:]}." if words else ""


def _percent(share: float) -> str:
    """A share above 1 %; never rounded up to all."""
    text = number(100.0 * share)
    return f"{text} %" if share == 1.0 or text != "100" else "almost 100 %"


def reason_verdict(reason: Infeasible) -> Verdict:
    """The verdict on something that cannot work."""
    return Verdict("bad", REASONS[reason.kind], reason.problem, reason.smallest)


def _attainment(result: Result) -> Metric:
    for metric in result.metrics:
        if metric.metric == "slo_attainment_frac":
            return metric
    return Metric(result.scenario.name, "slo_attainment_frac", "fraction", None, note="it was not measured")
