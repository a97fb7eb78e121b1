#if defined(SESTINA_X86)

#include "ntk/lanes_avx512.hpp"
#include "ntk/tile_body.hpp"

namespace sestina::ntk {

const TileKernels<float> avx512_float = Tile<FloatLanes, 8, 3>::kernels();
const TileKernels<double> avx512_double = Tile<DoubleLanes, 8, 3>::kernels();

}  // namespace sestina::ntk

#endif
