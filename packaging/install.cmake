# SPDX-License-Identifier: GPL-2.0-or-later
# Manual pages, the service, the example config, the shell's completion and the module's sources.
# Included where the target synward_command is known.
set(man_pages)
foreach(page synward.8 synwardd.8 synward.toml.5)
  set(in ${PROJECT_SOURCE_DIR}/docs/man/${page}.in)
  set(out ${CMAKE_BINARY_DIR}/docs/man/${page})
  set(generate ${PROJECT_SOURCE_DIR}/docs/man/generate.cmake)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/docs/man
    COMMAND ${CMAKE_COMMAND} -D SYNWARD=$<TARGET_FILE:synward_command> -D IN=${in} -D OUT=${out} -P ${generate}
    DEPENDS ${in} ${generate} synward_command
    COMMENT "Manual page ${page}"
    VERBATIM)
  list(APPEND man_pages ${out})
endforeach()
add_custom_target(synward_man ALL DEPENDS ${man_pages})
foreach(page IN LISTS man_pages)
  get_filename_component(section ${page} LAST_EXT)
  string(SUBSTRING ${section} 1 -1 section)
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

set(SBINDIR ${CMAKE_INSTALL_FULL_SBINDIR})
set(SYSCONFDIR ${CMAKE_INSTALL_FULL_SYSCONFDIR})
configure_file(${PROJECT_SOURCE_DIR}/packaging/systemd/synwardd.service.in
  ${CMAKE_BINARY_DIR}/packaging/synwardd.service @ONLY)
set(SYNWARD_UNIT_DIRECTORY "lib/systemd/system" CACHE STRING "Where the systemd unit is installed")
install(FILES ${CMAKE_BINARY_DIR}/packaging/synwardd.service DESTINATION ${SYNWARD_UNIT_DIRECTORY})
# Relative where it can be, so that `cmake --install --prefix` is obeyed; /usr has its /etc outside.
set(sysconf ${CMAKE_INSTALL_SYSCONFDIR})
cmake_path(IS_PREFIX CMAKE_INSTALL_PREFIX ${CMAKE_INSTALL_FULL_SYSCONFDIR} inside)
if(NOT inside)
  set(sysconf ${CMAKE_INSTALL_FULL_SYSCONFDIR})
endif()
# An administrator's config is never overwritten: the example is named so.
install(FILES ${PROJECT_SOURCE_DIR}/packaging/synward.toml
  DESTINATION ${sysconf}/synward RENAME synward.toml.example)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/completions/synward
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/completions/synward
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME synwardd)

# The module's sources, for DKMS: `dkms add PREFIX/src/synward-VERSION`, `dkms install synward/VERSION`.
set(dkms src/synward-${PROJECT_VERSION})
install(FILES ${PROJECT_SOURCE_DIR}/Kbuild ${PROJECT_SOURCE_DIR}/packaging/dkms/dkms.conf DESTINATION ${dkms})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/kmod DESTINATION ${dkms} FILES_MATCHING PATTERN "*.[ch]")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/lib/abi DESTINATION ${dkms}/lib FILES_MATCHING PATTERN "*.h")
