#pragma once

/// The version of the library, "major.minor.patch". Before 1.0, a new minor version may change the
/// API; a new patch does not (the CMake package file checks SameMinorVersion).
#define ATTENTION_VERSION "0.1.0"
