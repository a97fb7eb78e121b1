#include "ntk/lanes_portable.hpp"
#include "ntk/tile_body.hpp"

namespace sestina::ntk {

const TileKernels<float> portable_float = Tile<FloatLanes, 4, 2>::kernels();
const TileKernels<double> portable_double = Tile<DoubleLanes, 4, 2>::kernels();

}  // namespace sestina::ntk
