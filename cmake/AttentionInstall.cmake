# Install rules: the public headers, the libraries, the CMake package and the pkg-config files.
include(CMakePackageConfigHelpers)

set(attention_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/attention")

# Public rooms; a room's detail/ is private, and kernels is private as a whole.
foreach(room IN ITEMS core reference ops autograd nn io train)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/attention/${room}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/attention"
          FILES_MATCHING PATTERN "*.hpp" PATTERN "detail" EXCLUDE)
endforeach()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/attention/render" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/attention"
        FILES_MATCHING PATTERN "*.hpp" PATTERN "detail" EXCLUDE)

install(TARGETS attention EXPORT attention_targets)
install(EXPORT attention_targets NAMESPACE attention:: FILE attention-targets.cmake DESTINATION "${attention_package_dir}")
if(TARGET attention_render_library)
  install(TARGETS attention_render_library EXPORT attention_render_targets)
  install(EXPORT attention_render_targets NAMESPACE attention:: FILE attention-render-targets.cmake
          DESTINATION "${attention_package_dir}")
endif()
if(TARGET attention_command)
  install(TARGETS attention_command RUNTIME)
endif()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/attention-config.cmake.in"
                              "${PROJECT_BINARY_DIR}/attention-config.cmake" INSTALL_DESTINATION "${attention_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/attention-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/attention-config.cmake" "${PROJECT_BINARY_DIR}/attention-config-version.cmake"
        DESTINATION "${attention_package_dir}")

# pkg-config: what a static library needs besides goes into Requires.private, which --static reads.
set(attention_pc_requires_private "")
if(ATTENTION_HAS_ZLIB)
  set(attention_pc_requires_private "zlib")
endif()
set(parts attention)
if(TARGET attention_render_library)
  list(APPEND parts attention-render)
endif()
foreach(part IN LISTS parts)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/${part}.pc.in" "${PROJECT_BINARY_DIR}/${part}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${part}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endforeach()
