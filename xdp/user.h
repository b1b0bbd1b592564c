/* SPDX-License-Identifier: GPL-2.0-only */
/* Lets the pure headers (parse, options, cookie, checksum) compile in user space too. */
#ifndef SYNWARD_XDP_USER_H
#define SYNWARD_XDP_USER_H

#ifdef __bpf__
#include "kernel.h"
#else
#include <stdbool.h>
#include <linux/types.h>
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#endif

/* A loop whose bound is known where it is inlined; GCC has no such pragma, and needs none. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL
#endif

/* Where the compiler proves away a check that old verifiers need, hide the value from it. */
#ifdef __bpf__
#define LAUNDER(x) asm volatile("" : "+r"(x))
#define BOUND_MASK(x, mask) asm volatile("%0 &= " #mask : "+r"(x))
/* No later load is done before it. An atomic operation: cpu v3 has no load of that kind. */
#define LOAD_ACQUIRE(x) __sync_fetch_and_or((__u32 *)&(x), 0)
#else
#define LAUNDER(x) ((void)0)
#define BOUND_MASK(x, mask) ((x) &= (mask))
#define LOAD_ACQUIRE(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#endif

#endif
