#if defined(SESTINA_X86)

#include "ntk/lanes_avx2.hpp"
#include "ntk/tile_body.hpp"

namespace sestina::ntk {

const TileKernels<float> avx2_float = Tile<FloatLanes, 4, 3>::kernels();
const TileKernels<double> avx2_double = Tile<DoubleLanes, 4, 3>::kernels();

}  // namespace sestina::ntk

#endif
