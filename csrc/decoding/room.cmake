file(GLOB decoding_sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
     ${CMAKE_CURRENT_SOURCE_DIR}/decoding/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/decoding/lm/*.cpp)
sestina_room(decoding SOURCES ${decoding_sources})
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  # Processors of the last 15 years: for popcount, which finds a child of a node.
  target_compile_options(sestina_decoding PRIVATE -march=x86-64-v2)
endif()
