file(GLOB decoding_sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
     ${CMAKE_CURRENT_SOURCE_DIR}/decoding/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/decoding/lm/*.cpp)
sestina_room(decoding SOURCES ${decoding_sources})
