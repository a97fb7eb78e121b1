file(GLOB decoding_sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
     ${CMAKE_CURRENT_SOURCE_DIR}/decoding/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/decoding/lm/*.cpp)
sestina_room(decoding SOURCES ${decoding_sources})
if(SESTINA_X86)
  # Processors of the last 15 years: for popcount, which finds a child of a node.
  target_compile_options(sestina_decoding PRIVATE -march=x86-64-v2)
  set_source_files_properties(decoding/masks_avx2.cpp PROPERTIES COMPILE_OPTIONS "-mavx2")
  set_source_files_properties(decoding/masks_avx512.cpp PROPERTIES COMPILE_OPTIONS "-mavx512f;-mbmi2")
endif()
