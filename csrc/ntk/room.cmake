sestina_room(ntk SOURCES ntk/simd.cpp)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  target_compile_definitions(sestina_ntk PRIVATE SESTINA_NTK_X86)
endif()
