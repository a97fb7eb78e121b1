"""The width that a design asks for, against the error that networks of that width have."""

from __future__ import annotations

import numpy as np

from benchmarks.harness import Report, Value, at_most, main
from benchmarks.ntk.designs_common import deep_relu, kernel_errors
from sestina.ntk.designs.inverse import design
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target

WIDTHS = (256, 1024, 4096, 16384)
NETS = 200


def bench(report: Report) -> None:
    made = {
        "4-layer ReLU NTK, table": design(deep_relu(4)),
        "1-layer ReLU NTK, table": design(deep_relu(1)),
        "4-layer erf NTK, table": design(parse_target("erf:depth=4")),
        "c³ + c² as NTK, table": design(DotProductKernel.from_coefficients([0, 0, 1, 1])),
        "4-layer ReLU NTK, 8 ReLUs": design(deep_relu(4), form="relu-sum"),
        "NTK of ½ sin 6z, sinusoid": design(
            parse_target("sin:amplitude=0.5,frequency=6"), form="sinusoid"
        ),
    }
    for name, one in made.items():
        measured = []
        for width in WIDTHS:

            def network(seed, one=one, width=width):
                return one.module(2, 1, width, seed, centred=False)

            measured.append(float(kernel_errors(network, one.target, range(NETS)).mean()))
        forecast = [one.expected_error(width) for width in WIDTHS]
        deviation = max(abs(m / f - 1) for m, f in zip(measured, forecast, strict=True))
        # The part that is the same in every network, however wide, is no matter of width.
        spread = np.sqrt(np.maximum(np.array(measured) ** 2 - one.error.rms**2, 0))
        slope = float(np.polyfit(np.log(WIDTHS), np.log(spread), 1)[0])
        workload = {"design": name, "widths": WIDTHS, "nets": NETS}
        notes = {"measured": measured, "forecast": forecast}
        report.row(
            what=f"forecast width, {name}: largest deviation of measured from forecast error",
            workload=workload,
            measured=Value(deviation),
            target=at_most(0.15),
            notes=notes,
        )
        report.row(
            what=f"forecast width, {name}: |slope + 0.5|",
            workload=workload,
            measured=Value(abs(slope + 0.5)),
            target=at_most(0.05),
            notes=notes,
        )
        accuracy = 0.03
        width = one.width_for(accuracy, relative=True)

        def asked(seed, one=one, width=width):
            return one.module(2, 1, width, seed, centred=False)

        error = float(kernel_errors(asked, one.target, range(NETS)).mean())
        wanted = one.expected_error(width)
        report.row(
            what=f"forecast width, {name}: deviation at the width for 3 % of the kernel's RMS",
            workload={"design": name, "width": width, "nets": NETS},
            measured=Value(abs(error / wanted - 1)),
            target=at_most(0.15),
            notes={"measured": error, "asked": wanted},
        )


if __name__ == "__main__":
    main(bench)
