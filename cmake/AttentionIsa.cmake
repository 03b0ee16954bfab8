# The instruction sets that the sources of attention/kernels/isa are compiled for, once each. A program chooses among
# them when it runs, so that the same library serves every processor.

set(ATTENTION_ISAS "" CACHE STRING "Instruction sets that the kernels are compiled for, besides portable; empty: all that this family of processors has")

# attention_isas(LIST SOURCES file...): sets LIST to the object libraries.
function(attention_isas list)
  cmake_parse_arguments(PARSE_ARGV 1 isa "" "" "SOURCES")
  set(portable "")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(names portable avx2 avx512 avx512_bf16)
    set(avx2 -mavx2 -mfma -mf16c)
    set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512)
    set(avx512_bf16 ${avx512} -mavx512bf16)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(names portable neon)
    set(neon -DATTENTION_KERNEL_NEON)
  else()
    set(names portable)
  endif()
  if(ATTENTION_ISAS)
    foreach(name IN LISTS ATTENTION_ISAS)
      if(NOT name IN_LIST names)
        message(FATAL_ERROR "ATTENTION_ISAS must name instruction sets of ${CMAKE_SYSTEM_PROCESSOR} (${names}); it names ${name}")
      endif()
    endforeach()
    set(names portable ${ATTENTION_ISAS})
    list(REMOVE_DUPLICATES names)
  endif()
  # Whatever the build type, the kernels are fast; but for debugging, and under a sanitizer, where compiling them so
  # takes minutes.
  set(optimised $<$<NOT:$<CONFIG:Debug>>:-O3>)
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    set(optimised "")
  endif()
  set(targets "")
  foreach(name IN LISTS names)
    set(target attention_kernels_${name})
    add_library(${target} OBJECT ${isa_SOURCES})
    attention_compile_options(${target})
    # g++ 12 finds its own AVX-512 intrinsics suspicious, and tells of an ABI that nothing here crosses.
    target_compile_options(
      ${target} PRIVATE ${${name}} -fno-exceptions -fno-rtti ${optimised}
                        $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi -Wno-uninitialized -Wno-maybe-uninitialized>)
    target_compile_definitions(${target} PRIVATE ATTENTION_KERNEL_ISA=${name})
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                                               VISIBILITY_INLINES_HIDDEN ON)
    list(APPEND targets ${target})
  endforeach()
  set(${list} ${targets} PARENT_SCOPE)
  set_property(GLOBAL PROPERTY attention_isas ${names})
endfunction()
