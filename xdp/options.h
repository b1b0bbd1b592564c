/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP options of a SYN or an ACK. The layouts that real systems send are
 * recognised by comparing words; anything else goes through the generic parser,
 * which reads what Linux's tcp_parse_options() reads: it stops at the end mark,
 * at an option shorter than two bytes or longer than what is left, and skips an
 * option with an unexpected length. Pure; fuzzed in user space.
 */
#ifndef SYNWARD_XDP_OPTIONS_H
#define SYNWARD_XDP_OPTIONS_H

#include "abi/policy.h"
#include "user.h"

#define OPTIONS_MAX 40

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2, OPTION_WSCALE = 3, OPTION_SACK = 4,
       OPTION_TIMESTAMP = 8, OPTION_MD5 = 19, OPTION_AO = 29 };

struct options {
	__u32 tsval; /* network byte order */
	__u32 tsecr; /* network byte order */
	__u16 mss;   /* host byte order; 0: none */
	__u8 wscale;
	__u8 found; /* SW_OPTION_* */
	bool signed_; /* TCP-MD5 (RFC 2385) or TCP-AO (RFC 5925); by options_any() only */
	__u64 layout; /* kinds in their order, as in struct sw_shape; by options_any() only */
};

/* Option words as a little-endian load sees them. */
#define WORD_MSS(w) (((w) & 0xffff) == 0x0402)
#define WORD_WSCALE(w) (((w) & 0xffffff) == 0x030301) /* NOP, window scale */
#define WORD_SACK 0x02040101u			      /* NOP, NOP, SACK permitted */
#define WORD_SACK_TIMESTAMP 0x0a080204u		      /* SACK permitted, timestamp */
#define WORD_TIMESTAMP 0x0a080101u		      /* NOP, NOP, timestamp */
#define WORD_SACK_END(w) (((w) & 0xffffff) == 0x000204) /* SACK permitted, end */

static __always_inline __u16 options_swap16(__u16 x)
{
	return __builtin_bswap16(x);
}

static __always_inline void options_wscale(struct options *o, __u8 shift)
{
	o->wscale = shift > 14 ? 14 : shift;
	o->found |= SW_OPTION_WSCALE;
}

/*
 * The usual layouts. `w` must have `length` readable bytes. Returns false when
 * the layout is not one of them; `o` is untouched then.
 */
static __always_inline bool options_usual(const __u32 *w, __u32 length, struct options *o)
{
	/* Linux: MSS, SACK, timestamp, NOP, wscale */
	if (length == 20 && WORD_MSS(w[0]) && w[1] == WORD_SACK_TIMESTAMP && WORD_WSCALE(w[4])) {
		o->tsval = w[2];
		o->tsecr = w[3];
		o->found = SW_OPTION_SACK | SW_OPTION_TIMESTAMP;
		options_wscale(o, w[4] >> 24);
	/* Windows: MSS, NOP, wscale, NOP, NOP, SACK */
	} else if (length == 12 && WORD_MSS(w[0]) && WORD_WSCALE(w[1]) && w[2] == WORD_SACK) {
		o->found = SW_OPTION_SACK;
		options_wscale(o, w[1] >> 24);
	/* macOS, iOS: MSS, NOP, wscale, NOP, NOP, timestamp, SACK, end */
	} else if (length == 24 && WORD_MSS(w[0]) && WORD_WSCALE(w[1]) && w[2] == WORD_TIMESTAMP &&
		   WORD_SACK_END(w[5])) {
		o->tsval = w[3];
		o->tsecr = w[4];
		o->found = SW_OPTION_SACK | SW_OPTION_TIMESTAMP;
		options_wscale(o, w[1] >> 24);
	/* FreeBSD: MSS, NOP, wscale, SACK, timestamp */
	} else if (length == 20 && WORD_MSS(w[0]) && WORD_WSCALE(w[1]) &&
		   w[2] == WORD_SACK_TIMESTAMP) {
		o->tsval = w[3];
		o->tsecr = w[4];
		o->found = SW_OPTION_SACK | SW_OPTION_TIMESTAMP;
		options_wscale(o, w[1] >> 24);
	/* Linux without timestamps: MSS, NOP, NOP, SACK, NOP, wscale */
	} else if (length == 12 && WORD_MSS(w[0]) && w[1] == WORD_SACK && WORD_WSCALE(w[2])) {
		o->found = SW_OPTION_SACK;
		options_wscale(o, w[2] >> 24);
	/* small stacks, many flood tools: MSS only */
	} else if (length == 4 && WORD_MSS(w[0])) {
		o->found = 0;
	} else {
		return false;
	}
	o->mss = options_swap16(w[0] >> 16);
	return true;
}

/*
 * Bounds the length of a copy to 1..40. By way of length - 1, since verifiers
 * before 6.8 learn nothing from a comparison with zero.
 */
static __always_inline bool options_length(__u64 *length)
{
	__u64 less_one = *length - 1;

	LAUNDER(less_one);
	if (less_one >= OPTIONS_MAX)
		return false;
	*length = less_one + 1;
	return true;
}

/* As it stands, at any address. */
static __always_inline __u32 options_word(const __u8 *p)
{
	__u32 word;

	__builtin_memcpy(&word, p, sizeof(word));
	return word;
}

/*
 * Any layout: `length` bytes of options at `options`, of which those before `end` are
 * there. LAUNDER keeps one pointer for a bound and for the access that it is for.
 */
static __always_inline void options_any(const __u8 *options, const void *end, __u32 length,
					struct options *o)
{
	__u64 at = 0, layout = 0;
	int i;

	for (i = 0; i < OPTIONS_MAX; i++) {
		const __u8 *p;
		__u64 kind, size;

		BOUND_MASK(at, 63);
		p = options + at;
		LAUNDER(p);
		if (at >= length || (const void *)(p + 1) > end)
			break;
		kind = p[0];
		if (kind == OPTION_END)
			break;
		layout = layout << 8 | kind;
		if (kind == OPTION_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= length || (const void *)(p + 2) > end)
			break;
		size = p[1];
		if (size < 2 || at + size > length)
			break;
		if (kind == OPTION_MSS && size == 4 && (const void *)(p + 4) <= end) {
			__u16 mss = options_swap16(options_word(p) >> 16);

			if (mss)
				o->mss = mss;
		} else if (kind == OPTION_WSCALE && size == 3 && (const void *)(p + 3) <= end) {
			options_wscale(o, p[2]);
		} else if (kind == OPTION_SACK && size == 2) {
			o->found |= SW_OPTION_SACK;
		} else if (kind == OPTION_TIMESTAMP && size == 10 && (const void *)(p + 10) <= end) {
			o->tsval = options_word(p + 2);
			o->tsecr = options_word(p + 6);
			o->found |= SW_OPTION_TIMESTAMP;
		} else if (kind == OPTION_MD5 || kind == OPTION_AO) {
			o->signed_ = true;
		}
		at += size;
	}
	o->layout = layout;
}

#endif
