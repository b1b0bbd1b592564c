// SPDX-License-Identifier: GPL-2.0-or-later
#include "allocations.h"

#include <cstddef>

namespace {

thread_local std::uint64_t count = 0;

}  // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

// Sanitizers have a malloc of their own, which tells whom it is asked to.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, std::size_t),
                                                         void (*freed)(const volatile void*));
namespace {

const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { ++count; }, [](const volatile void*) {});

}  // namespace

#else

// glibc's own names of its allocator.
extern "C" void* __libc_malloc(std::size_t);
extern "C" void* __libc_calloc(std::size_t, std::size_t);
extern "C" void* __libc_realloc(void*, std::size_t);

extern "C" void* malloc(std::size_t bytes) {
    ++count;
    return __libc_malloc(bytes);
}
extern "C" void* calloc(std::size_t number, std::size_t bytes) {
    ++count;
    return __libc_calloc(number, bytes);
}
extern "C" void* realloc(void* old, std::size_t bytes) {
    ++count;
    return __libc_realloc(old, bytes);
}

#endif

std::uint64_t synward::allocations() {
    return count;
}
