/* SPDX-License-Identifier: GPL-2.0-only */
/* Internet checksums (RFC 1071) from values in registers. */
#ifndef SYNWARD_XDP_CHECKSUM_H
#define SYNWARD_XDP_CHECKSUM_H

#include "user.h"

/*
 * Fold a sum of 32-bit words, as loaded, to the checksum field. Adding a value to
 * itself with the halves swapped leaves the sum with its carry in the upper half.
 */
static __always_inline __u16 checksum_fold(__u64 sum)
{
	__u32 half;

	sum += sum << 32 | sum >> 32;
	half = sum >> 32;
	half += half << 16 | half >> 16;
	return ~half >> 16;
}

#endif
