# The tests on processors that this machine is not, emulated by qemu-user: an x86-64 without AVX (Nehalem), one with AVX2
# and without AVX-512 (Haswell), and 64-bit ARM with its own build. Emulation takes about fifteen times as long, so that
# the conformance grid is sampled and what is only about the reference path is left out.

# attention_skipped(NAME REASON): a test that says why it is not there.
function(attention_skipped name reason)
  add_test(NAME ${name} COMMAND "${CMAKE_COMMAND}" -E echo "skipped: ${reason}")
  set_tests_properties(${name} PROPERTIES LABELS "qemu;slow" SKIP_REGULAR_EXPRESSION "skipped:")
endfunction()

# attention_emulated(CPU TEST [ARGUMENT...]): an executable of the tests on this processor.
function(attention_emulated cpu test)
  add_test(NAME qemu_${cpu}_${test} COMMAND "${qemu_x86_64}" -cpu ${cpu} $<TARGET_FILE:${test}> ${ARGN})
  set_tests_properties(qemu_${cpu}_${test} PROPERTIES LABELS "qemu;slow" ENVIRONMENT "ATTENTION_SDPA_CASES=60" TIMEOUT 900)
endfunction()

# A sanitizer under an emulator says nothing new.
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize" OR CMAKE_CROSSCOMPILING)
  return()
endif()

find_program(qemu_x86_64 qemu-x86_64)
set(qemu_version 0)
if(qemu_x86_64)
  execute_process(COMMAND "${qemu_x86_64}" --version OUTPUT_VARIABLE qemu_version)
  string(REGEX MATCH "[0-9]+\\.[0-9]+" qemu_version "${qemu_version}")
endif()
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  attention_skipped(qemu_x86_64 "this build is not for x86-64")
elseif(NOT qemu_x86_64)
  attention_skipped(qemu_x86_64 "qemu-x86_64 was not found (Debian: qemu-user)")
else()
  add_executable(print_isas print_isas.cpp)
  attention_compile_options(print_isas)
  target_link_libraries(print_isas PRIVATE attention_ops)
  set(Nehalem_isas "portable \\(uses portable\\)")
  set(Haswell_isas "portable avx2 \\(uses avx2\\)")
  foreach(cpu IN ITEMS Nehalem Haswell)
    if(cpu STREQUAL "Haswell" AND qemu_version VERSION_LESS 7.2)
      attention_skipped(qemu_Haswell "qemu ${qemu_version} does not emulate AVX2 (7.2 does)")
      continue()
    endif()
    attention_emulated(${cpu} print_isas)
    set_tests_properties(qemu_${cpu}_print_isas PROPERTIES PASS_REGULAR_EXPRESSION "${${cpu}_isas}")
    # (qemu-user stops at an assertion of its own in the child of a process that has threads.)
    attention_emulated(${cpu} test_core "--gtest_filter=-*WorksInAForkedChild")
    attention_emulated(${cpu} ops_kv_cache_test)
    attention_emulated(${cpu} ops_sdpa_errors_test)
    attention_emulated(${cpu} ops_softmax_linear_test "--gtest_filter=*fused*:*float32*:LinearErrors*")
    attention_emulated(${cpu} ops_sdpa_semantics_test "--gtest_filter=*fused*:SdpaIsa*")
    attention_emulated(${cpu} ops_sdpa_conformance_test)
    attention_emulated(${cpu} test_experiments "--gtest_filter=*TheKernelsOfEachInstructionSet*")
    attention_emulated(${cpu} ops_sdpa_extremes_test "--gtest_filter=*GuardPages*float32")
  endforeach()
endif()

add_test(NAME aarch64 COMMAND bash "${CMAKE_CURRENT_LIST_DIR}/aarch64_test.sh" "${PROJECT_SOURCE_DIR}"
                              "${PROJECT_SOURCE_DIR}/build/aarch64")
set_tests_properties(aarch64 PROPERTIES LABELS "qemu;slow" SKIP_REGULAR_EXPRESSION "skipped:" TIMEOUT 1500)
