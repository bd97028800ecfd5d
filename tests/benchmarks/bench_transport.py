"""Time optimal transport for a whole batch against one call of POT per sample, at the paper's sizes.

Run `python tests/benchmarks/bench_transport.py`. Both ways run on one thread, take turns, and are measured in processor
time, which other programs on the machine hardly change. POT's call for one sample keeps its default precision; plans
must agree to 1e-6. The bar is 25 times at batch 256 with K = 12.
"""

import statistics
import time

import numpy as np
import ot
import torch

from facekit.rrl import transport_plans

BATCH, K, REPEATS = 256, 12, 7


def problem() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cost (K, K) and marginals (BATCH, K), float64."""
    random = torch.Generator().manual_seed(0)
    relation = torch.rand(K, K, generator=random, dtype=torch.float64)
    cost = 1.0 - (relation + relation.T) / 2
    cost.fill_diagonal_(0.0)
    weights = torch.rand(2, BATCH, K, generator=random, dtype=torch.float64).clamp(min=0.02)
    return cost, *(weights / weights.sum(dim=2, keepdim=True))


def one_by_one(cost: torch.Tensor, supply: torch.Tensor, demand: torch.Tensor, regularisation: float) -> np.ndarray:
    """One call of ``ot.sinkhorn`` per sample."""
    pairs = zip(supply.numpy(), demand.numpy(), strict=True)
    return np.stack([ot.sinkhorn(a, b, cost.numpy(), regularisation) for a, b in pairs])


def timed(function) -> tuple[float, object]:
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def main() -> None:
    torch.set_num_threads(1)
    cost, supply, demand = problem()
    print(f"batch {BATCH}, K = {K}, one thread; processor time, medians of {REPEATS} interleaved runs")
    for regularisation in (1.0, 0.1):
        whole = lambda reg=regularisation: transport_plans(cost, supply, demand, reg)  # noqa: E731
        runs = [
            (timed(whole), timed(lambda reg=regularisation: one_by_one(cost, supply, demand, reg)))
            for _ in range(REPEATS)
        ]
        together, alone = (statistics.median(run[i][0] for run in runs) for i in (0, 1))
        ratio = statistics.median(run[1][0] / run[0][0] for run in runs)
        apart = np.abs(runs[0][0][1].numpy() - runs[0][1][1]).max()
        print(
            f"regularisation {regularisation:5}: together {1e3 * together:7.1f} ms, one by one {1e3 * alone:7.1f} ms, "
            f"{ratio:5.1f} times; largest difference {apart:.1e}"
        )


if __name__ == "__main__":
    main()
