"""The tangent kernel as an operator: products with vectors, and never a matrix.

Θ v = J₁ (J₂ᵀ v): one pass backward through the module at the second inputs, one pass forward with
tangents at the first. Memory is that of one chunk's passes and two copies of the parameters.

Axes: n, m samples; o output; r columns.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.ntk.empirical.checks import check_inputs, check_module
from sestina.ntk.empirical.contraction import contracted_squares
from sestina.ntk.empirical.layers import AffineStack, affine_stack
from sestina.ntk.empirical.samplewise import SamplewiseFunction
from sestina.ntk.empirical.structured import structured_squares

__all__ = ["EmpiricalNTK"]


class EmpiricalNTK:
    """The matrix (n⋅o, m⋅o) of a module's tangent kernel, by its products with vectors alone.

    Rows and columns are ordered as `module(x).flatten()`. It has what SciPy asks of a linear
    operator (`shape`, `dtype`, `matvec`, `rmatvec`, `matmat`, `rmatmat`), so that
    `scipy.sparse.linalg.cg` and `aslinearoperator` take it as it is. The module's parameters are
    read at every product: it follows training.

    Args:
        module: any module whose outputs depend on one sample at a time; see `empirical_ntk`.
        x1: (n, …), the samples of the rows.
        x2: (m, …), the samples of the columns; None means `x1`.
        max_bytes: the memory aimed at for the passes through the module.

    Raises:
        InvalidValueError: as `empirical_ntk`.
        ShapeError: as `empirical_ntk`.
        DtypeError: as `empirical_ntk`.
        NonFiniteError: as `empirical_ntk`.

    Example:
        >>> import torch
        >>> from scipy.sparse.linalg import aslinearoperator, cg
        >>> network = torch.nn.Linear(3, 1).double()
        >>> x = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], dtype=torch.float64)
        >>> theta = EmpiricalNTK(network, x)  # x x' + 1: [[2, 1], [1, 5]]
        >>> theta @ torch.tensor([1.0, 0.0], dtype=torch.float64)
        tensor([2., 1.], dtype=torch.float64)
        >>> solution, flag = cg(theta, [3.0, 6.0])
        >>> solution.round(6).tolist()
        [1.0, 1.0]
    """

    def __init__(
        self,
        module: nn.Module,
        x1: Tensor,
        x2: Tensor | None = None,
        *,
        max_bytes: int = 2**30,
    ) -> None:
        self.module = check_module(module)
        self.x1, second = check_inputs(self.module, x1, x2)
        self.is_symmetric = second is None
        self.x2 = self.x1 if second is None else second
        self.max_bytes = max_bytes
        self._function = SamplewiseFunction(self.module, self.x1, second)
        for x in (self.x1,) if second is None else (self.x1, second):
            self._function.check_batches(x, max_bytes=max_bytes)

    @property
    def num_outputs(self) -> int:
        """Outputs per sample, o."""
        return self._function.num_outputs

    @property
    def shape(self) -> tuple[int, int]:
        """(n⋅o, m⋅o)."""
        return len(self.x1) * self.num_outputs, len(self.x2) * self.num_outputs

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float64]:
        """NumPy's name of the precision that products are computed in: the module's."""
        single = self._function.like.dtype == torch.float32
        return np.dtype(np.float32) if single else np.dtype(np.float64)

    def matvec(self, vector: Tensor | NDArray[np.floating]) -> Tensor | NDArray[np.floating]:
        """Θ v, shaped and typed as `vector`, but in the module's precision.

        Args:
            vector: (m⋅o,) or (m⋅o, 1), a tensor or an array.

        Raises:
            ShapeError: if it has another length.
        """
        return self._apply(vector, self.x2, self.x1)

    def rmatvec(self, vector: Tensor | NDArray[np.floating]) -> Tensor | NDArray[np.floating]:
        """Θᵀ v for v of (n⋅o,) or (n⋅o, 1); see `matvec`."""
        return self._apply(vector, self.x1, self.x2)

    def matmat(self, matrix: Tensor | NDArray[np.floating]) -> Tensor | NDArray[np.floating]:
        """Θ V for V of (m⋅o, r), column by column; see `matvec`."""
        return self._apply(matrix, self.x2, self.x1)

    def rmatmat(self, matrix: Tensor | NDArray[np.floating]) -> Tensor | NDArray[np.floating]:
        """Θᵀ V for V of (n⋅o, r), column by column; see `matvec`."""
        return self._apply(matrix, self.x1, self.x2)

    def __matmul__(self, other: Tensor | NDArray[np.floating]) -> Tensor | NDArray[np.floating]:
        return self._apply(other, self.x2, self.x1)

    def diag(self) -> Tensor:
        """The diagonal of a symmetric kernel, (n⋅o,): |∂f_o/∂parameters|² per sample and output.

        Raises:
            InvalidValueError: if it was made with two sets of samples.
        """
        if not self.is_symmetric:
            raise InvalidValueError(
                "x2",
                f"{len(self.x2)} further samples",
                expected="none: a diagonal needs the same samples in rows and columns",
                remedy="make EmpiricalNTK(module, x1)",
            )
        stack = affine_stack(self.module)
        if isinstance(stack, AffineStack):
            return structured_squares(stack, self.x1).flatten()
        return contracted_squares(self._function, self.x1, max_bytes=self.max_bytes).flatten()

    def _apply(
        self, vectors: Tensor | NDArray[np.floating], x_in: Tensor, x_out: Tensor
    ) -> Tensor | NDArray[np.floating]:
        given = torch.as_tensor(vectors)
        length = len(x_in) * self.num_outputs
        if given.ndim not in {1, 2} or len(given) != length:
            raise ShapeError(
                "vector",
                tuple(given.shape),
                expected=f"({length},) or ({length}, columns)",
                remedy="flatten values of shape (samples, outputs) sample by sample",
            )
        like = self._function.like
        columns = given.to(dtype=like.dtype, device=like.device).reshape(length, -1)
        products = []
        for column in columns.unbind(1):
            tangents = self._function.pull_back(
                column.view(len(x_in), -1), x_in, max_bytes=self.max_bytes
            )
            product_no = self._function.push_forward(tangents, x_out, max_bytes=self.max_bytes)
            products.append(product_no.flatten())
        num_rows = len(x_out) * self.num_outputs
        result = torch.stack(products, dim=1) if products else like.new_zeros(num_rows, 0)
        result = result.reshape(num_rows, *given.shape[1:])
        return result if isinstance(vectors, Tensor) else result.numpy(force=True)
