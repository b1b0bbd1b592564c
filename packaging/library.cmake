# SPDX-License-Identifier: GPL-2.0-or-later
# libsynward for programs of others: the archive, its headers, a CMake package and
# synward.pc; none of them names the prefix, so that any will do. Included by lib/, where
# `requires` is known. `cmake --install build --component devel` installs these alone.
include(CMakePackageConfigHelpers)
set(templates ${PROJECT_SOURCE_DIR}/packaging/library)
set(generated ${PROJECT_BINARY_DIR}/packaging)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/synward)
install(TARGETS synward EXPORT synward
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT devel
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/synward COMPONENT devel)
install(EXPORT synward FILE synward-targets.cmake NAMESPACE synward:: DESTINATION ${package} COMPONENT devel)
configure_file(${templates}/synward-config.cmake.in ${generated}/synward-config.cmake @ONLY)
# Before 1.0 every minor version may break with the one before.
write_basic_package_version_file(${generated}/synward-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${generated}/synward-config.cmake ${generated}/synward-config-version.cmake
  DESTINATION ${package} COMPONENT devel)

set(pkgconfig ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH include ${pkgconfig} ${CMAKE_INSTALL_FULL_INCLUDEDIR}/synward)
# As .pc files are written: "libbpf >= 1.1, libmnl".
list(JOIN requires ", " pc_requires)
string(REGEX REPLACE "([<>=]+)" " \\1 " pc_requires "${pc_requires}")
configure_file(${templates}/synward.pc.in ${generated}/synward.pc @ONLY)
install(FILES ${generated}/synward.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT devel)
