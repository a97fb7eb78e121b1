sestina_room(ntk SOURCES
  ntk/matrices.cpp ntk/memory.cpp ntk/parallel.cpp ntk/rows.cpp
  ntk/tile_portable.cpp ntk/tile_avx2.cpp ntk/tile_avx512.cpp)
# Where a product is to be fused with a sum the code says so: left and right rows must round alike, or
# square matrices would not be symmetric.
target_compile_options(sestina_ntk PRIVATE -ffp-contract=off)
if(SESTINA_X86)
  set_source_files_properties(ntk/tile_avx2.cpp PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
  # GCC's own header leaves registers undefined on purpose and warns about it (GCC bug 105593).
  set_source_files_properties(ntk/tile_avx512.cpp PROPERTIES COMPILE_OPTIONS
    "-mavx512f;-mavx512dq;-mavx512bw;-mavx512vl;-mavx2;-mfma;-Wno-uninitialized;-Wno-maybe-uninitialized")
endif()
