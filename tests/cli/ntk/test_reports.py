"""What is printed of a design."""

from sestina.cli.ntk.reports import design_facts, design_rows
from sestina.ntk.designs.inverse import design
from sestina.ntk.kernels.dot_product import DotProductKernel


def test_the_tail_is_printed_as_a_share_of_the_kernel_at_one():
    # c⁹ is beyond the last degree: an eighth of K(1) = 4.
    kernel = DotProductKernel.from_coefficients([0.0, 3.5] + [0.0] * 7 + [0.5])
    made = design(kernel, form="hermite", degree=3)
    [row] = [row for row in design_rows(made, "mine") if row[0] == "tail"]
    assert row[1:] == ("12.5%", "of K(1): the part of the coefficients that is not realised")
    assert round(design_facts(made, "mine")["tail"], 9) == 0.5
    assert design_facts(made, "mine")["target"] == "mine"
