"""What the comparison prints, and the same as data for --json."""

import statistics

from contenders import Contender
from measure import Outcome, Timing
from problems import Problem

MARK = "*"
POINT = 0.01
LEGEND = """ms: median over the rounds    % peak: of float32 multiply-add    GB/s: of keys and values
ratio: time over that of attention_cpp, within a round    CPUs: busy ones, those that only wait included
error: the largest against float64    *: materialises the weights"""


def header(
    cpu: str, flags: list[str], threads: int, commit: str, contenders: list[Contender], peak: dict | None
) -> str:
    """The machine, the versions and the limits."""
    lines = [f"CPU      {cpu} ({', '.join(flags)})", f"threads  {threads}", f"commit   {commit}"]
    lines += [f"{'peers' if i == 0 else '':9}{each.name} {each.version}" for i, each in enumerate(contenders)]
    if peak:
        lines.append(
            f"peak     {peak['fma_gflops']:.0f} GFLOP/s by {peak['isa']}; memory is read at"
            f" {peak['read_gb_per_s']:.0f} GB/s"
        )
    return "\n".join(lines)


def materialises(contender: Contender, problem: Problem) -> bool:
    """Whether it materialises the weights; those of a single query are no matrix."""
    return problem.L > 1 and contender.materialises["causal" if problem.causal else "full"]


def table(outcome: Outcome) -> str:
    """The table of one problem."""
    problem = outcome.problem
    peak = f"   (peak {outcome.peak:.0f} GFLOP/s)" if outcome.peak else ""
    lines = [f"{problem.label}{peak}"]
    bandwidth = f"{'GB/s':>8}" if problem.L == 1 else ""
    lines.append(
        f"  {'':17}{'ms':>10}{'GFLOP/s':>10}{'% peak':>8}{bandwidth}{'ratio':>8}{'CPUs':>7}{'error':>10}"
    )
    lines += [row(outcome, timing) for timing in outcome.timings]
    lines += [f"  {name:17}left out: {reason}" for name, reason in outcome.left_out.items()]
    return "\n".join(lines)


def row(outcome: Outcome, timing: Timing) -> str:
    """The line of one contender."""
    problem = outcome.problem
    gflops = problem.operations / timing.median * 1e-9
    share = f"{100 * gflops / outcome.peak:.1f}" if outcome.peak else "-"
    bandwidth = f"{problem.key_value_bytes / timing.median * 1e-9:8.1f}" if problem.L == 1 else ""
    ratio = outcome.ratio(timing)
    name = timing.contender.name + (MARK if materialises(timing.contender, problem) else "")
    return (
        f"  {name:17}{timing.median * 1e3:10.4g}{gflops:10.1f}{share:>8}{bandwidth}"
        f"{f'{ratio:.2f}' if ratio else '-':>8}"
        f"{statistics.median(timing.busy_cpus):7.1f}{timing.error:10.1e}"
    )


def standing(outcome: Outcome) -> dict | None:
    """The best peer of a problem, how many times as long it takes, and whether this library is ahead."""
    ratios = {
        timing.contender.name: outcome.ratio(timing)
        for timing in outcome.timings
        if timing.contender.name != "attention_cpp"
    }
    ratios = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if not ratios:
        return None
    best = min(ratios, key=lambda name: ratios[name])
    return {"best_peer": best, "ratio": ratios[best], "verdict": verdict(ratios[best])}


def verdict(ratio: float) -> str:
    """In words, as of the bars of attention_bench: within one point of the peer is no lead."""
    if abs(ratio - 1) <= POINT:
        return "level"
    return "ahead" if ratio > 1 else "behind"


def standings(outcomes: list[Outcome]) -> str:
    """For each problem, the best peer and whether this library is ahead of it; then the verdict."""
    width = max(len(outcome.problem.label) for outcome in outcomes)
    lines = ["against the best peer of each problem; ratio: its time over that of attention_cpp"]
    found = [(outcome.problem.label, standing(outcome)) for outcome in outcomes]
    for label, where in found:
        if where is None:
            lines.append(f"  {label:{width}}  no peer")
        else:
            lines.append(f"  {label:{width}}  {where['best_peer']:17}{where['ratio']:6.2f}  {where['verdict']}")
    compared = [where for _, where in found if where]
    ahead = sum(where["verdict"] == "ahead" for where in compared)
    if compared and ahead == len(compared):
        lines.append("ahead everywhere")
    elif compared:
        lines.append(f"ahead in {ahead} of {len(compared)}")
    return "\n".join(lines)


def memory_table(growths: dict[str, dict[str, float | None]], contenders: list[Contender]) -> str:
    """The measured growth of memory in one call, by contender and length."""
    lines = ["peak memory of one call at H1 D64, output included, MiB", f"  {'':24}{'full':>10}{'causal':>10}"]
    by_name = {contender.name: contender for contender in contenders}
    for label, growth in growths.items():
        cells = ""
        for mode, mib in growth.items():
            mark = MARK if by_name[label.split()[0]].materialises[mode] else " "
            cells += f"{'failed' if mib is None else f'{mib:.1f}{mark}':>10}"
        lines.append(f"  {label:24}{cells}")
    return "\n".join(lines)


def data_of(outcome: Outcome) -> dict:
    """One problem for --json, with every round."""
    problem = outcome.problem
    return {
        "problem": {
            "group": problem.group, "B": 1, "H": problem.H, "L": problem.L, "S": problem.S, "D": problem.D,
            "causal": problem.causal, "operations": problem.operations
        },
        "peak_gflops": outcome.peak,
        "left_out": outcome.left_out,
        "standing": standing(outcome),
        "contenders": {timing.contender.name: timing_data(outcome, timing) for timing in outcome.timings},
    }


def timing_data(outcome: Outcome, timing: Timing) -> dict:
    """One contender of one problem for --json."""
    gflops = outcome.problem.operations / timing.median * 1e-9
    return {
        "median_ms": timing.median * 1e3,
        "gflops": gflops,
        "share_of_peak": gflops / outcome.peak if outcome.peak else None,
        "ratio": outcome.ratio(timing),
        "max_error": timing.error,
        "repetitions": timing.repetitions,
        "round_ms": [seconds * 1e3 for seconds in timing.seconds],
        "busy_cpus": timing.busy_cpus,
        "materialises": materialises(timing.contender, outcome.problem),
    }
