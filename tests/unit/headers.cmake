# SPDX-License-Identifier: GPL-2.0-or-later
# Every header compiles alone: a file is made for each that includes it twice
# and nothing else. Those of lib/abi also as C11 and as BPF.
file(GLOB abi_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lib/abi/*.h)
file(GLOB_RECURSE library_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lib/*.h)
list(REMOVE_ITEM library_headers ${abi_headers})

set(alone)
foreach(header IN LISTS library_headers abi_headers)
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${header})
  string(REPLACE "/" "_" stem ${name})
  set(file ${CMAKE_CURRENT_BINARY_DIR}/headers/${stem}.cpp)
  file(CONFIGURE OUTPUT ${file} CONTENT "#include \"${name}\"\n#include \"${name}\"\n")
  list(APPEND alone ${file})
endforeach()

set(bpf_objects)
foreach(header IN LISTS abi_headers)
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${header})
  string(REPLACE "/" "_" stem ${name})
  set(file ${CMAKE_CURRENT_BINARY_DIR}/headers/${stem}.c)
  file(CONFIGURE OUTPUT ${file} CONTENT "#include \"${name}\"\n#include \"${name}\"\n")
  list(APPEND alone ${file})
  add_custom_command(
    OUTPUT ${file}.bpf.o
    COMMAND ${SYNWARD_CLANG} -target bpf -mcpu=v3 -O2 -std=gnu11 -Wall -Wextra -Werror
            -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -I${PROJECT_SOURCE_DIR} -c ${file} -o ${file}.bpf.o
    DEPENDS ${file} ${abi_headers}
    VERBATIM)
  list(APPEND bpf_objects ${file}.bpf.o)
endforeach()

add_library(synward_headers_test OBJECT ${alone})
set_target_properties(synward_headers_test PROPERTIES UNITY_BUILD OFF)
target_link_libraries(synward_headers_test PRIVATE synward::synward synward_flags)
target_compile_options(synward_headers_test PRIVATE -Werror -Wpedantic -O0 -g0)
add_custom_target(synward_abi_bpf_test ALL DEPENDS ${bpf_objects})
