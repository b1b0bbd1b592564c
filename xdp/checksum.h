/* SPDX-License-Identifier: GPL-2.0-only */
/* Internet checksums (RFC 1071) from values in registers. */
#ifndef SYNWARD_XDP_CHECKSUM_H
#define SYNWARD_XDP_CHECKSUM_H

#include "user.h"

/* Fold a sum of at most 2^16 32-bit words, as loaded, to the checksum field. */
static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

#endif
