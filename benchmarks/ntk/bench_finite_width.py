"""One random network of a design: how far its kernel is from the target.

RMS over 100 angles for each network, the mean over networks and the upper 95 % bound of that mean.
Plain + + − − signs (0.0622 ± 0.0023 at width 4096, 0.0166 ± 0.0007 at 65536 in the literature
trial) and a real 4-layer ReLU network stand beside the searched signs.
"""

from __future__ import annotations

import math

from benchmarks.harness import Report, Value, at_most, main
from benchmarks.ntk.designs_common import deep_relu, kernel_errors, upper_bound
from sestina.ntk.activations import activation
from sestina.ntk.designs.inverse import design
from sestina.ntk.nets import FullyConnectedNet


def bench(report: Report) -> None:
    target = deep_relu(4)
    designs = {
        "searched signs": design(target),
        "alternating signs": design(target, signs="alternating"),
        "8 ReLUs": design(target, form="relu-sum"),
    }
    cases = [(4096, 400, at_most(0.065)), (65536, 200, at_most(0.018))]
    for name, made in designs.items():
        for width, nets, goal in cases:

            def network(seed, made=made, width=width):
                return made.module(2, 1, width, seed, centred=False)

            row(
                report,
                name,
                width,
                kernel_errors(network, target, range(nets)),
                goal if name == "searched signs" else None,
                made.expected_error(width),
            )

    def deep(seed):
        return FullyConnectedNet(
            2,
            1,
            1024,
            activation("relu"),
            depth=4,
            sigma_w=math.sqrt(2),
            sigma_b=0.1,
            seed=seed,
            centred=False,
        )

    row(
        report,
        "a real 4-layer ReLU network",
        1024,
        kernel_errors(deep, target, range(40)),
        None,
        None,
    )


def row(report, name, width, errors, goal, forecast):
    mean, standard_error, bound = upper_bound(errors)
    report.row(
        what=f"one random net, width {width}, {name}: RMS kernel error, upper 95 % bound of mean",
        workload={"target": "4-layer ReLU NTK", "width": width, "nets": errors.size},
        measured=Value(bound, spread=(mean, bound), runs=errors.size),
        target=goal,
        notes={"mean": mean, "standard error": standard_error, "forecast": forecast},
    )


if __name__ == "__main__":
    main(bench)
