/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * Types and layout assertions that every reader of the ABI shares: the kernel
 * module, the BPF object, C11 and C++20.
 */
#ifndef SYNWARD_ABI_TYPES_H
#define SYNWARD_ABI_TYPES_H

#include <linux/types.h>

#ifdef __cplusplus
#define SW_ASSERT(condition, text) static_assert(condition, text)
#else
#define SW_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* The size of a shared struct is part of the ABI: a change must be a decision. */
#define SW_ASSERT_SIZE(type, bytes) \
	SW_ASSERT(sizeof(type) == (bytes), #type " is part of the ABI and must not change its size")

/* Families as array indices. */
enum sw_family { SW_IPV4, SW_IPV6, SW_FAMILIES };

#endif
