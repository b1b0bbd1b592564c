# SPDX-License-Identifier: GPL-2.0-or-later
# Puts the tables that the code holds into a manual page:
#   cmake -D SYNWARD=COMMAND -D IN=PAGE.in -D OUT=PAGE -P generate.cmake
foreach(table reasons statuses)
  execute_process(COMMAND ${SYNWARD} reasons --mdoc ${table}
    OUTPUT_VARIABLE ${table} OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(READ ${IN} text)
string(REPLACE "@REASONS@" "${reasons}" text "${text}")
string(REPLACE "@EXIT_STATUSES@" "${statuses}" text "${text}")
file(WRITE ${OUT} "${text}")
