# Rooms: one static library each, which links only the rooms that it may know, so that a wrong arrow does not link.
# The installed libraries are made of the rooms' objects.

set(attention_warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wold-style-cast
    -Wnon-virtual-dtor -Woverloaded-virtual -Wdouble-promotion -Wimplicit-fallthrough)
if(ATTENTION_WERROR)
  list(APPEND attention_warnings -Werror)
endif()

# Options that every target of the project compiles with; nothing of them reaches the users of the library.
function(attention_compile_options target)
  # The language level is private to the build; what users need is the compile feature.
  set_target_properties(${target} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
  # No contraction outside of the kernels: the reference gives the same bits with either compiler.
  target_compile_options(${target} PRIVATE ${attention_warnings} -ffp-contract=off)
endfunction()

# attention_room(NAME SOURCES file... [NEEDS room...] [LIBRARIES library...] [OBJECTS object library...])
function(attention_room name)
  cmake_parse_arguments(PARSE_ARGV 1 room "" "" "SOURCES;NEEDS;LIBRARIES;OBJECTS")
  set(target attention_${name})
  set(objects "")
  foreach(library IN LISTS room_OBJECTS)
    list(APPEND objects "$<TARGET_OBJECTS:${library}>")
  endforeach()
  add_library(${target} STATIC ${room_SOURCES} ${objects})
  attention_compile_options(${target})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>")
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                                             VISIBILITY_INLINES_HIDDEN ON
                                             ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/rooms")
  foreach(needed IN LISTS room_NEEDS)
    target_link_libraries(${target} PUBLIC attention_${needed})
  endforeach()
  target_link_libraries(${target} PRIVATE ${room_LIBRARIES})
  set_target_properties(${target} PROPERTIES ATTENTION_OBJECTS "${objects}")
endfunction()

# attention_library(TARGET EXPORT_NAME name FILE_NAME name ROOMS room... [PUBLIC library...] [PRIVATE library...])
function(attention_library target)
  cmake_parse_arguments(PARSE_ARGV 1 lib "" "EXPORT_NAME;FILE_NAME" "ROOMS;PUBLIC;PRIVATE")
  set(objects "")
  foreach(room IN LISTS lib_ROOMS)
    get_target_property(more attention_${room} ATTENTION_OBJECTS)
    list(APPEND objects "$<TARGET_OBJECTS:attention_${room}>" ${more})
  endforeach()
  add_library(${target} ${objects})
  add_library(attention::${lib_EXPORT_NAME} ALIAS ${target})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>"
                                              "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_link_libraries(${target} PUBLIC ${lib_PUBLIC} PRIVATE ${lib_PRIVATE})
  set_target_properties(
    ${target} PROPERTIES EXPORT_NAME ${lib_EXPORT_NAME} OUTPUT_NAME ${lib_FILE_NAME} LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION}
                         SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endfunction()
